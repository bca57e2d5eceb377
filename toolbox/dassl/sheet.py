"""Tables as CSV that a spreadsheet shows and does not obey."""

import re
from collections.abc import Iterable, Iterator

from dassl.console import printable

FORMULA = tuple("=+-@\uff1d\uff0b\uff0d\uff20")  # what begins one; in some languages the wide forms do, too
NUMBER = re.compile(r"[-+]?\d+(\.\d*)?([eE][-+]?\d+)?( ± \d+(\.\d*)?)?|-", re.ASCII)  # a lone "-" stands for a gap
QUOTED = re.compile(r'[",;]|^\s|\s$')  # ";" separates cells where a country's settings say so


def cell(text: str) -> str:
    """Return `text` on one line, with an apostrophe before what would begin a formula; numbers stay as they are.

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
    """More is quoted than by `csv`, so that no cell falls into two where another separator is expected."""
    return '"' + text.replace('"', '""') + '"' if QUOTED.search(text) else text
