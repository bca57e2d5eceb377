"""Store rows of numbers under keys, in a folder that several processes may write at once."""

import errno
import os
import time
import uuid
import warnings
from collections.abc import Sequence
from contextlib import suppress
from io import FileIO
from pathlib import Path
from typing import IO

import numpy as np
from filelock import FileLock, Timeout

from dassl.errors import UserError
from dassl.writing import atomic_write

MERGE_ABOVE = 64  # small files in a folder; more are merged
SMALL = 100_000  # rows; a larger file is not merged, or every merge would copy the whole table
ROWS_AT_ONCE = 4096  # copied while merging: 8 MB at D = 512
A_DAY = 86_400  # seconds
GONE = {errno.ENOENT, errno.ESTALE}  # a file was removed; the second while it is open, on a network disk


class RowStore:
    """A table of float32 rows by key; keys are bytes, all of one length.

    Memory holds the keys alone; a row is read from its file when it is asked for. Files are not mapped into memory,
    because a mapped file that another machine removes from a network disk ends the process.

    Each `put` writes a new file that appears whole or not at all, so that writers do not disturb each other. Small
    files are merged when there are many. A key that is in two files has the same row in both. Only the owner may read
    the files, because they are computed from images of patients.

    Args:
        folder: of the files; it is made by the first `put`.

    Example:
        >>> from tempfile import TemporaryDirectory
        >>> with TemporaryDirectory() as folder:
        ...     store = RowStore(folder)
        ...     store.put([b"a", b"b"], np.array([[1.0, 2.0], [3.0, 4.0]]))
        ...     store.get([b"b", b"c"])
        [array([3., 4.], dtype=float32), None]
    """

    def __init__(self, folder: str | Path):
        self.folder = Path(folder)
        self.files: dict[str, _RowFile | None] = {}  # by name; None stands for a damaged file

    def get(self, keys: Sequence[bytes]) -> list[np.ndarray | None]:
        """Return the row [D] of each key; None for a key without a row."""
        self._refresh()
        found: list[np.ndarray | None] = [None] * len(keys)
        missing, moved = np.arange(len(keys)), False
        wanted = _packed(keys)
        for name, file in self.files.copy().items():
            if file is None or not len(missing):
                continue
            places = file.places(wanted[missing])
            hits = places >= 0
            try:
                rows = file.read(places[hits])
            except OSError as error:
                if error.errno not in GONE:
                    raise
                del self.files[name]
                moved = True  # another process has merged it: its rows are in a newer file
            except ValueError as error:
                self._leave_out(name, error)
            else:
                for i, row in zip(missing[hits], rows, strict=True):
                    found[i] = row
                missing = missing[~hits]
        return self.get(keys) if moved else found

    def put(self, keys: Sequence[bytes], rows: np.ndarray) -> None:
        """Store one row [D] per key.

        Args:
            keys: N keys.
            rows: [N, D].

        Raises:
            UserError: the disk is full, read-only or forbidden; names the file.
        """
        packed = _packed(keys)
        order = np.argsort(packed)
        with atomic_write(self._new(), "wb", private=True) as file:
            _write_head(file, packed[order], rows.shape[1])
            file.write(np.ascontiguousarray(rows[order], dtype=np.float32))
        self._refresh()
        if len(self._small()) > MERGE_ABOVE:
            self._merge()

    def _new(self) -> Path:
        """Return the path of a new file."""
        return self.folder / f"{uuid.uuid4().hex}.rows"

    def _small(self) -> list[str]:
        """Return the names of damaged files and of files with few rows."""
        return [name for name, file in self.files.items() if file is None or len(file.keys) < SMALL]

    def _refresh(self) -> None:
        """Open files that are new, and forget files that are gone."""
        names = {path.name for path in self.folder.glob("*.rows")}
        self.files = {name: file for name, file in self.files.items() if name in names}
        for name in names - self.files.keys():
            try:
                self.files[name] = _RowFile(self.folder / name)
            except OSError as error:
                if error.errno not in GONE:
                    raise
            except Exception as error:  # NumPy raises ValueError, MemoryError, ... if it does not find its header
                self._leave_out(name, error)

    def _leave_out(self, name: str, error: Exception) -> None:
        """Mark a file as damaged, with a warning."""
        path = self.folder / name
        warnings.warn(f"{path} is damaged ({error}): left out, its features are computed again.", stacklevel=4)
        self.files[name] = None

    def _merge(self) -> None:
        """Merge the small files into one, and remove them afterwards."""
        # Nothing depends on a merge: on a disk without room or locks the files stay as they are.
        with suppress(Timeout, OSError, NotImplementedError, UserError), FileLock(self.folder / ".lock", timeout=0):
            self._refresh()
            names = self._small()
            files = [file for name in names if (file := self.files[name])]
            if files:
                self._write_merged(files)
            for name in names:
                (self.folder / name).unlink(missing_ok=True)
            for left in self.folder.glob(".*.tmp"):  # of writers that were killed
                if time.time() - left.stat().st_mtime > A_DAY:
                    left.unlink(missing_ok=True)
            self._refresh()

    def _write_merged(self, files: "list[_RowFile]") -> None:
        """Write the rows of several files into a new one, each key once."""
        keys, first = np.unique(np.concatenate([file.keys for file in files]), return_index=True)
        ends = np.cumsum([len(file.keys) for file in files])
        origin = np.searchsorted(ends, first, side="right")  # the file of each row
        with atomic_write(self._new(), "wb", private=True) as target:
            _write_head(target, keys, files[0].width)
            for start in range(0, len(keys), ROWS_AT_ONCE):
                places, origins = first[start : start + ROWS_AT_ONCE], origin[start : start + ROWS_AT_ONCE]
                block = np.empty((len(places), files[0].width), np.float32)
                for i in np.unique(origins):
                    mine = origins == i
                    block[mine] = files[i].read(places[mine] - (ends[i] - len(files[i].keys)))
                target.write(block)


