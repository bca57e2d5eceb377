"""Read CSV and TSV tables of any dialect, find the columns that are meant, and the files that cells name."""

import csv
import io
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import chain
from pathlib import Path
from typing import NamedTuple

from dassl.console import printable
from dassl.errors import UserError
from dassl.reading import read_text
from datasets.entries import LIMIT, check_number, nfc, relative_path

DELIMITERS = ",;\t"
SEVERAL = "|;["  # marks of cells that hold several labels

# Usual names of columns, in the order in which they are taken; case, spaces and hyphens do not matter.
# fmt: off
PATH = [
    "path", "image_path", "file_path", "filepath", "filename", "file_name", "file", "image_file", "image_name",
    "image_id", "image_index", "image", "img", "img_id", "img_name", "isic_id", "id_code", "id",
]
LABEL = [
    "label", "class", "class_name", "classname", "dx", "diagnosis", "diagnoses", "finding", "finding_labels",
    "findings", "labels", "target", "category",
]
SPLIT = ["split", "set", "fold", "partition", "subset", "part"]
GROUP = [
    "patient", "patient_id", "patientid", "subject", "subject_id", "subjectid", "participant", "participant_id",
    "group", "group_id", "case", "case_id", "lesion", "lesion_id",
]
# fmt: on


class Table(NamedTuple):
    """A table that was read.

    Attributes:
        path: of its file.
        header: names of its columns.
        rows: number of the line, and cells, of each row.
    """

    path: Path
    header: list[str]
    rows: list[tuple[int, list[str]]]

    def where(self, line: int) -> str:
        """Return the place of a row, for errors."""
        return f"{self.path}, line {line}"

    def find(self, names: Sequence[str], wanted: str | None = None, setting: str = "") -> list[int]:
        """Return the places of columns.

        Args:
            names: of columns, the most usual first.
            wanted: name of the only column that will do; None for all columns that have one of `names`.
            setting: that names `wanted`, for errors.

        Raises:
            UserError: there is no column `wanted`.
        """
        header = [_plain(name) for name in self.header]
        if wanted is None:
            return [place for name in names for place, other in enumerate(header) if other == name]
        places = [place for place, name in enumerate(header) if name == _plain(str(wanted))]
        if not places:
            raise UserError(
                f'Expected a column "{wanted}" in {self.path} ({setting}), but its columns are {self.columns()}: '
                "correct it."
            )
        return places

    def columns(self) -> str:
        """Return the names of the columns, for errors."""
        return ", ".join(f'"{printable(name)[:50]}"' for name in self.header[:50])

    def column(self, place: int) -> Iterator[str]:
        """Yield the cells of a column."""
        return (cells[place] for _, cells in self.rows)


def read_rows(
    lines: Iterable[str], path: Path, delimiters: str = DELIMITERS, strict: bool = True
) -> Iterator[tuple[int, list[str]]]:
    r"""Yield the number of the line and the stripped cells of each row, as it is read; the first row is the header.

    Args:
        lines: of the table.
        path: of its file, for errors.
        delimiters: that it may have; whichever divides the first line most is taken.
        strict: raise for a quote that is not closed.

    Raises:
        UserError: a line is not a row of a table; names the line.

    >>> list(read_rows(["path;label\n", "1.png; covid\n"], Path("labels.csv")))
    [(1, ['path', 'label']), (2, ['1.png', 'covid'])]
    """
    rest = iter(lines)
    first = next(rest, "")
    delimiter = max(delimiters, key=lambda mark: len(next(csv.reader([first], delimiter=mark), [])))
    reader = csv.reader(chain([first], rest), delimiter=delimiter, strict=strict)
    try:
        for cells in reader:
            yield reader.line_num, [cell.strip() for cell in cells]
    except csv.Error as error:
        raise UserError(
            f"Expected a table in {path}, but line {reader.line_num} is no row of it ({error}): correct it."
        ) from error


def read_table(path: str | Path) -> Table:
    """Return a table whose first line names its columns, without empty lines.

    Raises:
        UserError: it is no text or no table, has a quote that is not closed, or a row of another length; names the
            line.
    """
    path = Path(path)
    lines = io.StringIO(read_text(path, LIMIT), newline="")
    rows = [(line, [nfc(cell) for cell in cells]) for line, cells in read_rows(lines, path) if any(cells)]
    if len(rows) < 2:
        raise UserError(
            f"Expected a line with the names of columns and more below it in {path}, but got none: is it the right "
            "file?"
        )
    (_, header), *rows = rows
    check_number(len(rows), path)
    table = Table(path, header, rows)
    for line, cells in rows:
        if len(cells) != len(header):
            raise UserError(
                f"Expected {len(header)} cells in {table.where(line)}, as in its first line, but got {len(cells)}: "
                "correct it (a cell that holds the delimiter needs quotes)."
            )
    return table


def number(cell: str) -> int | None:
    """Return the whole number that a cell holds, or None.

    >>> number("1.0"), number("-1"), number("nv")
    (1, -1, None)
    """
    try:
        value = float(cell)
    except ValueError:
        return None
    return int(value) if value.is_integer() else None


class Finder:
    """Finds files by the names that tables have for them: path, file name, or name without suffix.

    Args:
        paths: of the files, relative to their folder.
        folder: name of that folder, with which paths in tables sometimes begin.
        suffix: returns the suffix of a name, or "" if it has none that counts.
    """

    def __init__(self, paths: Sequence[str], folder: str, suffix: Callable[[str], str]):
        self.folder = folder
        self.known: dict[str, list[str]] = {}
        for path in paths:
            name = path.rsplit("/", 1)[-1]
            ending = suffix(name)
            for key in {path, name, name[: len(name) - len(ending)], path[: len(path) - len(ending)]}:
                self.known.setdefault(_key(key), []).append(path)

    def find(self, value: str, where: str) -> str | None:
        """Return the one file that a cell names, or None.

        Raises:
            UserError: the cell may mean several files, or leads out of the folder; names the row and the files.
        """
        wanted = relative_path(value, where).removeprefix("./")
        for name in (wanted, wanted.removeprefix(f"{self.folder}/")):
            found = self.known.get(_key(name), [])
            if len(found) > 1:  # names that differ in capitals, or one that is another without its suffix
                found = [path for path in found if nfc(path) == nfc(name)] or found
            if len(found) > 1:
                raise UserError(
                    f'Expected one image for "{printable(value)}" in {where}, but {found[0]} and {found[1]} are called '
                    "so: write its path."
                )
            if found:
                return found[0]
        return None


def _key(name: str) -> str:
    """Return a name without the difference between capitals and small letters."""
    return nfc(name).casefold()


def _plain(name: str) -> str:
    """Return the name of a column in lower case, with underscores for spaces and hyphens."""
    return "_".join(name.lower().replace("-", " ").replace("_", " ").split())
