"""Splits: read from a file, checked against the classes, and cut down to base or novel classes."""

import hashlib
import json
import posixpath
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

from dassl.console import tell
from dassl.errors import UserError
from datasets.entries import PARTS, Item, Split, nfc, read_entries
from datasets.groups import group_of


def read_split(path: Path, classes: Sequence[str], way_out: str) -> Split:
    """Return the split in a JSON file, checked against the classes in the order of labels.

    Args:
        path: the file.
        classes: names of the classes.
        way_out: what to do if the file is not a split of these classes, as the end of an error.

    Raises:
        UserError: there is no such file, or it holds no split of these classes; see also `require_classes` and
            `check_paths`.
    """
    if not path.is_file():
        raise UserError(f"Expected the split file {path}, but there is none: {way_out}")
    split, names = read_entries(path, way_out), dict(enumerate(classes))
    for item in (item for items in split.values() for item in items):
        if names.get(item.label) != item.classname:
            raise UserError(
                f"Expected the classes {names} in {path}, but {item.path} has label {item.label!r} "
                f'"{item.classname}": {way_out}'
            )
    require_classes(split, classes, path.parent, way_out)
    check_paths(split, path)
    return split


def require_classes(split: Split, classes: Sequence[str], folder: Path, way_out: str) -> None:
    """Raise a UserError for a class without training images or without test images."""
    for part in ("train", "test"):
        held = {item.classname for item in split[part]}
        for name in classes:
            if name not in held:
                raise UserError(
                    f'Expected images of every class for training and test, but "{name}" in {folder} has none '
                    f"for {part}: {way_out}"
                )


def check_paths(split: Split, source: Path) -> None:
    """Check that no image has two labels or is both for training and for test; print other overlaps.

    Args:
        split: the split.
        source: the file that it is from.

    Raises:
        UserError: an image has two labels, or is both for training and for test; names it.
    """
    known: dict[str, Item] = {}
    parts: dict[str, set[str]] = {part: set() for part in split}
    for part, items in split.items():
        for item in items:
            path = _normal(item.path)
            first = known.setdefault(path, item)
            if first.label != item.label:
                raise UserError(
                    f'Expected one label for each image, but {source} lists {item.path} as "{first.classname}" and as '
                    f'"{item.classname}": correct it.'
                )
            parts[part].add(path)
    train, val, test = (parts.get(part, set()) for part in PARTS)
    if both := sorted(train & test):
        raise UserError(
            f"Expected images either for training or for test, but {source} lists {len(both)} for both, the first is "
            f"{both[0]}: correct it."
        )
    if shared := val & (train | test):
        tell(f"{len(shared)} validation images of {source} are for training or test too, as it says")


def drop_repeats(split: Split, source: Path) -> Split:
    """Return the split with the first entry of each path in each part, and print how many others there were."""
    kept = {
        part: list({_normal(item.path): item for item in reversed(items)}.values())[::-1]
        for part, items in split.items()
    }
    repeats = sum(map(len, split.values())) - sum(map(len, kept.values()))
    if repeats:
        tell(f"{repeats} entries of {source} are repeats of others: left out")
    return kept


def hash_split(split: Split, groups: Mapping[str, str]) -> str:
    """Return 16 hexadecimal digits of a hash of the split, and of the groups if there are any."""
    value = [split, sorted(groups.items())] if groups else split
    return hashlib.sha256(json.dumps(value).encode()).hexdigest()[:16]


def print_counts(split: Split, classes: Sequence[str], groups: Mapping[str, str]) -> None:
    """Print the number of images of each class and the number of groups in each part."""
    counts = {part: Counter(item.classname for item in items) for part, items in split.items()}
    several = (f"{name} {'/'.join(str(counts[part][name]) for part in PARTS)}" for name in classes)
    print(f"Images for training/validation/test: {', '.join(several)}")
    if groups:
        named = [{group_of(item.path, groups) for item in split[part]} for part in PARTS]
        print(f"Groups (patients) for training/validation/test: {'/'.join(str(len(some)) for some in named)}")


def base_classes(count: int) -> int:
    """Return how many of `count` classes are base classes: half of them, and the one in the middle.

    >>> base_classes(4), base_classes(5)
    (2, 3)
    """
    return -(-count // 2)


def has_novel_classes(count: int) -> bool:
    """Tell whether `count` classes leave the two novel ones or more that base to novel needs.

    >>> has_novel_classes(4), has_novel_classes(3)
    (True, False)
    """
    return count - base_classes(count) >= 2


def subsample(split: Split, classes: Sequence[str], which: str, key: str) -> Split:
    """Return the entries of some classes, labelled from 0.

    Args:
        split: the split.
        classes: all classes in the order of labels.
        which: "all"; "base", the first half of them; or "new", the second half for test, and still the first for
            training and validation, so that nothing but the test has images of novel classes.
        key: of the data set, for errors.

    Raises:
        UserError: `which` is another word, or there are fewer than two novel classes.
    """
    half = base_classes(len(classes))
    choices = {"all": list(classes), "base": list(classes[:half]), "new": list(classes[half:])}
    if which not in choices:
        raise UserError(f'Expected SUBSAMPLE_CLASSES to be one of {", ".join(choices)}, but got "{which}": correct it.')
    if which != "all" and not has_novel_classes(len(classes)):
        raise UserError(
            f"Expected at least two novel classes, but {key} has {len(classes)} classes in all: base to novel is not "
            "defined for it."
        )
    kept = {}
    for part, items in split.items():
        names = choices["base" if which == "new" and part != "test" else which]
        labels = {name: label for label, name in enumerate(names)}
        kept[part] = [
            Item(item.path, labels[item.classname], item.classname) for item in items if item.classname in labels
        ]
    return kept


def _normal(path: str) -> str:
    """Return one spelling for all spellings of a path."""
    return nfc(posixpath.normpath(path))
