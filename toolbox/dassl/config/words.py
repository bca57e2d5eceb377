"""Settings as words of a command line: KEY VALUE, or KEY=VALUE."""

from collections.abc import Iterable
from typing import Any

from dassl.console import printable
from dassl.errors import UserError

MISSING = object()


def pairs_of(words: Iterable[Any], where: str = "the settings") -> list[tuple[str, Any]]:
    """Return the pairs of key and value that words spell.

    Args:
        words: KEY VALUE KEY=VALUE ...
        where: they come from, in the words of an error.

    >>> pairs_of(["OPTIM.LR", "0.1", "OPTIM.MAX_EPOCH=3", "DATASET.GROUP_PATTERN", "a=(b)"])
    [('OPTIM.LR', '0.1'), ('OPTIM.MAX_EPOCH', '3'), ('DATASET.GROUP_PATTERN', 'a=(b)')]

    Raises:
        UserError: a key has no value.
    """
    found: list[tuple[str, Any]] = []
    left = iter(words)
    for word in left:
        key, equals, rest = str(word).partition("=")
        value = rest if equals else next(left, MISSING)
        if value is MISSING:
            raise UserError(
                f"Expected a value after each key in {where}, but {printable(key)} has none: write KEY VALUE, or "
                "remove the key."
            )
        found.append((key, value))
    return found
