"""Write tables as CSV whose cells a spreadsheet never takes for formulas."""

import re
from collections.abc import Iterable, Iterator

from dassl.console import printable

FORMULA = tuple("=+-@\uff1d\uff0b\uff0d\uff20")  # begin a formula; the wide forms do so in some languages
NUMBER = re.compile(r"[-+]?\d+(\.\d*)?([eE][-+]?\d+)?( ± \d+(\.\d*)?)?|-", re.ASCII)  # a lone "-" stands for a gap
QUOTED = re.compile(r'[",;]|^\s|\s$')  # ";" separates cells in the settings of some countries


def cell(text: str) -> str:
    """Return `text` on one line, with an apostrophe in front if it would begin a formula; numbers stay as they are.

    >>> cell("=1+1"), cell("-1.5"), cell("+3.00 ± 0.20")
    ("'=1+1", '-1.5', '+3.00 ± 0.20')
    """
    text = printable(text)
    return f"'{text}" if text.lstrip().startswith(FORMULA) and not NUMBER.fullmatch(text) else text


def csv_lines(rows: Iterable[Iterable[str]], end: str = "\n") -> Iterator[str]:
    """Yield each row as a line of CSV (RFC 4180) that ends in `end`."""
    for row in rows:
        yield ",".join(map(_quoted, map(cell, row))) + end


def _quoted(text: str) -> str:
    """Return a cell in quotes if a separator of any country would split it; the module `csv` quotes less."""
    return '"' + text.replace('"', '""') + '"' if QUOTED.search(text) else text
