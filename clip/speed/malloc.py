"""Return freed memory to the operating system."""

import ctypes
from contextlib import suppress


def give_back_memory() -> None:
    """Return freed memory to the system: glibc keeps it in pieces that are too small for the next large tensors."""
    with suppress(OSError, AttributeError, TypeError):  # another C library
        ctypes.CDLL(None).malloc_trim(0)
