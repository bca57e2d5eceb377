"""Read split files, and check every entry of a list of images before anything is done with it."""

import re
import unicodedata
from pathlib import Path
from typing import Any, NamedTuple

from dassl.console import shown
from dassl.errors import UserError
from dassl.names import check_name
from dassl.reading import MB, read_json

PARTS = ("train", "val", "test")
MOST = 1_000_000  # entries of a list
LIMIT = 256 * MB  # of a file of so many entries
SHAPE = '{"train": [[path, label, class name], ...], "val": ..., "test": ...}'

ABSOLUTE = re.compile(r"[A-Za-z]:|[/\\]")  # also a drive or a share of Windows
UPWARDS = re.compile(r"(?:^|[/\\])\.\.[. ]*(?:[/\\]|$)")  # Windows ignores dots and spaces at the end of a name
# Control characters, and surrogates that are not a byte of a file's name.
UNUSABLE = re.compile("[\x00-\x1f\x7f-\x9f\ud800-\udc7f\udd00-\udfff]")
WRONG = re.compile(rf"{UNUSABLE.pattern}|^(?:{ABSOLUTE.pattern})|{UPWARDS.pattern}|[/\\]$|^$")


class Item(NamedTuple):
    """An entry of a split: path relative to the image folder, label, class name."""

    path: str
    label: int
    classname: str


Split = dict[str, list[Item]]


def nfc(text: str) -> str:
    """Return `text` with one character for each letter with its accent: a Mac writes two."""
    return text if text.isascii() else unicodedata.normalize("NFC", text)


def relative_path(value: Any, where: str) -> str:
    r"""Return a path below some folder, with "/" between its parts.

    Args:
        value: read from a file.
        where: the file and the place in it, for errors.

    Raises:
        UserError: it is no text, empty, absolute, leads out of the folder, or has control characters.

    >>> relative_path(r"covid\1.png", "list.csv")
    'covid/1.png'
    """
    if isinstance(value, str) and not WRONG.search(value):
        return value.replace("\\", "/")
    wrong = "is no text"
    if isinstance(value, str):
        if UNUSABLE.search(value):
            wrong = "has characters that no file's name should have"
        elif ABSOLUTE.match(value):
            wrong = "is absolute"
        elif UPWARDS.search(value):
            wrong = 'leads out of the folder by ".."'
        else:
            wrong = "names no file"
    raise UserError(
        f"Expected paths relative to the folder of images, such as class/image.png, in {where}, but {shown(value)} "
        f"{wrong}: correct it."
    )


def read_entries(path: Path, way_out: str) -> Split:
    """Return the split in a JSON file.

    Args:
        path: the file.
        way_out: what to do if it is no split, as the end of an error.

    Raises:
        UserError: it cannot be read, is no split, is too long, or has a wrong entry; names file and entry.
    """
    found = read_json(path, LIMIT)
    if not isinstance(found, dict) or not all(isinstance(found.get(part, []), list) for part in PARTS):
        raise UserError(f"Expected {SHAPE} in {path}, but found something else: {way_out}")
    check_number(sum(len(found.get(part, [])) for part in PARTS), path)
    checked: dict[Any, str] = {}
    return {
        part: [_item(entry, f"{path}, {part}, entry {n}", way_out, checked) for n, entry in enumerate(found[part], 1)]
        if part in found
        else []
        for part in PARTS
    }


def check_number(count: int, path: Path) -> None:
    """Raise a UserError if a list has more entries than any data set of images."""
    if count > MOST:
        raise UserError(f"Expected at most {MOST:,} images in {path}, but it lists {count:,}: is it the right file?")


def _item(entry: Any, where: str, way_out: str, checked: dict[Any, str]) -> Item:
    """Return a checked entry; `checked` holds class names that were checked before, for speed."""
    if not isinstance(entry, list) or len(entry) != 3:
        raise UserError(f"Expected [path, label, class name] in {where}, but got {shown(entry)}: {way_out}")
    path, label, name = entry
    if isinstance(label, float) and label.is_integer():
        label = int(label)
    if type(label) is not int:  # True is an int too
        raise UserError(f"Expected a label such as 0 in {where}, but got {shown(label)}: {way_out}")
    if not isinstance(name, str) or name not in checked:
        checked[name if isinstance(name, str) else None] = nfc(check_name(name, "class", where))
    return Item(relative_path(path, where), label, checked[name])
