"""Errors that a user can correct, as opposed to bugs."""

import contextlib
import errno
import functools
import os
import re
import sys
from collections.abc import Callable
from types import TracebackType
from typing import Any, TextIO

from dassl.console import Console, printable

INTERRUPTED = "Interrupted: what is done stays, the same command goes on from there."
INTERRUPTED_STATUS = 130  # 128 + SIGINT
# Errors of the disk, not of the program: no room, quota used up, read-only, no permission.
DISK_ERRORS = {errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM}


class UserError(ValueError):
    """Raised for a mistake that the user can correct. The message is "Expected X, but got Y: do Z."

    Commands print only the message. Every other exception is a bug, and keeps its traceback.
    """

    def __init__(self, message: str = ""):
        if message.startswith("Caught ") and " in DataLoader worker " in message:  # PyTorch wraps it in a traceback
            message = re.split(r"\ndassl\.errors\.\w+: ", message)[-1].strip()
        super().__init__(message)


class DivergedError(UserError):
    """Raised for a loss that is not finite."""


def sentence(error: BaseException) -> str | None:
    """Return the message for the user about an error, or None if the error is a bug.

    A `UserError`, and an `OSError` of a full, read-only or forbidden disk, have a message.
    """
    if isinstance(error, UserError):
        return str(error)
    if isinstance(error, OSError) and error.errno in {*DISK_ERRORS, errno.ELOOP}:
        where = f" {error.filename}" if error.filename else ""
        remedy = "remove the link" if error.errno == errno.ELOOP else "make room"
        return f"Expected to read or write{where}, but got: {error.strerror}: {remedy}, or choose another folder."
    return None


def reader_left(stream: TextIO, last: str = "") -> bool:
    """Return whether what reads a stream, such as `head`, has ended; then the stream leads nowhere from now on.

    Args:
        stream: such as `sys.stdout`.
        last: is written to find out; without it a stream that has no buffer tells nothing.
    """
    try:
        stream.write(last)
        stream.flush()
    except BrokenPipeError:
        nowhere = os.open(os.devnull, os.O_WRONLY)  # else Python complains when it closes the stream
        os.dup2(nowhere, stream.fileno())
        os.close(nowhere)
        return True
    return False


def print_interrupted() -> None:
    """Say that Ctrl-C has ended the command."""
    newline = "\n" if sys.stderr.isatty() else ""  # behind the ^C that the terminal shows
    print(f"{newline}{INTERRUPTED}", file=sys.stderr)


def tell_interrupts() -> None:
    """Let Ctrl-C end this program in one sentence before its `command` begins, as its modules are imported."""
    others = sys.excepthook

    def tell(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
        if issubclass(kind, KeyboardInterrupt):
            print_interrupted()
        else:
            others(kind, error, trace)

    sys.excepthook = tell


def command(main: Callable[..., int]) -> Callable[..., int]:
    """Decorate the `main` of a command: print an error that the user can correct as one line, and return 1.

    Ctrl-C is told in one sentence, and the status is then 130.

    Everything that the command prints passes through `Console`. Where the reader of its output ends early, as in
    `... | head`, it returns 1, and tells if something was left to do.
    """

    @functools.wraps(main)
    def run(*args: Any, **kwargs: Any) -> int:
        with (
            contextlib.redirect_stdout(Console(sys.stdout)),
            contextlib.redirect_stderr(Console(sys.stderr, keep="\r")),
        ):
            try:
                status = main(*args, **kwargs)
                return 1 if reader_left(sys.stdout) else status
            except KeyboardInterrupt:
                print_interrupted()
                return INTERRUPTED_STATUS
            except Exception as error:
                words = sentence(error)
                if isinstance(error, BrokenPipeError) and reader_left(sys.stdout, "\n"):
                    words = "Expected a reader of all that is printed, but it has ended: what was left is not done."
                if not words:
                    raise
                print(f"error: {printable(words)}", file=sys.stderr)
                return 1

    return run
