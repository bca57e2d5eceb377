"""Read arrays of an .npz file that is not trusted, a row at a time: of the expected shape, and never a pickle."""

import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from numpy.lib import format as npy

from dassl.errors import UserError

from .archive import BROKEN, COMPRESSIONS, CONTRADICTORY

HEADERS = {(1, 0): npy.read_array_header_1_0, (2, 0): npy.read_array_header_2_0}


@contextmanager
def open_npz(path: Path) -> Iterator[zipfile.ZipFile]:
    """Open the zip that an .npz file is, and turn errors about it or its arrays into one sentence.

    Raises:
        UserError: it is damaged, or `read_rows` finds another array than expected; names the file.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            yield archive
    except (*BROKEN, KeyError, ValueError, OSError) as error:
        if isinstance(error, UserError) or (isinstance(error, OSError) and error.errno not in CONTRADICTORY):
            raise
        words = " ".join(str(error or type(error).__name__).split())
        raise UserError(
            f"Expected the arrays of MedMNIST in {path}, but: {words[:300]}: delete it, and run again."
        ) from error


def read_rows(archive: zipfile.ZipFile, name: str, shape: tuple[int, ...], kinds: str) -> Iterator[np.ndarray]:
    """Yield the rows of an array; only one of them is in memory.

    Args:
        archive: from `open_npz`.
        name: of the array.
        shape: that it must have; a header does not decide how much is read.
        kinds: of numbers that it may hold, as in `numpy.dtype.kind`: "u" for pixels, "iu" for labels.

    Raises:
        KeyError, ValueError: there is no such array, or it is another; `open_npz` turns them into a UserError.
    """
    member = archive.getinfo(f"{name}.npy")
    if member.compress_type not in COMPRESSIONS:
        raise ValueError(f"{name} is packed in a way that is not read here")
    with archive.open(member) as stream:
        version = npy.read_magic(stream)
        if version not in HEADERS:
            raise ValueError(f"{name} is of version {version}")
        found, by_column, dtype = HEADERS[version](stream)
        if found != shape or by_column or dtype.kind not in kinds or dtype.hasobject:
            raise ValueError(f"{name} has shape {found} and type {dtype}, not {shape} and whole numbers")
        count = dtype.itemsize * int(np.prod(shape[1:]))
        for _ in range(shape[0]):
            row = stream.read(count)
            if len(row) < count:
                raise ValueError(f"{name} ends too early")
            yield np.frombuffer(row, dtype).reshape(shape[1:])
