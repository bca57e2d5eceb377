"""Pairs of digests in a text file that only grows."""

import re
from collections.abc import Iterable, Iterator
from pathlib import Path

from dassl.writing import atomic_write, open_to_append, writing

LINE = re.compile(rb"([0-9a-f]{32})\t([0-9a-f]{32})")

Pair = tuple[bytes, bytes]


class Memo:
    """A file of pairs of digests of 16 bytes, one pair per line as 32 hex digits each, with a tab between them.

    Several processes may append at once. Only the owner may read the file.

    Args:
        path: of the file; it is made when the first pair is appended.
    """

    def __init__(self, path: Path):
        self.path = path

    def read(self) -> Iterator[Pair]:
        """Return the pairs; lines of another form are passed over.

        Such lines come from processes that wrote at once where appending is not atomic, or from older versions, which
        wrote names of files. If there may be such a name, the file is written anew without these lines.
        """
        lines = self.path.read_bytes().split(b"\n") if self.path.is_file() else []
        whole = list(filter(None, map(LINE.fullmatch, lines)))
        if any(b"/" in line or b"\\" in line for line in lines):
            with atomic_write(self.path, "wb", private=True) as file:
                file.writelines(line[0] + b"\n" for line in whole)
        return ((bytes.fromhex(line[1].decode()), bytes.fromhex(line[2].decode())) for line in whole)

    def append(self, pairs: Iterable[Pair]) -> None:
        """Write the pairs at the end of the file, all at once.

        Raises:
            UserError: the disk is full, read-only or forbidden; names the file.
        """
        lines = [f"{first.hex()}\t{second.hex()}\n" for first, second in pairs]
        if lines:
            with open_to_append(self.path, private=True) as file, writing(self.path):
                file.write("".join(lines).encode())
