"""List the files below a folder, and tell which of them are images."""

import os
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from dassl.errors import UserError
from dassl.images import SUFFIXES, is_dicom
from datasets.entries import UNUSABLE, nfc

DRAWS = "split_fewshot"  # our own folder beside a user's images
IGNORED = {"__MACOSX", "Thumbs.db", "desktop.ini", "split_fewshot"}  # of operating systems, and our draws
LINKS = ("inside", "anywhere")
TEXTS = (".txt", ".csv", ".tsv", ".json", ".xml", ".md", ".yaml", ".yml", ".html", ".pdf", ".log")  # never DICOM
HIDDEN, BROKEN = "hidden", "broken links"
MASKS = "mask"  # name of a folder beside pictures that holds masks of their lesions


def suffix_of(name: str) -> str:
    """Return the suffix of a file's name if it is one of an image, else "".

    >>> suffix_of("scan.PNG"), suffix_of("1.2.840.113619")
    ('.png', '')
    """
    suffix = name[name.rfind(".") :].lower()  # many times as fast as a Path's
    return suffix if suffix in SUFFIXES else ""


class Found(NamedTuple):
    """The content of a folder.

    Attributes:
        images: paths below the root.
        left_out: number of other things, by kind.
    """

    images: list[str]
    left_out: Counter[str]


class Listing:
    """The files below a folder; `find` reads each folder in it only once.

    Args:
        root: the folder.
        links: "inside" if links must lead to files below `root`, else "anywhere".

    Raises:
        UserError: `links` is another word. All methods raise one for a link that leads out of `root` and must not.
    """

    def __init__(self, root: str | Path, links: str = "inside"):
        if links not in LINKS:
            raise UserError(f'Expected DATASET.LINKS to be one of {", ".join(LINKS)}, but got "{links}".')
        self.root, self.anywhere = Path(root), links == "anywhere"
        self.base = os.path.realpath(root)
        self.known: set[str] = set()  # files of the data set that are no images, such as its table
        self.folders: dict[str, dict[str, bool]] = {}
        self.composed: dict[str, dict[str, str]] = {}
        self.places: dict[str, str | None] = {"": ""}

    def find(self, path: str) -> str | None:
        """Return a relative path as the disk spells it; None if there is no such file."""
        folder, _, name = path.rpartition("/")
        place = self._place(folder)
        return None if place is None else self._step(place, name)

    def check_link(self, path: str) -> None:
        """Raise a UserError if `path`, a link below the root, leads out of it and must not."""
        if self.anywhere:
            return
        target = os.path.realpath(self.root / path)
        if target != self.base and not target.startswith(self.base.rstrip(os.sep) + os.sep):
            raise UserError(
                f"Expected the files themselves in {self.root}, but {path} is a link that leads out of it: put the "
                "files there, or set DATASET.LINKS anywhere if the link is yours."
            )

    def images(self, folder: str = "", nested: bool = False) -> Found:
        """Return the images in a folder below the root, sorted by name; masks of lesions are none.

        A folder called `mask` holds masks if it lies in `folder` at any depth, or beside images anywhere.

        Args:
            folder: relative to the root.
            nested: also take the images of folders in it; otherwise these folders are counted as left out.
        """
        return self._images(folder, nested, bool(folder), set())

    def _images(self, folder: str, nested: bool, masked: bool, entered: set[str]) -> Found:
        found, entries = Found([], Counter()), list(self._entries(folder))
        for entry in entries:
            path = f"{folder}/{entry.name}" if folder else entry.name
            if path in self.known or entry.name == DRAWS:
                continue
            if reason := self._unusable(entry):
                found.left_out[reason] += 1
            elif entry.name == MASKS and entry.is_dir() and (masked or any(map(self._is_image, entries))):
                found.left_out[f'folders of masks ("{MASKS}")'] += 1
            elif entry.is_dir():
                if entry.is_symlink():
                    self.check_link(path)
                place = os.path.realpath(entry.path) if nested else ""
                if not nested:
                    found.left_out[f'folders ("{entry.name}")'] += 1
                elif place not in entered:  # a link may lead to a folder above it
                    deeper = self._images(path, nested, masked, entered | {place})
                    found.images.extend(deeper.images)
                    found.left_out.update(deeper.left_out)
            elif self._is_image(entry):
                if entry.is_symlink():
                    self.check_link(path)
                found.images.append(path)
            else:
                kind = Path(entry.name).suffix.lower()
                found.left_out[f"{kind} files" if 1 < len(kind) <= 10 else "files without a suffix"] += 1
        return found

    def subfolders(self, folder: str = "") -> list[str]:
        """Return the sorted names of the folders in a folder, without hidden ones."""
        return [entry.name for entry in self._entries(folder) if entry.is_dir() and self._unusable(entry) != HIDDEN]

    def broken_links(self, folder: str = "") -> list[str]:
        """Return the names of the links in a folder that lead nowhere."""
        return [entry.name for entry in self._entries(folder) if self._unusable(entry) == BROKEN]

    @classmethod
    def _is_image(cls, entry: os.DirEntry[str]) -> bool:
        """Return whether a name is that of a file that is read as an image."""
        if cls._unusable(entry) or not entry.is_file():
            return False
        return bool(suffix_of(entry.name)) or (not entry.name.lower().endswith(TEXTS) and is_dicom(entry.path))

    @staticmethod
    def _unusable(entry: os.DirEntry[str]) -> str:
        """Return why a name is left out; "" if it is not."""
        if entry.name.startswith(".") or entry.name in IGNORED:
            return HIDDEN
        if "\\" in entry.name or UNUSABLE.search(entry.name):
            return "names with a backslash or control characters"
        if entry.is_symlink() and not os.path.exists(entry.path):  # noqa: PTH110
            return BROKEN
        return "" if entry.is_file() or entry.is_dir() else "pipes or devices"

    def _entries(self, folder: str) -> Iterator[os.DirEntry[str]]:
        """Return the entries of a folder, sorted by name."""
        try:
            with os.scandir(self.root / folder) as entries:
                return iter(sorted(entries, key=lambda entry: entry.name))
        except OSError as error:
            raise UserError(
                f"Expected a readable folder at {self.root / folder}, but got: {error.strerror}: check its rights."
            ) from error

    def _names(self, place: str) -> dict[str, bool]:
        """Return the names in a folder, and whether they are links."""
        if place not in self.folders:
            try:
                with os.scandir(self.root / place) as entries:
                    self.folders[place] = {entry.name: entry.is_symlink() for entry in entries}
            except OSError:
                self.folders[place] = {}
        return self.folders[place]

    def _spelled(self, place: str, name: str) -> str | None:
        """Return a name in a folder as the disk spells it; None if there is none."""
        names = self._names(place)
        if name in names or name.isascii():
            return name if name in names else None
        if place not in self.composed:
            self.composed[place] = {nfc(other): other for other in names}
        return self.composed[place].get(nfc(name))

    def _place(self, folder: str) -> str | None:
        """Return a folder as the disk spells it; None if there is none."""
        if folder not in self.places:
            parent, _, name = folder.rpartition("/")
            place = self._place(parent)
            self.places[folder] = place if place is None or name in ("", ".") else self._step(place, name)
        return self.places[folder]

    def _step(self, place: str, name: str) -> str | None:
        """Return the path of a name in a folder, as the disk spells both; None if there is none."""
        spelled = self._spelled(place, name)
        if spelled is None:
            return None
        found = f"{place}/{spelled}" if place else spelled
        if self.folders[place][spelled]:
            self.check_link(found)
        return found
