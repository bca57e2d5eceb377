"""Tables of a user's: CSV or TSV in whatever dialect, and the columns that are meant."""

import csv
import io
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from dassl.console import printable
from dassl.errors import UserError
from dassl.reading import read_text
from datasets.entries import LIMIT, check_number, nfc, relative_path

DELIMITERS = ",;\t"
SEVERAL = "|;["  # how cells join several labels

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
    """A table that was read: its file, the names of its columns, and its rows with the numbers of their lines."""

    path: Path
    header: list[str]
    rows: list[tuple[int, list[str]]]

    def where(self, line: int) -> str:
        """A row, in the words of an error."""
        return f"{self.path}, line {line}"

    def find(self, names: Sequence[str], wanted: str | None = None, setting: str = "") -> list[int]:
        """Places of the columns that are called so, the most usual name first; or of the one that is asked for.

        Raises:
            UserError: there is no column `wanted`; names the setting that asks for it.
        """
        header = [_plain(name) for name in self.header]
        if wanted is None:
            return [place for name in names for place, other in enumerate(header) if other == name]
        places = [place for place, name in enumerate(header) if name == _plain(str(wanted))]
        if not places:
            raise UserError(
                f'Expected a column "{wanted}" in {self.path} ({setting}), but its columns are {self.columns()}.'
            )
        return places

    def columns(self) -> str:
        """The names of the columns, in the words of an error."""
        return ", ".join(f'"{printable(name)[:50]}"' for name in self.header[:50])

    def column(self, place: int) -> Iterator[str]:
        return (cells[place] for _, cells in self.rows)


def read_table(path: str | Path) -> Table:
    """Return a table whose first line names its columns; cells are stripped, and lines without any left out.

    The delimiter is whichever of comma, semicolon and tab divides the first line most.

    Raises:
        UserError: it is no text, or no table: a quote that is not closed, a row of another length; names the line.
    """
    path = Path(path)
    lines = io.StringIO(read_text(path, LIMIT), newline="")
    first = lines.readline()
    lines.seek(0)
    delimiter = max(DELIMITERS, key=lambda mark: len(next(csv.reader([first], delimiter=mark), [])))
    reader, rows = csv.reader(lines, delimiter=delimiter, strict=True), []
    try:
        for cells in reader:
            if any(cell.strip() for cell in cells):
                rows.append((reader.line_num, [nfc(cell.strip()) for cell in cells]))
    except csv.Error as error:
        raise UserError(
            f"Expected a table in {path}, but line {reader.line_num} is none ({error}): correct it."
        ) from error
    if len(rows) < 2:
        raise UserError(f"Expected a line with the names of columns and more below it in {path}, but got none.")
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
    """The whole number that a cell holds, or None.

    >>> number("1.0"), number("-1"), number("nv")
    (1, -1, None)
    """
    try:
        value = float(cell)
    except ValueError:
        return None
    return int(value) if value.is_integer() else None


class Finder:
    """Finds files by what tables call them: path, name of a file, or name without suffix.

    Args:
        paths: of the files, relative to the folder.
        folder: name of the folder itself, with which the paths of tables sometimes begin.
        suffix: gives the suffix of a name, or "" if it has none that counts.
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
        """The one file that a cell names, or None.

        Raises:
            UserError: several files could be meant, or it is no path below the folder; names the row and the files.
        """
        wanted = relative_path(value, where).removeprefix("./")
        for name in (wanted, wanted.removeprefix(f"{self.folder}/")):
            found = self.known.get(_key(name), [])
            if len(found) > 1:  # the same but for capitals, or another file that is called so without its suffix
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
    return nfc(name).casefold()


def _plain(name: str) -> str:
    return "_".join(name.lower().replace("-", " ").replace("_", " ").split())
