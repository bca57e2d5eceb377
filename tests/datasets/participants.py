"""Write tables of participants as UK Biobank exports them, and recipes for small stacks."""

from pathlib import Path

from datasets.ukb.recipe import FOLDER

WIDE = [
    "eid",
    "31-0.0",
    "41270-0.0",
    "41270-0.1",
    "41270-0.2",
    "41280-0.0",
    "41280-0.1",
    "41280-0.2",
    "53-0.0",
    "53-2.0",
]
ROW = ["7000001", "1", "I10", "I251", "", "2019-01-02", "2021-03-04", "", "2008-05-06", "2017-08-09"]


def table(path: Path, *rows: list[str], separator: str = ",", encoding: str = "utf-8") -> Path:
    quoted = ([f'"{cell.replace(chr(34), 2 * chr(34))}"' for cell in row] for row in rows)
    path.write_bytes("\r\n".join(separator.join(row) for row in quoted).encode(encoding))
    return path


def recipe_file(path: Path, *changes: tuple[str, str], key: str = "cmri") -> Path:
    """Write the recipe of a data set for stacks of three slices and two phases."""
    text = (FOLDER / f"{key}.yaml").read_text(encoding="utf-8")
    for old, new in (("least: 6", "least: 3"), ("least: 20", "least: 2"), *changes):
        text = text.replace(old, new)
    path.write_text(text, encoding="utf-8")
    return path
