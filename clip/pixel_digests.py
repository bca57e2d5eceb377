"""Digests of what is seen in an image file, by which copies in other files or formats are found; each is made once."""

import re
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

from tqdm import tqdm

from clip.digests import Digests, content_digest, store_root
from clip.pixels import FILE_BYTES, Reading, read_image
from clip.views import drawn_by
from dassl.images import pixel_digest
from dassl.writing import open_to_append, writing

LINE = re.compile(rb"([0-9a-f]{32})\t([0-9a-f]{32})")
THREADS = 2  # each holds one picture; decoding lets the others run
AT_ONCE = 256  # files between two writes: a killed run loses no more


def picture_digest(path: str, reading: Reading) -> bytes:
    """Return the 16 bytes by which the picture in a file is known; raises as `read_image`."""
    return pixel_digest(read_image(path, reading))


class PixelDigests:
    """Digests of pictures, remembered by the contents of their files and the way of reading.

    The memo is a text file that only grows, two digests a line: of content and reading, and of the picture.

    Args:
        root: folder of the memo, as `store_root` has it.
        reading: how files become pictures.
    """

    def __init__(self, root: str | Path | None = None, reading: Reading = Reading()):  # noqa: B008 - never changed
        self.path, self.reading, self.contents = store_root(root) / "pixels.tsv", reading, Digests(root)

    def of_all(self, paths: Sequence[str]) -> list[bytes]:
        """Return the digest of the picture in each file, in the order of `paths`.

        Raises:
            UserError: a file that is not there or holds no readable picture; names it.
        """
        way = repr(self.reading).encode() + b"\0" + drawn_by()
        keys = [content_digest(content + way) for content in self.contents.of_all(paths, FILE_BYTES)]
        known = self._read()
        missing = {key: path for key, path in zip(keys, paths, strict=True) if key not in known}
        with (
            ThreadPoolExecutor(THREADS) as pool,
            tqdm(total=len(missing), desc="Comparing pictures", unit="image", delay=3, leave=False) as bar,
        ):
            for start in range(0, len(missing), AT_ONCE):
                some = list(missing)[start : start + AT_ONCE]
                found = pool.map(partial(picture_digest, reading=self.reading), [missing[key] for key in some])
                new = dict(zip(some, found, strict=True))
                known |= new
                self._append(new)
                bar.update(len(some))
        return [known[key] for key in keys]

    def _read(self) -> dict[bytes, bytes]:
        lines = self.path.read_bytes().split(b"\n") if self.path.is_file() else []
        whole = filter(None, map(LINE.fullmatch, lines))
        return {bytes.fromhex(line[1].decode()): bytes.fromhex(line[2].decode()) for line in whole}

    def _append(self, found: dict[bytes, bytes]) -> None:
        lines = [f"{key.hex()}\t{digest.hex()}\n" for key, digest in found.items()]
        with open_to_append(self.path, private=True) as file, writing(self.path):
            file.write("".join(lines).encode())
