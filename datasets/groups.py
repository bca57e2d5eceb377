"""Groups of images that belong together, such as those of a patient: they must not be on both sides of a split."""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

from dassl.console import tell
from dassl.errors import UserError
from datasets.entries import Item
from datasets.listing import suffix_of
from datasets.rows import GROUP, PATH, Finder, read_table

FILE = "groups.csv"


def read_groups(folder: Path, paths: Sequence[str], pattern: str | None) -> dict[str, str]:
    """Return the group of each path, by a pattern or else by `<folder>/groups.csv`; nothing if there is neither.

    Args:
        folder: of the data set.
        paths: of its images, relative to the folder of images.
        pattern: regular expression that finds the group in a path, as its one pair of brackets; or None.

    Raises:
        UserError: the pattern is not a regular expression with one pair of brackets, or does not fit a path; or the
            table cannot be read.
    """
    if pattern is not None:
        return groups_by_pattern(str(pattern), paths)
    return groups_by_table(folder / FILE, paths) if (folder / FILE).is_file() else {}


def groups_by_pattern(pattern: str, paths: Sequence[str]) -> dict[str, str]:
    r"""Return the group that a regular expression finds in each path; raises as `read_groups`.

    >>> groups_by_pattern(r"/(P\d+)_", ["covid/P7_1.png", "normal/P8_1.png"])
    {'covid/P7_1.png': 'P7', 'normal/P8_1.png': 'P8'}
    """
    try:
        compiled = re.compile(pattern)
    except re.error as error:
        raise UserError(
            f"Expected a regular expression as DATASET.GROUP_PATTERN, but got {pattern} ({error}): correct it."
        ) from error
    if compiled.groups != 1:
        raise UserError(
            f"Expected one pair of brackets in DATASET.GROUP_PATTERN, but got {pattern}: put them around the part that "
            "names the patient."
        )
    found = {path: match[1] for path in paths if (match := compiled.search(path)) and match[1]}
    if len(found) < len(paths):
        first = next(path for path in paths if path not in found)
        raise UserError(
            f"Expected DATASET.GROUP_PATTERN {pattern} to find a patient in every path, but it finds none in "
            f"{len(paths) - len(found)} of {len(paths)}, the first is {first}: correct the pattern."
        )
    return found


def groups_by_table(file: Path, paths: Sequence[str]) -> dict[str, str]:
    """Return the group of each path that a table lists, and print how many images it lacks; raises as `read_groups`."""
    table = read_table(file)
    columns = [table.find(names)[:1] for names in (PATH, GROUP)]
    if not all(columns):
        raise UserError(
            f'Expected the columns "path" and "group" in {file}, but its columns are {table.columns()}: rename them.'
        )
    (path,), (group,) = columns
    finder = Finder(paths, file.parent.resolve().name, suffix_of)
    found: dict[str, str] = {}
    others = 0
    for line, cells in table.rows:
        image = finder.find(cells[path], table.where(line))
        if image is None:
            others += 1
        elif found.setdefault(image, cells[group]) != cells[group]:
            raise UserError(
                f"Expected one group for each image, but {table.where(line)} has another for {image}: correct it."
            )
    found = {image: name for image, name in found.items() if name}
    if others:
        tell(f"{others} rows of {file} name no image of this data set: left out")
    if lacking := len(paths) - len(found):
        tell(f"{lacking} images have no group in {file}: each is taken for a group of its own")
    return found


def group_of(path: str, groups: Mapping[str, str]) -> str:
    """Return the group of an image; an image without one is a group of its own, with a name that no patient has."""
    return groups.get(path, f"\0{path}")


def spread(items: Sequence[Item], groups: Mapping[str, str]) -> list[Item]:
    """Reorder items so that every group comes once before any comes twice; otherwise their order stays.

    >>> [item.path for item in spread([Item(path, 0, "x") for path in "abc"], {"a": "1", "b": "1", "c": "2"})]
    ['a', 'c', 'b']
    """
    seen: Counter[str] = Counter()
    turns = []
    for item in items:
        name = group_of(item.path, groups)
        turns.append(seen[name])
        seen[name] += 1
    return [items[i] for i in sorted(range(len(items)), key=turns.__getitem__)]
