"""KEY VALUE pairs, or KEY=VALUE, behind the flags of a command line."""

import argparse
import itertools
import re
from collections.abc import Sequence

ALONE = "PROTOCOL|USE_CUDA|DETERMINISTIC|TENSORBOARD|VERBOSE"  # keys without a dot
PLAIN_KEY = re.compile(rf"(?:{ALONE}|[A-Z][A-Z0-9_]*(?:\.[A-Z0-9_]+)+)")
KEY = re.compile(rf"(?:{ALONE}|[A-Z][A-Z0-9_]*(?:\.[A-Z0-9_]+)+)(?:=.*)?", re.DOTALL)


def split_options(argv: Sequence[str]) -> tuple[list[str], list[str]]:
    """Return the flags of a command line, and the KEY VALUE words that the first KEY begins.

    >>> split_options(["--shots", "4", "OPTIM.LR", "0.1"])
    (['--shots', '4'], ['OPTIM.LR', '0.1'])
    >>> split_options(["--datasets", "btmri", "OPTIM.MAX_EPOCH=3"])
    (['--datasets', 'btmri'], ['OPTIM.MAX_EPOCH=3'])
    """
    flags = list(itertools.takewhile(lambda word: not KEY.fullmatch(word), argv))
    return flags, list(argv[len(flags) :])


def positive(word: str) -> int:
    """Return a whole number of at least 1, as `type` of an argparse argument, which prints the error."""
    if not word.isdigit() or int(word) < 1:
        raise argparse.ArgumentTypeError(f"expected a whole number of at least 1, such as 1, 5 or 16, but got {word!r}")
    return int(word)
