"""The report as one HTML page that needs nothing else: styles, tables and pictures lie in it."""

import base64
from collections.abc import Iterable, Sequence
from html import escape as escape_marks
from pathlib import Path
from typing import NamedTuple

from dassl.console import printable
from report import paper
from report.gaps import Gap
from report.tables import Table

POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"  # nothing is fetched, nothing is run
STYLE = Path(__file__).with_name("page.css")


class Figure(NamedTuple):
    """An SVG file and what it shows."""

    path: Path
    caption: str


class Section(NamedTuple):
    """What the report says of one group of runs: tables and figures in reading order, then gaps and unfinished runs."""

    title: str
    phantom: bool
    parts: Sequence[Table | Figure]
    gaps: Sequence[Gap]
    unfinished: Sequence[str]


def escape(text: str) -> str:
    """Return `text` as HTML that shows it, on one line."""
    return escape_marks(printable(text))


def html(title: str, sections: Sequence[Section], remarks: Iterable[str]) -> str:
    """The page; `remarks` stand above all sections."""
    links = "".join(f'<li><a href="#{_anchor(i)}">{escape(s.title)}</a></li>' for i, s in enumerate(sections))
    body = "\n".join(_section(_anchor(i), section) for i, section in enumerate(sections))
    notes = "".join(f"<p>{escape(remark)}</p>" for remark in remarks)
    return f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{POLICY}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>{escape(title)}</title>
<style>
{STYLE.read_text(encoding="utf-8")}</style>
</head>
<body>
<h1>{escape(title)}</h1>
<p>Rows of source <span class="paper">{escape(paper.SOURCE)}</span> are figures that the paper prints
({escape(paper.CITATION)}; {escape(paper.PROTOCOL)}). They stand beside the figures of the runs found here and enter no
average, difference, rank or picture.</p>
{notes}
<nav><ul>{links}</ul></nav>
{body}
</body>
</html>
"""


def _anchor(i: int) -> str:
    return f"runs-{i + 1}"


def _section(anchor: str, section: Section) -> str:
    parts = [_table(part) if isinstance(part, Table) else _figure(part) for part in section.parts]
    warning = (
        '<p class="phantom">Phantom: made with rendered images or with PhantomCLIP. These figures say nothing about '
        "medical images or real backbones, and are not to be compared with the paper's.</p>"
        if section.phantom
        else ""
    )
    return "\n".join(
        [
            f'<section id="{anchor}">',
            f"<h2>{escape(section.title)}</h2>",
            warning,
            *parts,
            *_gaps(section),
            "</section>",
        ]
    )


def _table(table: Table) -> str:
    source = table.headers.index("source") if "source" in table.headers else None
    lines = [_row("th", table.headers)]
    for row in table.rows:
        from_paper = source is not None and row[source].startswith(paper.SOURCE)
        lines.append(_row("td", row, ' class="paper"' if from_paper else ""))
    head, *body = lines
    return (
        f"<h3>{escape(table.title)}</h3>\n"
        f'<div class="wide"><table>\n<thead>{head}</thead>\n<tbody>\n' + "\n".join(body) + "\n</tbody></table></div>\n"
        f'<p class="note">{escape(table.note)}</p>'
    )


def _row(tag: str, cells: Iterable[str], attributes: str = "") -> str:
    return f"<tr{attributes}>" + "".join(f"<{tag}>{escape(cell)}</{tag}>" for cell in cells) + "</tr>"


def _figure(figure: Figure) -> str:
    data = base64.b64encode(figure.path.read_bytes()).decode("ascii")
    caption = escape(figure.caption)
    image = f'<img alt="{caption}" src="data:image/svg+xml;base64,{data}">'
    return f'<figure><div class="wide">{image}</div><figcaption>{caption}</figcaption></figure>'


def _gaps(section: Section) -> list[str]:
    lines = []
    if section.gaps:
        rows = [f"<dt>{escape(gap.what)}</dt><dd><code>{escape(gap.command)}</code></dd>" for gap in section.gaps]
        lines += ["<h3>Gaps, and the commands that fill them</h3>", '<dl class="gaps">', *rows, "</dl>"]
    if section.unfinished:
        rows = [f"<li>{escape(problem)}</li>" for problem in section.unfinished]
        lines += ["<h3>Unfinished runs, not counted</h3>", "<ul>", *rows, "</ul>"]
    return lines
