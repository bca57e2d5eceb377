"""Errors that a user can mend, told apart from bugs."""

import contextlib
import errno
import functools
import re
import sys
from collections.abc import Callable

from dassl.console import Console, printable

# The disk or the rights on it, not the program: no room, quota used up, read-only, not permitted.
SURROUNDINGS = {errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM}


class UserError(ValueError):
    """Something that a user can mend. The message is one sentence: what was expected, what was found, what to do.

    Commands print the message alone. Every other exception is a bug, and keeps its traceback.
    """

    def __init__(self, message: str = ""):
        if message.startswith("Caught ") and " in DataLoader worker " in message:  # PyTorch puts a traceback around it
            message = re.split(r"\ndassl\.errors\.\w+: ", message)[-1].strip()
        super().__init__(message)


class DivergedError(UserError):
    """A loss that is not finite."""


def sentence(error: BaseException) -> str | None:
    """What to tell the user about an error, or None if it is a bug.

    Beside a `UserError` that is an `OSError` of a full, read-only or forbidden disk, wherever it comes from.
    """
    if isinstance(error, UserError):
        return str(error)
    if isinstance(error, OSError) and error.errno in {*SURROUNDINGS, errno.ELOOP}:
        where = f" {error.filename}" if error.filename else ""
        remedy = "remove the link" if error.errno == errno.ELOOP else "make room"
        return f"Expected to read or write{where}, but got: {error.strerror}: {remedy}, or choose another folder."
    return None


def command(main: Callable[..., int]) -> Callable[..., int]:
    """Decorate a command's `main`: what a user can mend is printed as one line, and 1 is returned.

    While it runs, nothing that is printed can steer the terminal.
    """

    @functools.wraps(main)
    def run(*args, **kwargs) -> int:
        with (
            contextlib.redirect_stdout(Console(sys.stdout)),
            contextlib.redirect_stderr(Console(sys.stderr, keep="\r")),
        ):
            try:
                return main(*args, **kwargs)
            except Exception as error:
                if not (words := sentence(error)):
                    raise
                print(f"error: {printable(words)}", file=sys.stderr)
                return 1

    return run
