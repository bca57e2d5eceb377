"""What a word of a command line or of a yaml file means: a number, a list or another literal of Python, or the text."""

from ast import literal_eval
from typing import Any

LONGEST = 10_000  # characters of a value on a command line
BOOLEANS = {"true": True, "false": False}


def literal(value: Any) -> Any:
    """Return the number, list, text or other literal of Python that a text spells; other texts stay as they are.

    >>> literal("0.1"), literal("[1, 2]"), literal("gpt4"), literal("true"), literal(3)
    (0.1, [1, 2], 'gpt4', 'true', 3)
    """
    if not isinstance(value, str) or len(value) > LONGEST:
        return value
    try:
        found = literal_eval(value)
        repr(found)  # raises a ValueError for a number of thousands of digits, which no error could show
    except (ValueError, SyntaxError, TypeError, RecursionError, MemoryError):  # a TypeError for "{[1]: 2}"
        return value
    return found
