"""Room on the disk, asked for beforehand and missed with one sentence."""

import errno
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tqdm import tqdm

from dassl.errors import UserError

RESERVE = 512 * 1024 * 1024  # bytes of the disk that are left to others


class DiskFullError(UserError):
    """No room is left; what was written so far is kept where it can be used again."""


def size(n: int) -> str:
    """Bytes for people: "112MB"."""
    return tqdm.format_sizeof(n, "B")


def room(folder: Path) -> int:
    """Bytes that may be written where `folder` lies."""
    return max(0, shutil.disk_usage(folder).free - RESERVE)


def check_room(folder: Path, needed: int, purpose: str) -> None:
    """Raises DiskFullError unless there is room for `needed` bytes where `folder` lies."""
    free = room(folder)
    if free < needed:
        raise DiskFullError(
            f"Expected {size(needed)} free in {folder} {purpose}, but there are {size(free)} beside {size(RESERVE)} "
            "that stay free: free some, or choose another folder by --root; what was downloaded is kept."
        )


@contextmanager
def full_disk_told(folder: Path) -> Iterator[None]:
    """Turns the system's error about a full disk (or quota) into DiskFullError."""
    try:
        yield
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        raise DiskFullError(
            f"Expected more room in {folder}, but the disk is full: free some, or choose another folder by --root, and "
            "run again; what was downloaded is kept."
        ) from error
