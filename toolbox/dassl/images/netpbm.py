"""PGM and PPM of more than 8 bits, whose values Pillow would scale or cut."""

import re
from typing import BinaryIO

import numpy as np

from dassl.images.limits import PictureError, check_size
from dassl.images.values import DeepPicture

GAP = rb"(?:[ \t\r\n\f\v]|#[^\n]*\n)+"
HEAD = re.compile(rb"P([2356])" + GAP + rb"(\d{1,9})" + GAP + rb"(\d{1,9})" + GAP + rb"(\d{1,5})[ \t\r\n\f\v]")


def read(file: BinaryIO) -> DeepPicture | None:
    """Return the first picture of a PGM or PPM of more than 8 bits; None for any other file.

    Raises:
        PictureError: the file is truncated, too large, or holds values above the maximum in its head.
    """
    head = HEAD.match(file.read(4096))
    if not head or int(head[4]) < 256:
        return None
    kind, width, height, most = (int(word) for word in head.groups())
    samples = 3 if kind in (3, 6) else 1
    check_size(width, height, 2 * samples)
    file.seek(head.end())
    count = width * height * samples
    if kind in (5, 6):
        values = np.frombuffer(file.read(2 * count), ">u2")
    else:
        values = np.array(re.sub(rb"#[^\n]*", b"", file.read(8 * count + 4096)).split()[:count], np.int64)
    if len(values) < count or most > 65535 or not count:
        raise PictureError("the file is truncated")
    if values.max() > most or values.min() < 0:
        raise PictureError(f"it holds values above {most}, which it names as the highest")
    values = values.astype(np.uint16).reshape(height, width, samples)
    return DeepPicture(values if samples == 3 else values[..., 0], (0.0, float(most)))
