"""Divide images into training, validation and test, 50, 20 and 30 per cent, with no group (patient) on two sides."""

import hashlib
import os
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import TypeVar

from dassl.errors import UserError
from datasets.entries import Item, Split
from datasets.groups import group_of

T = TypeVar("T")
SHARES = (("train", 0.5), ("val", 0.2), ("test", 0.3))
PREFERENCE = ("train", "test", "val")  # which part a group goes to where all parts lack it equally


def divide(ordered: Sequence[T]) -> dict[str, Sequence[T]]:
    """Cut a list into the three parts, in its order.

    >>> {part: len(items) for part, items in divide("abcdefghij").items()}
    {'train': 5, 'val': 2, 'test': 3}
    """
    parts, first, share = {}, 0, 0.0
    for part, more in SHARES:
        share += more
        last = round(len(ordered) * share)
        parts[part], first = ordered[first:last], last
    return parts


def divide_items(items: Sequence[Item], groups: Mapping[str, str]) -> Split:
    """Divide the images of each class into the three parts, and put no group into two of them.

    The part of an image follows from a hash of its path, or of its group's name: it is the same on every machine, in
    whatever order files are listed.

    Args:
        items: all images of the data set.
        groups: group by path. An image without one is a group of its own; without any groups, images are divided one
            by one.

    Raises:
        UserError: all images of a class are of one group, or no division has every class in training and in test.
    """
    if groups:
        return _divide_groups(items, groups)
    split: Split = {part: [] for part, _ in SHARES}
    for label in sorted({item.label for item in items}):
        mine = sorted((item for item in items if item.label == label), key=lambda item: _hash(item.path))
        for part, some in divide(mine).items():
            split[part] += some
    return split


def _divide_groups(items: Sequence[Item], groups: Mapping[str, str]) -> Split:
    """Take the largest group first, and put each into the part that lacks most of its classes."""
    members: dict[str, list[Item]] = {}
    for item in sorted(items, key=lambda item: _hash(item.path)):
        members.setdefault(group_of(item.path, groups), []).append(item)
    total = Counter(item.classname for item in items)
    counts = {group: Counter(item.classname for item in mine) for group, mine in members.items()}
    _require_two_groups(counts, total)
    held: dict[str, Counter[str]] = {part: Counter() for part, _ in SHARES}
    shares = dict(SHARES)
    parts: dict[str, str] = {}

    def lack(part: str, classes: Counter[str]) -> float:
        shares_of = (
            (count / total[name], held[part][name] / (shares[part] * total[name])) for name, count in classes.items()
        )
        return sum(weight * (1 - filled) for weight, filled in shares_of)

    for group in sorted(members, key=lambda group: (-len(members[group]), _hash(group))):
        parts[group] = max(PREFERENCE, key=lambda part: lack(part, counts[group]))
        held[parts[group]] += counts[group]
    _move_until_complete(parts, counts, sorted(total))
    split: Split = {
        part: [item for group, own in parts.items() if own == part for item in members[group]] for part in held
    }
    return {part: sorted(mine, key=lambda item: item.label) for part, mine in split.items()}


def _require_two_groups(counts: Mapping[str, Counter[str]], classes: Iterable[str]) -> None:
    """Raise a UserError for a class whose images are all of one group."""
    for name in classes:
        if sum(name in mine for mine in counts.values()) < 2:
            raise UserError(
                f'Expected images of two patients (groups) or more in every class, but those of "{name}" are all of '
                "one: it cannot be learned and tested."
            )


def _move_until_complete(parts: dict[str, str], counts: Mapping[str, Counter[str]], classes: Sequence[str]) -> None:
    """Move groups, the smallest first, until every class is in training and in test.

    Args:
        parts: part by group; changed.
        counts: images of each class, by group.
        classes: all classes.

    Raises:
        UserError: a class is still missing.
    """

    def held(part: str) -> set[str]:
        return {name for group, own in parts.items() if own == part for name in counts[group]}

    for part in ("train", "test"):
        for name in classes:
            able = [group for group, own in parts.items() if own != part and name in counts[group]]
            for group in sorted(able, key=lambda g: (parts[g] != "val", counts[g].total(), _hash(g))):
                if name in held(part):
                    break
                source, before = parts[group], held(parts[group])
                parts[group] = part
                if source != "val" and held(source) != before:
                    parts[group] = source
    if missing := [name for name in classes if not (name in held("train") and name in held("test"))]:
        raise UserError(
            f'Expected images of every class for training and for test, but those of "{missing[0]}" are of so few '
            "patients (groups) that no division was found with no patient on both sides: add images of others, or "
            "leave the class out."
        )


def _hash(text: str) -> bytes:
    return hashlib.sha256(os.fsencode(text)).digest()
