"""The parts of a report, and how they are written: tables in four formats, everything as one HTML page.

Words in cells, titles and notes may come from run folders that somebody else made. They are shown as they are written,
and are no markup, no formula of a spreadsheet and no command of a terminal.
"""

import itertools
import re
from collections.abc import Iterable, Sequence
from functools import cache
from html import escape
from pathlib import Path
from statistics import fmean, pstdev
from typing import TYPE_CHECKING, Any, NamedTuple

from tabulate import tabulate

from dassl.console import printable
from dassl.names import OWN_FOLDER, file_name
from dassl.sheet import csv_lines
from report import paper

if TYPE_CHECKING:
    from jinja2 import Template

    from report.page.section import DatasetShown

FORMATS = {"text": "simple", "markdown": "github", "latex": "latex_booktabs", "csv": "csv"}
GAP = "-"
# Marks that begin something in Markdown: HTML, a link, code, a formula, emphasis; "_" only if it
# does not stand between two letters or digits.
MARKS = re.compile(r"[\\`*\[\]|~$!]|(?<![^\W_])_|_(?![^\W_])|:(?=//)|(?<=www)\.|(?<=\w)@(?=\w)")
BLOCK = re.compile(r"^(\s*)([-+#=]|\d+(?=[.)]))")  # a list, a heading, a line below one
AFTER_FOLDER = re.compile(rf"(?<=_{file_name(OWN_FOLDER)})[\w.-]+")


class Table(NamedTuple):
    """A table of ready-made strings: its file name, its title, and a note on how to read it.

    `dataset` is the data set that it is of, "" for several.
    """

    name: str
    title: str
    headers: list[str]
    rows: list[list[str]]
    note: str
    dataset: str = ""


class Figure(NamedTuple):
    """An SVG file, its caption, and the data set that it is of, "" for several."""

    path: Path
    caption: str
    dataset: str = ""


class Gap(NamedTuple):
    """Missing runs in words, and the command that makes them; finished ones are not run again.

    `shared` is the command with `<folder>` and `<output>` in place of paths of this machine.
    """

    what: str
    command: str
    shared: str


class Section(NamedTuple):
    """The report on one group of runs: tables and figures in reading order, then gaps and unfinished runs.

    `unseen` are sentences on pictures that could not be drawn; `answers` is what the runs' predictions tell, and
    `untold` are sentences on what they do not. `implementation` is the paragraph on how the runs were made.
    """

    title: str
    phantom: bool
    parts: Sequence[Table | Figure]
    gaps: Sequence[Gap]
    unfinished: Sequence[str]
    unseen: Sequence[str] = ()
    answers: Sequence["DatasetShown"] = ()
    untold: Sequence[str] = ()
    implementation: str = ""

    @property
    def tables(self) -> list[Table]:
        """The tables among the parts."""
        return [part for part in self.parts if isinstance(part, Table)]

    @property
    def general(self) -> list[Table | Figure]:
        """The parts that are of no single data set."""
        return [part for part in self.parts if not part.dataset]

    @property
    def datasets(self) -> list[tuple[str, list[Table | Figure], "DatasetShown | None"]]:
        """The parts and the answers of each data set."""
        answers = {each.dataset: each for each in self.answers}
        names = dict.fromkeys([*(part.dataset for part in self.parts if part.dataset), *answers])
        return [(name, [part for part in self.parts if part.dataset == name], answers.get(name)) for name in names]


def mean_std(values: Sequence[float]) -> str:
    """Return mean and population std as a table's cell, without ± for a single value, and a gap for none.

    >>> mean_std([76.0, 78.0, 80.0]), mean_std([76.0]), mean_std([])
    ('78.00 ± 1.63', '76.00', '-')
    """
    if not values:
        return GAP
    return f"{fmean(values):.2f} ± {pstdev(values):.2f}" if len(values) > 1 else f"{values[0]:.2f}"


def p_value(p: float | None) -> str:
    """Return a p value with two significant digits, the one format of all tables and captions; a gap for None.

    >>> p_value(0.0625), p_value(0.00012345), p_value(None)
    ('0.062', '0.00012', '-')
    """
    return GAP if p is None else f"{p:.2g}"


def file_names(names: Iterable[str], taken: Iterable[str] = ()) -> list[str]:
    """Return a file name for each name, all different from each other and from `taken`, on any file system.

    >>> file_names(["a/b", "A-B", "index.html"], ["index.html"])
    ['a-b', 'A-B-2', 'index.html-2']
    """
    found: list[str] = []
    used = {name.casefold() for name in taken}
    for name in map(file_name, names):
        numbered = (f"{name}-{i}" for i in itertools.count(2))
        found.append(next(free for free in itertools.chain([name], numbered) if free.casefold() not in used))
        used.add(found[-1].casefold())
    return found


def render(headers: Sequence[str], rows: Sequence[Sequence[str]], style: str = "text") -> str:
    """Return a table in one of FORMATS; the first column is left-aligned, the others right.

    >>> print(render(["method", "K = 1"], [["CoOp", "60.00"]]))
    method      K = 1
    --------  -------
    CoOp        60.00
    """
    if style == "csv":
        return "".join(csv_lines([headers, *rows])).rstrip("\n")
    shown = markdown if style == "markdown" else printable
    headers, rows = list(map(shown, headers)), [list(map(shown, row)) for row in rows]
    align = ["left", *["right"] * (len(headers) - 1)]
    table = tabulate(rows, headers, FORMATS[style], disable_numparse=True, colalign=align if rows else None)
    return table.replace("±", r"$\pm$").replace("✓", r"\checkmark") if style == "latex" else table


