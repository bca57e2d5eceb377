"""UK Biobank's tables of participants, in the forms in which they are exported."""

import re
from datetime import date
from pathlib import Path

import pytest

from datasets.ukb import phenotypes
from datasets.ukb.phenotypes import Record, read_withdrawn
from tests.datasets.participants import WIDE, table

ROW = ["7000001", "1", "I10", "I251", "", "2019-01-02", "2021-03-04", "", "2008-05-06", "2017-08-09"]
RECORD = Record(
    codes={"I10": date(2019, 1, 2), "I251": date(2021, 3, 4)},
    visits={0: date(2008, 5, 6), 2: date(2017, 8, 9)},
)


def records(path: Path) -> list[tuple[str, Record]]:
    return list(phenotypes.read(path, lambda eid: eid.startswith("7")))


@pytest.mark.parametrize(
    ("header", "row"),
    [
        (WIDE, ROW),
        (["f.eid"] + ["f." + re.sub("-", ".", name) for name in WIDE[1:]], ROW),
        (list(reversed(WIDE)), list(reversed(ROW))),
        (WIDE, [cell or "NA" for cell in ROW]),
        ([*WIDE[:-2], "53-2.0", "53-0.0"], [*ROW[:-2], "2017-08-09T00:00:00", "2008-05-06 09:30"]),
        (["eid", "p41270", "p41280_a0", "p41280_a1", "p53_i0", "p53_i2"], [ROW[0], "I10|I251", *ROW[5:7], *ROW[8:]]),
        (
            [f"participant.{name}" for name in ("eid", "p41270", "p41280_a1", "p41280_a0", "p53_i0", "p53_i2")],
            [ROW[0], '["I10","I251"]', ROW[6], ROW[5], *ROW[8:]],
        ),
        (
            ["eid", "p41270", "p41280_a0", "p41280_a1", "p53_i0", "p53_i2"],
            [ROW[0], "['I10 Essential (primary) hypertension', 'I25.1 Of old, this']", *ROW[5:7], *ROW[8:]],
        ),
    ],
)
def test_forms_of_the_table(tmp_path, header, row):
    """Diagnosis and date meet by their array index, whatever the order of columns."""
    other = ["6999999" if cell == ROW[0] else "not read" for cell in row]
    assert records(table(tmp_path / "t.csv", header, other, row)) == [("7000001", RECORD)]


@pytest.mark.parametrize("separator", [",", "\t"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "latin-1"])
def test_encodings_of_the_table(tmp_path, separator, encoding):
    path = table(tmp_path / "t", [*WIDE, "Größe"], [*ROW, "é, Ä"], separator=separator, encoding=encoding)
    assert records(path) == [("7000001", RECORD)]


def test_codes_that_are_none_and_cells_that_are_not_there(tmp_path):
    row = ["7000001", "1", "Chapter IX", "i48.9", "Ä?"]
    assert records(table(tmp_path / "t.csv", WIDE, row, [], ["7000002"])) == [
        ("7000001", Record(codes={"I489": None}, unknown=2)),
        ("7000002", Record()),
    ]


def test_rows_of_one_participant_are_put_together(tmp_path):
    rows = [
        ["7000001", "", "I48", "I10", "?", "2021-05-05", "", "", "", "2017-08-09"],
        ["7000001", "", "I48", "I10", "", "2012-05-05", "2013-01-01", "", "2008-05-06", ""],
    ]
    whole = Record()
    for _, record in records(table(tmp_path / "t.csv", WIDE, *rows)):
        whole.add(record)
    assert whole == Record(
        codes={"I48": date(2012, 5, 5), "I10": date(2013, 1, 1)},
        visits={0: date(2008, 5, 6), 2: date(2017, 8, 9)},
        unknown=1,
    )


@pytest.mark.parametrize(
    ("header", "missing"),
    [
        ([name for name in WIDE if not name.startswith("53")], "none of 53:"),
        ([name for name in WIDE if not name.startswith("41280")], "none of 41280:"),
        (["id", *WIDE[1:]], "none of eid:"),
        ([], "none of eid, 41270, 41280, 53:"),
        (["eid", "41270", "141280-0.0", "p53x"], "none of 41270, 41280, 53:"),
    ],
)
def test_missing_columns_are_named(tmp_path, header, missing):
    path = table(tmp_path / "t.csv", header, ROW)
    with pytest.raises(ValueError) as error:
        records(path)
    assert missing in str(error.value) and str(path) in str(error.value) and "\n" not in str(error.value)


@pytest.mark.parametrize(("column", "cell"), [(5, "04/03/2021"), (9, "2021-13-01"), (5, "Müller")])
def test_a_cell_that_cannot_be_read_is_not_quoted(tmp_path, column, cell):
    row = [*ROW[:column], cell, *ROW[column + 1 :]]
    with pytest.raises(ValueError, match=f"days such as 2020-07-31 in column {WIDE[column]} ") as error:
        records(table(tmp_path / "t.csv", WIDE, row))
    assert cell not in str(error.value) and "7000001" not in str(error.value)
    header = ["eid", "p41270", "p41280_a0", "p53_i2"]
    with pytest.raises(ValueError, match="in column p41270 ") as error:
        records(table(tmp_path / "t.csv", header, ["7000001", '["I10", I251]', "", ""]))
    assert "I251" not in str(error.value).split("found")[1]


def test_a_table_is_read_row_by_row(tmp_path):
    """What comes after a row is not looked at before the row is given."""
    path = table(tmp_path / "t.csv", WIDE, *[ROW] * 50, [*ROW[:5], "broken", *ROW[6:]])
    with path.open("ab") as file:
        file.write(b"\r\n7" * 100_000)
    rows = phenotypes.read(path, lambda eid: True)
    assert [next(rows) for _ in range(50)] == [("7000001", RECORD)] * 50
    with pytest.raises(ValueError, match=r"column 41280-0\.0 "):
        next(rows)


def test_the_list_of_who_withdrew(tmp_path):
    path = tmp_path / "w.csv"
    path.write_bytes('\ufeffeid\r\n7000001\r\n"7000002",\r\n\r\n-3\r\n'.encode())
    assert read_withdrawn(path) == {"7000001", "7000002", "-3"}
    path.write_text("7000001\n7OOOOO2\n")
    with pytest.raises(ValueError, match=f"per line in {path}") as error:
        read_withdrawn(path)
    assert "7OOOOO2" not in str(error.value)
