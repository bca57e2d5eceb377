"""Check for room on the disk beforehand, and tell a full disk in one sentence."""

import errno
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tqdm import tqdm

from dassl.errors import UserError

RESERVE = 512 * 1024 * 1024  # bytes of the disk that are left to others


class DiskFullError(UserError):
    """There is no room left; whatever can be used again is kept."""


def format_size(n: int) -> str:
    """Return a number of bytes for people.

    >>> format_size(112_000_000)
    '112MB'
    """
    return tqdm.format_sizeof(n, "B")


def room(folder: Path) -> int:
    """Return how many bytes may be written to the disk of `folder`."""
    return max(0, shutil.disk_usage(folder).free - RESERVE)


def check_room(folder: Path, needed: int, purpose: str) -> None:
    """Raise a DiskFullError unless there is room for `needed` bytes on the disk of `folder`."""
    free = room(folder)
    if free < needed:
        raise DiskFullError(
            f"Expected {format_size(needed)} free in {folder} {purpose}, but there are {format_size(free)} beside "
            f"{format_size(RESERVE)} that stay free: free some, or choose another folder by --root; what was "
            "downloaded is kept."
        )


@contextmanager
def full_disk_in_words(folder: Path) -> Iterator[None]:
    """Turn the system's error about a full disk, or quota, into a DiskFullError."""
    try:
        yield
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        raise DiskFullError(
            f"Expected more room in {folder}, but the disk is full: free some, or choose another folder by --root, and "
            "run again; what was downloaded is kept."
        ) from error
