"""Digests of contents and files, and a memo of them, so that a file that has not changed is read only once."""

import os
import time
from collections.abc import Iterable
from hashlib import blake2b
from pathlib import Path
from stat import S_ISREG
from typing import ClassVar

from platformdirs import user_cache_dir

from clip.memo import Memo, Pair
from dassl.errors import UserError

FRESH = 2 * 10**9  # nanoseconds; no file system's clock is coarser
LINES_AT_ONCE = 1000  # lines of the memo between two writes: a killed run loses no more
BLOCK = 1024 * 1024  # bytes that are read at once


def content_digest(content: bytes) -> bytes:
    """Return the digest of `content`: 16 bytes of BLAKE2b.

    Example:
        >>> content_digest(b"a picture").hex()
        '6d6f532c386533c4a121faffda65f7e1'
    """
    return blake2b(content, digest_size=16).digest()


def file_digest(path: str) -> bytes:
    """Return the `content_digest` of a file without holding the whole file in memory."""
    found = blake2b(digest_size=16)
    with open(path, "rb", buffering=0) as file:  # noqa: PTH123 - a name that is not UTF-8 too
        while block := file.read(BLOCK):
            found.update(block)
    return found.digest()


def store_root(root: str | Path | None = None) -> Path:
    """Return the folder of the feature store: `root`, else `$VMFCOOP_CACHE`, else the user's cache folder."""
    return Path(root or os.environ.get("VMFCOOP_CACHE") or user_cache_dir("vmfcoop")).expanduser()


class Digests:
    """Digests of the contents of files; a file that has not changed is not read again.

    A file counts as unchanged if its path, size, times of change of content and of state, and inode are the same:
    programs can set back the first time, but not the second. As in git, a file that changed less than two seconds ago
    is not remembered, because it could change again within the same tick of the clock.

    The memo `digests.tsv` has one line per file: the digest of the content, and the digest of path, size, times and
    inode. It contains no name of a file. Whoever may write to it decides which features a file is taken to have, so
    share a store only with people whom you trust.

    Args:
        root: folder of the memo; see `store_root`.
    """

    known: ClassVar[dict[Path, dict[bytes, bytes]]] = {}  # by memo: content by state, shared within a process

    def __init__(self, root: str | Path | None = None):
        self.memo = Memo(store_root(root) / "digests.tsv")
        if self.memo.path not in self.known:
            self.known[self.memo.path] = {state: content for content, state in self.memo.read()}
        self.contents = self.known[self.memo.path]

    def of(self, path: str | Path) -> bytes:
        """Return the digest of a file's content; raises as `of_all`."""
        return self.of_all([path])[0]

    def of_all(
        self, paths: Iterable[str | Path], limit: int | None = None, skip: dict[str, str] | None = None
    ) -> list[bytes]:
        """Return the digest of each file's content, in the order of `paths`.

        Args:
            paths: the files.
            limit: largest allowed size of a file in bytes; None for no limit.
            skip: receives, by path, what is wrong with a file, which then has the digest b"" and raises nothing.

        Raises:
            UserError: a file is missing, unreadable or larger; names it.
        """
        names = [os.fspath(path) for path in paths]
        found: dict[str, bytes] = dict.fromkeys(names, b"")
        new: list[Pair] = []
        try:
            for name in found:
                try:
                    found[name] = self._one(name, new, limit)
                except UserError as error:
                    if skip is None:
                        raise
                    skip[name] = str(error)
                if len(new) == LINES_AT_ONCE:
                    self._remember(new)
        finally:
            self._remember(new)
        return [found[name] for name in names]

    def _one(self, name: str, new: list[Pair], limit: int | None) -> bytes:
        """Return the digest of a file; add a pair to `new` if the file was read and can be remembered."""
        now = time.time_ns()
        try:
            stat = os.stat(name)  # noqa: PTH116 - several times as fast as a Path's, for many files
            if limit is not None and (stat.st_size > limit or not S_ISREG(stat.st_mode)):  # a pipe would never end
                raise UserError(
                    f"Expected a file of at most {limit >> 20} MB at {name}, but it is none: check the data folder."
                )
            state = b"%d %d %d %d " % (stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns, stat.st_ino)
            state += os.fsencode(os.path.abspath(name))  # noqa: PTH100 - bytes, since not every name is UTF-8
            state = content_digest(state)
            if state in self.contents:
                return self.contents[state]
            content = file_digest(name)
        except OSError as error:
            raise UserError(
                f"Expected a readable file at {name}, but got: {error.strerror or error}: check the data folder."
            ) from error
        if now - stat.st_ctime_ns > FRESH:
            self.contents[state] = content
            new.append((content, state))
        return content

    def _remember(self, new: list[Pair]) -> None:
        """Write the pairs to the memo and empty the list."""
        self.memo.append(new)
        new.clear()
