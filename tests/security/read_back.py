"""Reading the files of a report as a program that shows them would."""

import csv
import re
from pathlib import Path

from markdown_it import MarkdownIt

from tests.security.received import Tags

ALLOWED = {"html", "head", "meta", "title", "style", "body", "h1", "h2", "h3", "p", "span", "nav", "ul", "li", "a"}
ALLOWED |= {"section", "div", "table", "thead", "tbody", "tr", "th", "td", "figure", "img", "figcaption", "dl", "dt"}
ALLOWED |= {"dd", "code", "details", "summary", "h4", "h5", "caption", "abbr", "small", "b", "svg", "path", "rect"}
ALLOWED |= {"polyline", "text"}


def read_back(folder: Path) -> None:
    """Read every file of a report as a program that shows it would."""
    page = Tags((folder / "index.html").read_text(encoding="utf-8"))
    assert page.tags <= ALLOWED
    assert not any(name.startswith("on") for name in page.attributes)
    assert all(value.startswith(("#runs-", "data:image/svg+xml,")) for value in page.fetched)
    for path in folder.rglob("*.csv"):
        with path.open(newline="", encoding="utf-8") as file:
            check_csv(list(csv.reader(file)))
    for path in folder.rglob("*.md"):
        check_markdown(path.read_text(encoding="utf-8"))
    for path in folder.rglob("*.tex"):
        check_latex(path.read_text(encoding="utf-8"))


def check_csv(rows: list[list[str]]) -> None:
    assert len({len(row) for row in rows}) == 1
    for cell in (cell for row in rows for cell in row):
        assert cell[:1] not in tuple("=@\t\r") and (cell[:1] not in ("+", "-") or is_number(cell))


def is_number(cell: str) -> bool:
    try:
        return cell == "-" or all(isinstance(float(part), float) for part in cell.split(" ± "))
    except ValueError:
        return False


def check_markdown(text: str) -> None:
    for token in MarkdownIt("commonmark", {"html": True}).enable("table").parse(text):
        for child in [token, *(token.children or [])]:
            kinds = ("html", "link", "image", "code", "fence", "em", "strong", "list", "break")
            assert not child.type.startswith(kinds), (child.type, text)


def check_latex(text: str) -> None:
    title, *body = text.split("\n")
    if not title.startswith("% Implementation details: "):  # a table
        note, *body = body
        assert title.startswith("% ") and note.startswith("% ") and body[0].startswith(r"\begin{tabular}")
    known = r"\\(textbackslash|textless|textgreater|ensuremath|textasciitilde|textasciicircum|checkmark|pm)\b"
    bare = re.sub(known, "", "\n".join(body))
    bare = re.sub(r"\\(begin|end)\{tabular\}(\{[lr]+\})?|\\(top|mid|bottom)rule|\\\\", "", bare)
    bare = re.sub(r"\\[&%$#_{}^~]|\$\$", "", bare)
    assert "\\" not in bare and not re.search(r"[%#_^~]", bare), bare
