"""Room on the disk, asked for beforehand and missed with one sentence."""

import errno
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tqdm import tqdm

from dassl.errors import UserError


class DiskFullError(UserError):
    """No room is left; what was written so far is kept where it can be used again."""


def size(n: int) -> str:
    """Bytes for people: "112MB"."""
    return tqdm.format_sizeof(n, "B")


def check_room(folder: Path, needed: int, purpose: str) -> None:
    """Raises DiskFullError unless `needed` bytes are free where `folder` lies."""
    free = shutil.disk_usage(folder).free
    if free < needed:
        raise DiskFullError(
            f"Expected {size(needed)} free in {folder} {purpose}, but there are {size(free)}: free some, or choose "
            "another folder by --root; what was downloaded is kept."
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