class _RowFile:
    """A file of two arrays in NumPy's format, one after the other: sorted keys [N] and their rows [N, D].

    Raises:
        ValueError: the file is damaged.
    """

    def __init__(self, path: Path):
        self.path = path
        with path.open("rb") as file:
            self.keys = np.lib.format.read_array(file, allow_pickle=False)
            version = np.lib.format.read_magic(file)
            if version != (1, 0):
                raise ValueError("unknown version")
            (count, self.width), _, dtype = np.lib.format.read_array_header_1_0(file)
            self.start = file.tell()
            size = os.fstat(file.fileno()).st_size
        if self.keys.shape != (count,) or self.keys.dtype.kind != "S" or dtype != np.float32:
            raise ValueError("unknown content")
        if size != self.start + count * self.width * 4:
            raise ValueError("cut short")

    def places(self, wanted: np.ndarray) -> np.ndarray:
        """Return the index [M] of the row of each key [M]; -1 for a key that is not in the file."""
        if wanted.dtype != self.keys.dtype or not len(self.keys):
            return np.full(len(wanted), -1)
        places = np.searchsorted(self.keys, wanted).clip(max=len(self.keys) - 1)
        return np.where(self.keys[places] == wanted, places, -1)

    def read(self, places: np.ndarray) -> np.ndarray:
        """Return the rows [M, D] at the indices `places` [M]; neighbouring rows are read at once.

        Raises:
            ValueError: the file has become shorter.
        """
        order = np.argsort(places)
        there = places[order]
        rows = np.empty((len(places), self.width), np.float32)
        if not len(places):
            return rows
        size, left = self.width * 4, rows.data.cast("B")
        starts = [0, *(np.flatnonzero(np.diff(there) != 1) + 1).tolist(), len(there)]
        with self.path.open("rb", buffering=0) as file:
            for start, end, place in zip(starts, starts[1:], there[starts[:-1]].tolist(), strict=False):
                file.seek(self.start + place * size)
                _fill(file, left[start * size : end * size])
        back = np.empty_like(order)
        back[order] = np.arange(len(order))
        return rows[back]


def keys_of(path: Path) -> np.ndarray:
    """Return the keys [N] in a file of a `RowStore`; none of a damaged file, or of one that is gone."""
    try:
        return _RowFile(path).keys
    except Exception:  # NumPy raises ValueError, MemoryError, ... if it does not find its header
        return np.array([], "S1")


def _packed(keys: Sequence[bytes]) -> np.ndarray:
    """Return keys as one array; NumPy drops zeros at their ends, but all keys have one length."""
    return np.array(keys, dtype=f"S{len(keys[0])}" if len(keys) else "S1")


def _write_head(file: IO[bytes], keys: np.ndarray, width: int) -> None:
    """Write keys [N] and the header of rows [N, width]."""
    np.lib.format.write_array(file, keys, allow_pickle=False)
    head = {"descr": "<f4", "fortran_order": False, "shape": (len(keys), width)}
    np.lib.format.write_array_header_1_0(file, head)


def _fill(file: FileIO, buffer: memoryview) -> None:
    """Fill the buffer from the file's position on."""
    while buffer:
        count = file.readinto(buffer)
        if not count:
            raise ValueError("shorter than when it was opened")
        buffer = buffer[count:]
