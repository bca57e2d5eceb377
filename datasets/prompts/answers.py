"""Take sentences for a bank from the answers of a chat model."""

import re
from collections.abc import Iterable

from dassl.console import IN_NAME
from datasets.prompts.shapes import why_not

LONGEST = 600  # characters of a sentence that is taken from an answer
WORDS = range(4, 81)  # of a sentence: fewer are a heading
THOUGHTS = re.compile(r"<think>.*?(</think>|\Z)", re.DOTALL)  # of models that write down how they reason
BULLET = re.compile(r"^(?:[-*•–]\s+|\(?\d+[.):](?:\s+|(?=[A-Z])))")  # but not the "3." of "3.5 cm"
QUOTED = re.compile(r'^[\[\s]*["“](.+)["”][\s,\]]*$')  # also as an item of a JSON list
HEADING = re.compile(r"^#|:$")
REFUSAL = re.compile(r"\W*(?:i['’]?m sorry|i am sorry|sorry|unfortunately|as an ai|i can(?:no|['’])t)\b", re.IGNORECASE)
TALK = re.compile(
    r"(?:i['’\s]|(?:sorry|unfortunately|sure|certainly|of course|as an ai|let me|(?:here|below|these) (?:are|is))\b)",
    re.IGNORECASE,
)


def find_sentences(answer: str, cut: bool = False) -> list[str]:
    """Return the descriptions in an answer, one a line, without numbers, bullets, quotes and bold type.

    Headings are left out, and lines that speak to the reader instead of describing an image. A refusal has none.

    Args:
        answer: of the model.
        cut: whether the answer was stopped in the middle, so that its last line is half a sentence.

    >>> find_sentences("Here are two:\\n1. A bright ring in the cortex.\\n2. **Dark, smooth and round.**")
    ['A bright ring in the cortex.', 'Dark, smooth and round.']
    """
    answer = THOUGHTS.sub("", answer)
    if REFUSAL.match(answer):
        return []
    lines = answer.splitlines()
    lines = [_bare(line) for line in (lines[:-1] if cut else lines)]
    return [x for x in lines if len(x.split()) in WORDS and not HEADING.search(x) and not TALK.match(x)]


def keep_usable(found: Iterable[str]) -> list[str]:
    """Return the sentences that are printable, not longer than `LONGEST`, and of words that a tokenizer can read."""
    return [text for text in found if text.isprintable() and not why_not(text, LONGEST)]


def keep_new(found: Iterable[str], known: Iterable[str]) -> list[str]:
    """Return the sentences that differ, in more than case and punctuation, from each other and from all of `known`.

    >>> keep_new(["A ring.", "a RING", "A disc."], known=["A disc"])
    ['A ring.']
    """
    seen, new = {_key(text) for text in known}, []
    for text in found:
        if _key(text) not in seen:
            seen.add(_key(text))
            new.append(text)
    return new


def _bare(line: str) -> str:
    """Return a line without bullets, quotes, bold type and control characters."""
    text = QUOTED.sub(r"\1", line.replace("**", "").strip())
    text = QUOTED.sub(r"\1", BULLET.sub("", text))
    return " ".join(IN_NAME.sub("", " ".join(text.split())).split())


def _key(text: str) -> str:
    """Return the words of a sentence in lower case."""
    return " ".join(re.findall(r"\w+", text.casefold()))
