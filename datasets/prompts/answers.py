"""From what a chat model answers to sentences that can stand in a bank."""

import re
from collections.abc import Iterable

from dassl.console import IN_NAME
from datasets.prompts.shapes import why_not

LONGEST = 600  # characters of a sentence that is taken from an answer
WORDS = range(4, 81)  # fewer is a heading, more is an essay
THOUGHTS = re.compile(r"<think>.*?(</think>|\Z)", re.DOTALL)  # of models that reason aloud
BULLET = re.compile(r"^(?:[-*•–]\s+|\(?\d+[.):](?:\s+|(?=[A-Z])))")  # but not the "3." of "3.5 cm"
QUOTED = re.compile(r'^[\[\s]*["“](.+)["”][\s,\]]*$')  # also as an item of a JSON list
HEADING = re.compile(r"^#|:$")
REFUSAL = re.compile(r"\W*(?:i['’]?m sorry|i am sorry|sorry|unfortunately|as an ai|i can(?:no|['’])t)\b", re.IGNORECASE)
TALK = re.compile(
    r"(?:i['’\s]|(?:sorry|unfortunately|sure|certainly|of course|as an ai|let me|(?:here|below|these) (?:are|is))\b)",
    re.IGNORECASE,
)


def sentences(answer: str, cut: bool = False) -> list[str]:
    """The descriptions in an answer, one a line; numbers, bullets, quotes, bold type and control characters go.

    Left out are headings, and lines that speak to the reader instead of describing an image. A refusal has none.

    Args:
        answer: what the model wrote.
        cut: it was stopped in the middle, so the last line is half a sentence.
    """
    answer = THOUGHTS.sub("", answer)
    if REFUSAL.match(answer):
        return []
    lines = answer.splitlines()
    lines = [_bare(line) for line in (lines[:-1] if cut else lines)]
    return [x for x in lines if len(x.split()) in WORDS and not HEADING.search(x) and not TALK.match(x)]


def printable_ones(found: Iterable[str]) -> list[str]:
    """Those of `found` that are printed as they are, within `LONGEST` and in words that a tokenizer can read."""
    return [text for text in found if text.isprintable() and not why_not(text, LONGEST)]


def different(found: Iterable[str], known: Iterable[str]) -> list[str]:
    """Those of `found` that differ, in more than case and punctuation, from each other and from all of `known`."""
    seen, new = {_key(text) for text in known}, []
    for text in found:
        if _key(text) not in seen:
            seen.add(_key(text))
            new.append(text)
    return new


def _bare(line: str) -> str:
    text = QUOTED.sub(r"\1", line.replace("**", "").strip())
    text = QUOTED.sub(r"\1", BULLET.sub("", text))
    return " ".join(IN_NAME.sub("", " ".join(text.split())).split())


def _key(text: str) -> str:
    return " ".join(re.findall(r"\w+", text.casefold()))
