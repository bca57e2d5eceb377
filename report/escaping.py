"""Texts from run folders as parts of Markdown and LaTeX: shown as they are written, and never obeyed."""

import re
from html import escape

from dassl.console import printable

# What begins something: HTML, a link, code, a formula, emphasis; "_" does so only where a word begins or ends.
MARKS = re.compile(r"[\\`*\[\]|~$!]|(?<!\w)_|_(?!\w)|:(?=//)|(?<=www)\.|(?<=\w)@(?=\w)")
BLOCK = re.compile(r"^(\s*)([-+#=]|\d+(?=[.)]))")  # a list, a heading, a line below one


def markdown(text: str, begins: bool = False) -> str:
    r"""Return `text` as Markdown that is read as this text.

    Args:
        text: of a cell, a title or a paragraph; line breaks become `\n`.
        begins: a line begins with it.
    """
    text = escape(MARKS.sub(r"\\\g<0>", printable(text)), quote=False)
    return BLOCK.sub(lambda match: match[1] + _entities(match[2]), text) if begins else text


def _entities(text: str) -> str:
    return "".join(f"&#{ord(character)};" for character in text)


def latex_comment(text: str) -> str:
    """Return `text` as a comment of LaTeX, which ends where its line does."""
    return f"% {printable(text)}"
