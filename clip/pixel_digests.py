"""Digests of decoded pictures, by which copies in other files or formats are found."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

from clip.digests import Digests, content_digest, store_root
from clip.memo import Memo
from clip.views import decoding_digest
from dassl.images import FILE_BYTES, Reading, pixel_digest, read_image
from dassl.progress import bar

THREADS = 2  # each holds one picture; decoding lets the others run
AT_ONCE = 256  # files between two writes: a killed run loses no more


def picture_digest(path: str, reading: Reading) -> bytes:
    """Return the 16 bytes by which the picture in a file is known; raises as `read_image`."""
    return pixel_digest(read_image(path, reading))


class PixelDigests:
    """Digests of pictures; each file is decoded only once.

    The memo `pixels.tsv` has one line per picture: the digest of the file's content, the way of reading and the code
    that decodes; and the digest of the picture.

    Args:
        root: folder of the memo; see `store_root`.
        reading: how files are decoded.
    """

    def __init__(self, root: str | Path | None = None, reading: Reading = Reading()):  # noqa: B008 - never changed
        self.memo = Memo(store_root(root) / "pixels.tsv")
        self.reading, self.contents = reading, Digests(root)

    def of_all(self, paths: Sequence[str]) -> list[bytes]:
        """Return the digest of the picture in each file, in the order of `paths`.

        Raises:
            UserError: a file is missing or holds no readable picture; names it.
        """
        way = repr(self.reading).encode() + b"\0" + decoding_digest()
        keys = [content_digest(content + way) for content in self.contents.of_all(paths, FILE_BYTES)]
        known = dict(self.memo.read())
        missing = {key: path for key, path in zip(keys, paths, strict=True) if key not in known}
        with (
            ThreadPoolExecutor(THREADS) as pool,
            bar(total=len(missing), desc="Comparing pictures", unit="image", delay=3) as shown,
        ):
            for start in range(0, len(missing), AT_ONCE):
                some = list(missing)[start : start + AT_ONCE]
                found = pool.map(partial(picture_digest, reading=self.reading), [missing[key] for key in some])
                new = dict(zip(some, found, strict=True))
                known |= new
                self.memo.append(new.items())
                shown.update(len(some))
        return [known[key] for key in keys]
