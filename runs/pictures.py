"""Find the pictures that a command names: files, folders of them, and tables that list them."""

from collections import Counter
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from typing import NamedTuple

from dassl.errors import UserError
from datasets.entries import relative_path
from datasets.listing import Listing, suffix_of
from datasets.own import list_counts
from datasets.rows import PATH, Finder, read_table

TABLES = (".csv", ".tsv")


class Picture(NamedTuple):
    """A picture that was asked for: its path, or "" and why there is none, in a sentence."""

    name: str  # to be shown
    path: str
    error: str = ""


def find_pictures(words: Sequence[str], links: str = "inside") -> tuple[list[Picture], list[str]]:
    """Return all pictures that words name, in their order, and lines about what is left out.

    A word is a picture; a folder, whose pictures are taken at any depth but for masks, which are in folders called mask
    beside pictures; or a table (.csv, .tsv) with a column of paths, relative to its own folder.

    Args:
        words: the words.
        links: as DATASET.LINKS: "inside" if links in a folder must lead to files below it, else "anywhere".

    Raises:
        UserError: a folder cannot be listed, or a table cannot be read; or a link leads out of its folder.
    """
    found: list[Picture] = []
    lines: list[str] = []
    for word in words:
        path = Path(word)
        if path.is_dir():
            pictures, left_out = _in_folder(path, links)
            lines += [f"Left out in {word}: {list_counts(left_out)}"] if left_out else []
            lines += [] if pictures else [f"No pictures in {word}"]
        elif path.suffix.lower() in TABLES:
            pictures = _in_table(path, links)
        else:
            pictures = [Picture(word, word)]
        found += pictures
    return found, lines


def _in_folder(folder: Path, links: str) -> tuple[list[Picture], Counter[str]]:
    """Return the pictures in a folder, and how many other things there are, by kind."""
    images, left_out = Listing(folder, links).images(nested=True)
    return [Picture(str(folder / image), str(folder / image)) for image in images], left_out


def _in_table(file: Path, links: str) -> list[Picture]:
    """Return the picture of each row of a table."""
    try:
        table = read_table(file)
    except FileNotFoundError as error:
        raise UserError(f"Expected a table at {file}, but there is no file: correct the path.") from error
    columns = table.find(PATH)
    if not columns:
        raise UserError(
            f"Expected a column with the pictures in {file}, called {', '.join(PATH[:3])}, ..., but its columns are "
            f"{table.columns()}: rename it."
        )
    listing = Listing(file.parent, links)

    @cache
    def finder() -> Finder:
        """Return what finds files by their names; it lists the whole folder."""
        return Finder(listing.images(nested=True).images, file.resolve().parent.name, suffix_of)

    return [_of_row(cells[columns[0]], table.where(line), listing, finder) for line, cells in table.rows]


def _of_row(cell: str, where: str, listing: Listing, finder: Callable[[], Finder]) -> Picture:
    """Return the picture that a cell names: by its path, or else by its file name, with or without suffix."""
    try:
        image = listing.find(relative_path(cell, where).removeprefix("./"))
        image = finder().find(cell, where) if image is None else image
    except UserError as error:
        return Picture(cell, "", str(error))
    if image is None:
        return Picture(cell, "", f'Expected a picture below {listing.root}, but {where} names none ("{cell}").')
    return Picture(cell, str(listing.root / image))
