"""The digests by which contents are known, and a memo of them, so that a file is read once and not at every run."""

import os
import re
import time
from collections.abc import Iterable
from hashlib import blake2b
from pathlib import Path
from stat import S_ISREG
from typing import ClassVar

from platformdirs import user_cache_dir

from dassl.errors import UserError
from dassl.writing import atomic_write, open_to_append, writing

FRESH = 2 * 10**9  # nanoseconds; no file system's clock is coarser
LINES_AT_ONCE = 1000  # a killed run loses no more
BLOCK = 1024 * 1024  # bytes that are read at once
LINE = re.compile(rb"([0-9a-f]{32})\t([0-9a-f]{32})")


def content_digest(content: bytes) -> bytes:
    """Return the 16 bytes by which a content is known."""
    return blake2b(content, digest_size=16).digest()


def file_digest(path: str) -> bytes:
    """Return `content_digest` of a file, which is not held in memory as a whole."""
    found = blake2b(digest_size=16)
    with open(path, "rb", buffering=0) as file:  # noqa: PTH123 - a name that is not UTF-8 too
        while block := file.read(BLOCK):
            found.update(block)
    return found.digest()


def store_root(root: str | Path | None = None) -> Path:
    """Return the folder of everything that is computed once: `root`, else `$VMFCOOP_CACHE`, else the user's cache."""
    return Path(root or os.environ.get("VMFCOOP_CACHE") or user_cache_dir("vmfcoop")).expanduser()


class Digests:
    """Content digests of files; a file that has not changed since is not read again.

    A file is taken for unchanged if its path, size, times of change of content and of state, and inode are the same:
    programs can set back the first time, not the second. As in git, a file that changed less than two seconds ago is
    not remembered, because it could change once more without another time.

    The memo is a text file that only grows, a line per file: several processes may append to it at once. It tells no
    name of a file, since a line is two digests of 32 hex digits: of the content, and of path, size, times and inode.
    Who may write to it decides which features a file is taken to have, so a store is for people who trust each other.

    Args:
        root: folder of the memo, as `store_root` has it.
    """

    known: ClassVar[dict[Path, dict[bytes, bytes]]] = {}  # per memo, shared by all that ask within a process

    def __init__(self, root: str | Path | None = None):
        self.path = store_root(root) / "digests.tsv"
        if self.path not in self.known:
            self.known[self.path] = self._read()
        self.memo = self.known[self.path]

    def of(self, path: str | Path) -> bytes:
        """Return the digest of a file's content; raises as `of_all`."""
        return self.of_all([path])[0]

    def of_all(self, paths: Iterable[str | Path], limit: int | None = None) -> list[bytes]:
        """Return the digest of each file's content, in the order of `paths`.

        Args:
            paths: the files.
            limit: the most bytes that one may hold; None for any number.

        Raises:
            UserError: a file that is not there, cannot be read or holds more; names it.
        """
        names = [os.fspath(path) for path in paths]
        found: dict[str, bytes] = dict.fromkeys(names, b"")
        lines: list[bytes] = []
        try:
            for name in found:
                found[name] = self._one(name, lines, limit)
                if len(lines) == LINES_AT_ONCE:
                    self._append(lines)
        finally:
            self._append(lines)
        return [found[name] for name in names]

    def _one(self, name: str, lines: list[bytes], limit: int | None) -> bytes:
        """The digest of a file; if it had to be read and can be remembered, also a line of the memo in `lines`."""
        now = time.time_ns()
        try:
            stat = os.stat(name)  # noqa: PTH116 - several times as fast as a Path's, for many files
            if limit is not None and (stat.st_size > limit or not S_ISREG(stat.st_mode)):  # a pipe would never end
                raise UserError(
                    f"Expected a file of at most {limit >> 20} MB at {name}, but it is none: check the data folder."
                )
            key = b"%d %d %d %d " % (stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns, stat.st_ino)
            key += os.fsencode(os.path.abspath(name))  # noqa: PTH100 - bytes, since not every name is UTF-8
            key = content_digest(key)
            if key in self.memo:
                return self.memo[key]
            digest = file_digest(name)
        except OSError as error:
            raise UserError(
                f"Expected a readable file at {name}, but got: {error.strerror or error}: check the data folder."
            ) from error
        if now - stat.st_ctime_ns > FRESH:
            self.memo[key] = digest
            lines.append(f"{digest.hex()}\t{key.hex()}\n".encode())
        return digest

    def _read(self) -> dict[bytes, bytes]:
        lines = self.path.read_bytes().split(b"\n") if self.path.is_file() else []
        # Others are left out: of two processes that wrote at once where appending is not atomic, or of older memos.
        whole = list(filter(None, map(LINE.fullmatch, lines)))
        if any(b"/" in line or b"\\" in line for line in lines):  # an older memo, which tells names of files
            with atomic_write(self.path, "wb", private=True) as file:
                file.writelines(line[0] + b"\n" for line in whole)
        return {bytes.fromhex(line[2].decode()): bytes.fromhex(line[1].decode()) for line in whole}

    def _append(self, lines: list[bytes]) -> None:
        """Write and forget `lines`: at the end, in one piece, whoever else writes."""
        if lines:
            with open_to_append(self.path, private=True) as file, writing(self.path):
                file.write(b"".join(lines))
            lines.clear()
