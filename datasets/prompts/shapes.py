"""Check the content of a bank: its shape, and that its sentences can be read by a tokenizer."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from dassl.console import printable
from dassl.errors import UserError

LONGEST = 2000  # characters of a sentence in a bank, more than any text tower reads
LONGEST_WORD = 100  # letters; the time of CLIP's tokenizer grows with the square of it
LIST = '{"prompts": {class: [sentence, ...]}}'
WORD = re.compile(r"\S+")
CONTROL = re.compile("[\x00-\x08\x0e-\x1f\x7f-\x9f\ud800-\udfff]")  # all but white space; lone surrogates


def by_class(found: Any, path: Path) -> Mapping[str, Any]:
    """Return what a bank has for each class: the object under "prompts", or the whole file if it has no such key.

    Raises:
        UserError: it is no object; names the file.
    """
    if isinstance(found, dict):
        nested = found.get("prompts", [])
        found = found if isinstance(nested, (list, str)) else nested
    if not isinstance(found, dict):
        raise UserError(f"Expected {LIST} in {path}, but got {_kind(found)}: write it so.")
    return found


def sentences_of(name: str, found: Any, path: Path) -> list[str]:
    """Return the sentences of a class, of which a bank may have a list or only one.

    Raises:
        UserError: it has something else, or a sentence is empty, too long or not printable; names class and file.
    """
    if isinstance(found, str):
        found = [found]
    if not isinstance(found, list):
        raise UserError(f'Expected a list of sentences for "{name}" in {path}, but got {_kind(found)}: write {LIST}.')
    for i, text in enumerate(found, 1):
        if why := why_not(text):
            raise UserError(f'Expected a sentence as number {i} of "{name}" in {path}, but it {why}: correct it.')
    return found


def why_not(text: Any, longest: int = LONGEST) -> str:
    """Return why a text is no sentence that a tokenizer can read, in words; "" if it is one.

    >>> why_not("A ring."), why_not("  "), why_not("a" * 500)
    ('', 'is empty', 'has a word of 500 letters, where 100 are the most')
    """
    if not isinstance(text, str):
        return f"is {_kind(text)}"
    if not text.strip():
        return "is empty"
    if len(text) > longest:
        return f"has {len(text)} characters, where {longest} are the most"
    if hidden := CONTROL.search(text):
        return f"holds the control character {printable(hidden[0])}"
    word = max(map(len, WORD.findall(text)))
    return f"has a word of {word} letters, where {LONGEST_WORD} are the most" if word > LONGEST_WORD else ""


def _kind(value: Any) -> str:
    """Return a value in words, for errors."""
    if value is None or isinstance(value, (bool, int, float)):
        return f"{value!r}".replace("None", "null")
    if isinstance(value, str):
        return f'the text "{printable(value[:40])}"'
    kind = "an object with the keys" if isinstance(value, Mapping) else "a list that begins with"
    first: Sequence[Any] = list(value)[:2]
    return f"{kind} {printable(', '.join(str(part)[:40] for part in first))}" if first else "nothing in it"
