"""Read diagnoses and visits from UK Biobank's table of participants, row by row."""

import ast
import codecs
import re
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path

from dassl.errors import UserError
from dassl.progress import bar
from datasets.rows import read_rows

CODES, DATES, VISITS = 41270, 41280, 53  # ICD-10 diagnoses, their first dates, days of visits
# 41270-0.0 and f.41270.0.0 (field, instance, array), or p41270_i0_a0 with "participant." before it or not
COLUMN = re.compile(r"(?:participant\.)?(?:(?:f\.)?(\d+)[-.](\d+)\.(\d+)|p(\d+)(?:_i(\d+))?(?:_a(\d+))?)", re.I)
EID = re.compile(r"(?:participant\.|f\.)?eid", re.I)
ICD10 = re.compile(r"[A-Z]\d[0-9A-Z]{1,5}")
EMPTY = {"", "NA", "NAN", "NONE", "NULL"}


@dataclass
class Record:
    """The diagnoses and visits of a participant.

    Attributes:
        codes: first date, or None, by ICD-10 code without the dot.
        visits: date by instance.
        unknown: number of diagnoses that are not ICD-10 codes.
    """

    codes: dict[str, date | None] = field(default_factory=dict)
    visits: dict[int | None, date] = field(default_factory=dict)
    unknown: int = 0

    def note(self, code: str, day: date | None) -> None:
        """Add a diagnosis; the first of several days is kept."""
        known = self.codes.get(code)
        self.codes[code] = min(known, day) if known and day else known or day

    def add(self, other: "Record") -> None:
        """Add what another row says of the same participant."""
        for code, day in other.codes.items():
            self.note(code, day)
        self.visits |= other.visits
        self.unknown += other.unknown


def read(path: Path, wanted: Callable[[str], bool]) -> Iterator[tuple[str, Record]]:
    """Yield the eid and the record of each row of a wanted participant.

    Args:
        path: comma- or tab-separated, with a line of column names; UTF-8 (with a mark or not), UTF-16 or Latin-1.
        wanted: tells by the eid whether a participant is wanted.

    Raises:
        UserError: there is no such file, no column of eid, 41270, 41280 or 53, or a cell cannot be read (the error
            names only its column).
    """
    if not path.is_file():
        raise UserError(f"Expected the table of participants at {path}, but there is no such file: correct the path.")
    with path.open(encoding=_encoding(path), errors="replace", newline="") as file:
        rows = read_rows(file, path, delimiters=",\t", strict=False)
        _, names = next(rows)
        columns = _Columns(path, names)
        with bar(rows, desc="Reading participants", unit=" rows", delay=3) as shown:
            for _, row in shown:
                eid = row[columns.eid] if columns.eid < len(row) else ""
                if wanted(eid):
                    yield eid, columns.record(row)


def read_withdrawn(path: Path) -> set[str]:
    """Return the eids of a list of participants who withdrew, one a line.

    Raises:
        UserError: there is no such file, or a line is no number.
    """
    if not path.is_file():
        raise UserError(
            f"Expected the list of withdrawn participants at {path}, but there is no such file: correct it."
        )
    lines = path.read_text(encoding=_encoding(path)).splitlines()
    found = [line.split(",")[0].strip(' "') for line in lines if line.strip()]
    if found and EID.fullmatch(found[0]):
        found = found[1:]
    if not all(eid.lstrip("-").isdigit() for eid in found):
        raise UserError(f"Expected one participant's number per line in {path}, but a line is something else.")
    return set(found)


class _Columns:
    """The places of fields in a row.

    Attributes:
        names: of the columns.
        eid: place of the column of eids, -1 if there is none.
        of: place, instance and array index of the columns of each field; None for a number that its name lacks.
    """

    def __init__(self, path: Path, names: Sequence[str]):
        self.names = names
        self.eid = next((i for i, name in enumerate(names) if EID.fullmatch(name)), -1)
        self.of: dict[int, list[tuple[int, int | None, int | None]]] = defaultdict(list)
        for i, match in enumerate(map(COLUMN.fullmatch, names)):
            if match:
                field, instance, array = match.groups()[0 if match[1] else 3 :][:3]
                self.of[int(field)].append((i, _int(instance), _int(array)))
        missing = [str(number) for number in (CODES, DATES, VISITS) if not self.of[number]]
        if self.eid < 0 or missing:
            raise UserError(
                f"Expected columns of eid and of the fields {CODES} (ICD-10 diagnoses), {DATES} (their dates) and "
                f"{VISITS} (days of visits) in {path}, such as eid, {CODES}-0.0 or p{CODES}, but found none of "
                f"{', '.join((['eid'] if self.eid < 0 else []) + missing)}: export them too."
            )

    def record(self, row: Sequence[str]) -> Record:
        """Return what a row says of its participant."""
        record = Record()
        dates = {array: self._day(i, cell) for i, _, array, cell in self._cells(row, DATES)}
        for i, _, array, cell in self._cells(row, CODES):
            for k, said in enumerate(self._list(i, cell)) if array is None else [(array, cell)]:
                # I251, I25.1, or "I25.1 Atherosclerotic heart disease"
                code = next(iter(said.replace(".", "").upper().split()), "")
                if ICD10.fullmatch(code):
                    record.note(code, dates.get(k))
                elif code not in EMPTY:
                    record.unknown += 1
        record.visits = {instance: self._day(i, cell) for i, instance, _, cell in self._cells(row, VISITS)}
        return record

    def _cells(self, row: Sequence[str], number: int) -> Iterator[tuple[int, int | None, int | None, str]]:
        """Yield place, instance, array index and text of each cell of a field that is not empty."""
        for i, instance, array in self.of[number]:
            cell = row[i] if i < len(row) else ""
            if cell.upper() not in EMPTY:
                yield i, instance, array, cell

    def _day(self, column: int, cell: str) -> date:
        """Return the day in a cell; the error does not quote it."""
        try:
            return date.fromisoformat(cell[:10])
        except ValueError:
            raise UserError(
                f"Expected days such as 2020-07-31 in column {self.names[column]} of the table of participants, but "
                "found something else: export dates in this form."
            ) from None

    def _list(self, column: int, cell: str) -> Sequence[str]:
        """Return the codes of a cell such as I10|I251 or ["I10", "I251"]; the error does not quote it."""
        if not cell.startswith("["):
            return cell.split("|")
        try:
            return [str(code) for code in ast.literal_eval(cell)]
        except (ValueError, SyntaxError, TypeError, RecursionError, MemoryError):
            raise UserError(
                f'Expected lists such as ["I10", "I251"] or I10|I251 in column {self.names[column]} of the table of '
                "participants, but found something else: export them so."
            ) from None


def _int(text: str | None) -> int | None:
    return int(text) if text else None


def _encoding(path: Path) -> str:
    """Return the encoding by the byte-order mark; without one Latin-1, which reads any byte, as the codes are ASCII."""
    with path.open("rb") as file:
        head = file.read(3)
    if head == codecs.BOM_UTF8:
        return "utf-8-sig"
    return "utf-16" if head[:2] in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE) else "latin-1"
