"""Rows of numbers under keys, in a folder of append-only files that several processes may write at once."""

import os
import uuid
import warnings
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from filelock import FileLock, Timeout
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

MERGE_ABOVE = 64  # files in a folder


class Shards:
    """A table from keys (bytes, all of one length) to float32 rows.

    Each `put` writes a file of its own under a temporary name and renames it, so that a reader sees it whole or not at
    all and writers never meet. Many files are merged into one now and then.
    """

    def __init__(self, folder: str | Path):
        self.folder = Path(folder)
        self.rows: dict[bytes, np.ndarray] = {}
        self.seen: set[str] = set()

    def get(self, keys: Sequence[bytes]) -> list[np.ndarray | None]:
        """The row of each key, None where there is none yet."""
        self._refresh()
        return [self.rows.get(key) for key in keys]

    def put(self, keys: Sequence[bytes], rows: np.ndarray) -> None:
        """Keep one row [D] of `rows` [N, D] per key."""
        self.folder.mkdir(parents=True, exist_ok=True)
        self.seen.add(self._write(keys, rows))
        self.rows.update(zip(keys, rows, strict=True))
        if len(list(self.folder.glob("*.safetensors"))) > MERGE_ABOVE:
            self._merge()

    def _write(self, keys: Sequence[bytes], rows: np.ndarray) -> str:
        path = self.folder / f"{uuid.uuid4().hex}.safetensors"
        partial = path.with_suffix(".part")
        table = {
            "keys": np.frombuffer(b"".join(keys), np.uint8).reshape(len(keys), -1),
            "rows": np.ascontiguousarray(rows),
        }
        save_file(table, partial)
        os.replace(partial, path)  # noqa: PTH105
        return path.name

    def _refresh(self) -> None:
        for path in self.folder.glob("*.safetensors"):
            if path.name in self.seen:
                continue
            try:
                table = load_file(path)
                keys, rows = [bytes(key) for key in table["keys"]], table["rows"]
                self.rows.update(zip(keys, rows, strict=True))
            except FileNotFoundError:  # merged by another process since: its rows are in a newer file
                return self._refresh()
            except (SafetensorError, KeyError, ValueError) as error:
                warnings.warn(f"{path} is damaged ({error}): left out, its features are computed again.", stacklevel=3)
            self.seen.add(path.name)

    def _merge(self) -> None:
        """Put all files into one; the old ones go only when the new one is there."""
        try:
            with FileLock(self.folder / ".lock", timeout=0):
                self._refresh()
                old = self.seen
                if self.rows:
                    self.seen = {self._write(list(self.rows), np.stack(list(self.rows.values())))}
                for name in old:
                    (self.folder / name).unlink(missing_ok=True)
        except Timeout:  # another process is at it
            return