def render_within(headers: Sequence[str], rows: Sequence[Sequence[str]], width: int | None) -> str:
    """Return a table as text, in several below each other, which repeat the first column, if it is wider than `width`.

    >>> print(render_within(["method", "K = 1", "K = 16"], [["CoOp", "60.00", "70.00"]], 20))
    method      K = 1
    --------  -------
    CoOp        60.00
    <BLANKLINE>
    method      K = 16
    --------  --------
    CoOp         70.00
    """
    parts, first = [], 1
    while first < len(headers):
        last = first + 1
        part = _columns(headers, rows, first, last)
        while last < len(headers):
            wider = _columns(headers, rows, first, last + 1)
            if width and max(map(len, wider.splitlines())) > width:
                break
            part, last = wider, last + 1
        parts.append(part)
        first = last
    return "\n\n".join(parts)


def _columns(headers: Sequence[str], rows: Sequence[Sequence[str]], first: int, last: int) -> str:
    """Return a table of the first column, and of those from `first` on and before `last`."""
    return render([headers[0], *headers[first:last]], [[row[0], *row[first:last]] for row in rows])


def document(table: Table, style: str, heading: str = "##") -> str:
    """Return a table as "markdown", "latex" or "csv"; the first two name it and say how to read it."""
    body, note = render(table.headers, table.rows, style), table.note.replace("\n", " ")
    if style == "csv":
        return body
    if style == "latex":
        return f"{latex_comment(table.title)}\n{latex_comment(note)}\n{body}"
    return f"{heading} {markdown(table.title)}\n\n{body}\n\n{markdown(note, begins=True)}"


def markdown(text: str, begins: bool = False) -> str:
    r"""Return `text` as Markdown that is read as this text.

    Args:
        text: of a cell, a title or a paragraph; line breaks become `\n`.
        begins: a line begins with it.

    >>> markdown("**a** b_c")
    '\\*\\*a\\*\\* b_c'
    """
    text = escape(MARKS.sub(r"\\\g<0>", printable(text)), quote=False)
    return BLOCK.sub(lambda match: match[1] + _entities(match[2]), text) if begins else text


def _entities(text: str) -> str:
    return "".join(f"&#{ord(character)};" for character in text)


def latex_comment(text: str) -> str:
    """Return `text` as a comment of LaTeX, which ends where its line does."""
    return f"% {printable(text)}"


def html(title: str, sections: Sequence[Section], remarks: Iterable[str]) -> str:
    """Return the report as one HTML page that fetches and runs nothing; `remarks` stand above all sections."""
    from report.page import charts
    from report.page.light import data_uri

    what = {"title": title, "sections": sections, "remarks": remarks}
    return _page().render(**what, paper=paper, data_uri=data_uri, charts=charts)


@cache
def _page() -> "Template":
    """Return the template page.html, in which every text is made printable, then escaped."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    return Environment(
        loader=FileSystemLoader(Path(__file__).parent / "page"),
        autoescape=True,
        finalize=_shown,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    ).get_template("page.html")


def _shown(value: Any) -> Any:
    """Return text that is printable; what a macro of the template has made is so already."""
    return printable(value) if isinstance(value, str) and not hasattr(value, "__html__") else value


def shared(section: Section, output: str | Path) -> Section:
    """Return a section that names no folder of this machine, and so no user.

    Paths are relative to `output`, and commands have `<folder>` and `<output>`.
    """
    gaps = [gap._replace(command=gap.shared) for gap in section.gaps]

    def said(sentences: Iterable[str]) -> list[str]:
        return [relative(sentence, output) for sentence in sentences]

    words = section.unfinished, section.unseen, section.untold
    unfinished, unseen, untold = map(said, words)
    return section._replace(gaps=gaps, unfinished=unfinished, unseen=unseen, untold=untold)


def relative(text: str, output: str | Path) -> str:
    """Return `text` with the paths below `output` that it names made relative to it.

    In the name of a run's folder that has the whole path of a backbone, that path is left out.

    >>> relative("/home/alice/runs/btmri/seed1 is unfinished.", "/home/alice/runs")
    'btmri/seed1 is unfinished.'
    """
    text = AFTER_FOLDER.sub("<folder>", text)
    if Path(output) == Path():
        return text
    place = re.escape(str(Path(output)))
    text = re.sub(rf"(?<![\w./-]){place}/", "", text)
    return re.sub(rf"(?<![\w./-]){place}(?![\w-])", "<output>", text)


def without_places(words: Iterable[str]) -> list[str]:
    """Return words of a command line with `<folder>` before the last part of each absolute path.

    >>> without_places(["--output", "/home/alice/runs"])
    ['--output', '<folder>/runs']
    """
    return [re.sub(r"(?<![\w.])~?/.*/(?=.)", "<folder>/", word) for word in words]
