"""Groups of images that belong together, such as those of a patient: they must not be on both sides of a split."""

import hashlib
import os
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

from dassl.errors import UserError
from datasets.entries import Item, Split
from datasets.listing import suffix_of
from datasets.rows import GROUP, PATH, Finder, read_table
from datasets.shares import SHARES, divide

FILE = "groups.csv"


def read_groups(folder: Path, paths: Sequence[str], pattern: str | None) -> dict[str, str]:
    """The group of each path: by a pattern, else by `<folder>/groups.csv`; nothing where there is neither.

    Args:
        folder: of the data set.
        paths: of its images, relative to the folder of images.
        pattern: regular expression that finds the group in a path, as its one pair of brackets; or None.

    Raises:
        UserError: the pattern is none, or does not fit a path; the table is none.
    """
    if pattern is not None:
        return by_pattern(str(pattern), paths)
    return by_table(folder / FILE, paths) if (folder / FILE).is_file() else {}


def by_pattern(pattern: str, paths: Sequence[str]) -> dict[str, str]:
    r"""The group of each path; raises as `read_groups`.

    >>> by_pattern(r"/(P\d+)_", ["covid/P7_1.png", "normal/P8_1.png"])
    {'covid/P7_1.png': 'P7', 'normal/P8_1.png': 'P8'}
    """
    try:
        compiled = re.compile(pattern)
    except re.error as error:
        raise UserError(
            f"Expected a regular expression as DATASET.GROUP_PATTERN, but got {pattern} ({error})."
        ) from error
    if compiled.groups != 1:
        raise UserError(
            f"Expected one pair of brackets in DATASET.GROUP_PATTERN, around what names the patient, but got {pattern}."
        )
    found = {path: match[1] for path in paths if (match := compiled.search(path)) and match[1]}
    if len(found) < len(paths):
        first = next(path for path in paths if path not in found)
        raise UserError(
            f"Expected DATASET.GROUP_PATTERN {pattern} to find a patient in every path, but it finds none in "
            f"{len(paths) - len(found)} of {len(paths)}, the first is {first}: correct the pattern."
        )
    return found


def by_table(file: Path, paths: Sequence[str]) -> dict[str, str]:
    """The group of each path that a table lists; says how many images it leaves out; raises as `read_groups`."""
    table = read_table(file)
    columns = [table.find(names)[:1] for names in (PATH, GROUP)]
    if not all(columns):
        raise UserError(f'Expected the columns "path" and "group" in {file}, but its columns are {table.columns()}.')
    (path,), (group,) = columns
    finder, found = Finder(paths, file.parent.resolve().name, suffix_of), {}
    others = 0
    for line, cells in table.rows:
        image = finder.find(cells[path], table.where(line))
        if image is None:
            others += 1
        elif found.setdefault(image, cells[group]) != cells[group]:
            raise UserError(f"Expected one group for each image, but {table.where(line)} has another for {image}.")
    found = {image: name for image, name in found.items() if name}
    if others:
        print(f"{others} rows of {file} name no image of this data set: left out")
    if lacking := len(paths) - len(found):
        print(f"{lacking} images have no group in {file}: each is taken for a group of its own")
    return found


def alone(path: str) -> str:
    """The group of an image that has none; no patient is called so."""
    return f"\0{path}"


def divide_items(items: Sequence[Item], groups: Mapping[str, str]) -> Split:
    """Training, validation and test from one list: 50, 20 and 30 per cent of each class, and no group on two sides.

    What comes where follows from a hash of the paths, or of the groups' names: the same on every machine, whatever the
    order in which files are listed.

    Args:
        items: of the whole data set.
        groups: group by path; one that is missing is a group of its own. Without any, images are divided one by one.

    Raises:
        UserError: all images of a class are of one group, or no way was found to learn and test every class.
    """
    if groups:
        return _divide_groups(items, groups)
    split: Split = {part: [] for part, _ in SHARES}
    for label in sorted({item.label for item in items}):
        mine = sorted((item for item in items if item.label == label), key=lambda item: _by_chance(item.path))
        for part, some in divide(mine).items():
            split[part] += some
    return split


def _divide_groups(items: Sequence[Item], groups: Mapping[str, str]) -> Split:
    """The largest group first, each to the part that lacks most of the group's classes."""
    members: dict[str, list[Item]] = {}
    for item in sorted(items, key=lambda item: _by_chance(item.path)):
        members.setdefault(groups.get(item.path, alone(item.path)), []).append(item)
    total = Counter(item.classname for item in items)
    for name in total:
        if sum(any(item.classname == name for item in mine) for mine in members.values()) < 2:
            raise UserError(
                f'Expected images of two patients (groups) or more in every class, but those of "{name}" are all of '
                "one: it cannot be learned and tested."
            )
    held: dict[str, Counter] = {part: Counter() for part, _ in SHARES}
    parts: dict[str, str] = {}
    classes_of = {name: Counter(item.classname for item in mine) for name, mine in members.items()}
    order = ("train", "test", "val")  # who comes first where all lack the same
    shares = dict(SHARES)

    def lack(part: str, classes: Counter) -> float:
        shares_of = (
            (count / total[name], held[part][name] / (shares[part] * total[name])) for name, count in classes.items()
        )
        return sum(weight * (1 - filled) for weight, filled in shares_of)

    for name in sorted(members, key=lambda name: (-len(members[name]), _by_chance(name))):
        parts[name] = max(order, key=lambda part: lack(part, classes_of[name]))
        held[parts[name]] += classes_of[name]
    _mend(parts, classes_of, sorted(total))
    split: Split = {
        part: [item for name, own in parts.items() if own == part for item in members[name]] for part in held
    }
    return {part: sorted(mine, key=lambda item: item.label) for part, mine in split.items()}


def _mend(parts: dict[str, str], classes_of: Mapping[str, Counter[str]], every: Sequence[str]) -> None:
    """Move groups, the smallest first, until every class is in training and in test.

    Args:
        parts: part by group; changed.
        classes_of: how many images of which class each group has.
        every: all classes.

    Raises:
        UserError: a class is still missing.
    """

    def held(part: str) -> set[str]:
        return {name for group, own in parts.items() if own == part for name in classes_of[group]}

    for part in ("train", "test"):
        for name in every:
            able = [group for group, own in parts.items() if own != part and name in classes_of[group]]
            for group in sorted(able, key=lambda g: (parts[g] != "val", classes_of[g].total(), _by_chance(g))):
                if name in held(part):
                    break
                source, before = parts[group], held(parts[group])
                parts[group] = part
                if source != "val" and held(source) != before:
                    parts[group] = source
    if missing := [name for name in every if not (name in held("train") and name in held("test"))]:
        raise UserError(
            f'Expected images of every class for training and for test, but those of "{missing[0]}" are of so few '
            "patients (groups) that no division was found with no patient on both sides: add images of others, or "
            "leave the class out."
        )


def _by_chance(text: str) -> bytes:
    return hashlib.sha256(os.fsencode(text)).digest()


def spread(order: Sequence[Item], groups: Mapping[str, str]) -> list[Item]:
    """Items in an order in which every group comes once before any comes twice; else as they were.

    >>> [item.path for item in spread([Item(path, 0, "x") for path in "abc"], {"a": "1", "b": "1", "c": "2"})]
    ['a', 'c', 'b']
    """
    seen: Counter[str] = Counter()
    turns = []
    for item in order:
        name = groups.get(item.path, alone(item.path))
        turns.append(seen[name])
        seen[name] += 1
    return [order[i] for i in sorted(range(len(order)), key=turns.__getitem__)]
