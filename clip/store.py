"""The feature store as files: what it holds of each backbone, and how it is cleared.

    <root>/digests.tsv, pixels.tsv                 digests of image files
    <root>/<fingerprint>[-<precision>]/            features of one backbone
        backbone.txt                               names under which it was used, one per line
        images-<digest>/, texts/, vocabulary/      tables, `RowStore`
        notes-<digest>/

Only files with names of this form are counted and deleted, and no link is followed below the root.
"""

import re
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

import numpy as np

from clip.row_store import keys_of
from dassl.console import printable
from dassl.errors import UserError
from dassl.names import shared_name
from dassl.reading import read_text
from dassl.writing import open_to_append

NOTE = "backbone.txt"
MEMOS = ("digests.tsv", "pixels.tsv")
REVISIONS = "revisions.json"  # of `clip.revisions`; it is no feature, and stays
BACKBONE = re.compile(r"[0-9a-f]{16}(?:-(?P<precision>[a-z0-9]+))?", re.ASCII)  # Backbone.fingerprint
TABLE = re.compile(r"(?:images|notes)-[0-9a-f]{16}|texts|vocabulary", re.ASCII)
ROWS = re.compile(r"[0-9a-f]{32}\.rows", re.ASCII)
LONGEST_NOTE = 10_000  # bytes that are read
DIGEST = 16  # bytes of a key that stand for the content; those of an image's view follow


class Stored(NamedTuple):
    """What a store holds of one backbone.

    Attributes:
        folder: its fingerprint, followed by the precision unless it is fp32.
        names: under which it was used, as far as this was noted.
        precision: of the towers.
        images: number of different image files.
        views: number of features of images: several transforms and random views of a file count each.
        texts: number of texts.
        size: bytes.
        files: all files of features.
    """

    folder: str
    names: tuple[str, ...]
    precision: str
    images: int
    views: int
    texts: int
    size: int
    files: tuple[Path, ...]

    def is_called(self, word: str) -> bool:
        """Return whether a user who says `word` means this backbone: by a name of it, or by its folder."""
        return word == self.folder or shared_name(word) in self.names


def note_name(folder: Path, name: str) -> None:
    """Note the name of a backbone in its folder of a store, for people; of a path only the last part is noted.

    A store that cannot be written is used without.
    """
    name = printable(shared_name(name))
    with suppress(UserError, OSError):
        if name not in names_of(folder):
            with open_to_append(folder / NOTE, private=True) as file:
                file.write(f"{name}\n".encode())


def names_of(folder: Path) -> tuple[str, ...]:
    """Return the names that were noted in a backbone's folder; none in stores of earlier versions."""
    try:
        text = read_text(folder / NOTE, LONGEST_NOTE, links=False, strict=False, first=True)
    except (UserError, OSError):
        return ()
    return tuple(dict.fromkeys(filter(None, (printable(line.strip()) for line in text.splitlines()))))


def is_store(root: Path) -> bool:
    """Return whether a folder holds what a feature store leaves there."""
    return any((root / name).is_file() for name in (*MEMOS, REVISIONS)) or any(_folders(root, BACKBONE))


def stored(root: Path) -> list[Stored]:
    """Return what a store holds of each backbone, the largest first; damaged files count in `size` alone."""
    found = [_stored(folder) for folder in _folders(root, BACKBONE)]
    return sorted((each for each in found if each.files), key=lambda each: (-each.size, each.folder))


def memos(root: Path) -> list[Path]:
    """Return the files of digests in a store."""
    return [path for name in MEMOS if (path := root / name).is_file() and not path.is_symlink()]


def others(root: Path) -> list[Path]:
    """Return what lies in a store, or in the folder of a backbone there, and is none of its own; links are others."""
    backbones = list(_folders(root, BACKBONE))
    own = {*backbones, *memos(root), root / REVISIONS, *(folder / NOTE for folder in backbones)}
    own |= {table for folder in backbones for table in _folders(folder, TABLE)}
    return [path for folder in (root, *backbones) for path in sorted(folder.iterdir()) if path not in own]


def clear(files: Sequence[Path]) -> None:
    """Delete files of a store.

    Folders stay, so that another process that uses the store finds them: it computes anew what is gone, and what it
    writes meanwhile stays.
    """
    for path in files:
        path.unlink(missing_ok=True)


def size_of(files: Sequence[Path]) -> int:
    """Return the bytes of files; one that has just been removed has none."""
    total = 0
    for path in files:
        with suppress(FileNotFoundError):
            total += path.stat().st_size
    return total


def _stored(folder: Path) -> Stored:
    match = BACKBONE.fullmatch(folder.name)
    held = {
        table.name: [path for path in sorted(table.iterdir()) if _is_rows(path)] for table in _folders(folder, TABLE)
    }
    files = [path for each in held.values() for path in each]
    views = _keys([path for name, each in held.items() if name.startswith("images-") for path in each])
    return Stored(
        folder.name,
        names_of(folder),
        (match and match["precision"]) or "fp32",
        len(np.unique(views.astype(f"S{DIGEST}"))),
        len(views),
        len(np.unique(_keys(held.get("texts", [])))),
        size_of(files),
        tuple(files),
    )


def _keys(files: Sequence[Path]) -> np.ndarray:
    """Return the keys of all rows in files, those of different tables too."""
    return np.concatenate([np.array([], "S1"), *map(keys_of, files)])


def _is_rows(path: Path) -> bool:
    return bool(ROWS.fullmatch(path.name)) and path.is_file() and not path.is_symlink()


def _folders(parent: Path, name: re.Pattern) -> Iterator[Path]:
    """Yield the folders in `parent` whose names match, and which are no links."""
    for path in sorted(parent.iterdir()) if parent.is_dir() else ():
        if name.fullmatch(path.name) and path.is_dir() and not path.is_symlink():
            yield path
