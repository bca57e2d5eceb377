"""TIFF: Pillow decodes the kinds that it sees as they are, the package tifffile what else there is."""

import struct
import sys
from typing import BinaryIO

import numpy as np
from PIL import Image

from dassl.images.limits import Unusable, check_size
from dassl.images.pillow import TURNS, Found, join, open_picture, turn_of
from dassl.images.settings import Reading
from dassl.images.values import Deep, span_of

MAGIC = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
BITS, COMPRESSION, PHOTOMETRIC, ORIENTATION, PLANAR, EXTRA, FORMAT = 258, 259, 262, 274, 284, 338, 339
PAGES = 10_000  # which Pillow takes seconds to count, and ten times as many many minutes
WHITE_IS_ZERO, BLACK_IS_ZERO, RGB, CMYK = 0, 1, 2, 5
UNSIGNED, SIGNED, FLOAT, VOID = 1, 2, 3, 4
UNSPECIFIED, ASSOCIATED, UNASSOCIATED = 0, 1, 2  # extra samples: not known, alpha whose colours are multiplied, alpha
# Which decoder of Pillow gives the lower 8 of 16 bits, by the one that gives the upper. "N" is this machine's order.
LOWER = {"L": "B", "B": "L", "N": "B" if sys.byteorder == "little" else "L"}


def read(file: BinaryIO, reading: Reading) -> Found:
    """Return the page of a TIFF that is seen.

    Raises:
        Unusable: it is too large, damaged, or has channels that are neither grey, colours nor alpha.
    """
    _check_pages(file)
    try:
        image = open_picture(file, ("TIFF",))
        frames = getattr(image, "n_frames", 1)
    except Unusable as error:
        if "none of" not in str(error):
            raise
        return _by_tifffile(file, reading)
    frame = reading.choose(frames)
    try:
        image.seek(frame)
    except Exception:  # a page of a kind that Pillow does not know
        return _by_tifffile(file, reading)
    check_size(*image.size)
    picture = _by_pillow(image, file, frame)
    return Found(picture, frame, frames, turn_of(image)) if picture else _by_tifffile(file, reading)


def _check_pages(file: BinaryIO) -> None:
    """Raise `Unusable` if there are more pages than are counted; whatever else is wrong with them is found later."""
    head = file.read(16)
    order, large = "<" if head[:2] == b"II" else ">", 43 in head[2:4]
    count, link, entry = (f"{order}Q", f"{order}Q", 20) if large else (f"{order}H", f"{order}I", 12)
    seen: set[int] = set()
    try:
        (place,) = struct.unpack_from(link, head, 8 if large else 4)
        while place and place not in seen and len(seen) <= PAGES:
            seen.add(place)
            file.seek(place)
            (entries,) = struct.unpack(count, file.read(struct.calcsize(count)))
            file.seek(entries * entry, 1)
            (place,) = struct.unpack(link, file.read(struct.calcsize(link)))
    except (struct.error, OSError, OverflowError, ValueError):
        pass
    file.seek(0)
    if len(seen) > PAGES:
        raise Unusable(f"it has more than {PAGES:,} pages")


def _by_pillow(image: Image.Image, file: BinaryIO, frame: int) -> Image.Image | Deep | None:
    """The picture, or None where Pillow would change its values."""
    tags = image.tag_v2
    photometric, kinds, bits = tags.get(PHOTOMETRIC, 0), set(tags.get(FORMAT, (UNSIGNED,))), tags.get(BITS, (1,))
    _check_channels(photometric, tags.get(EXTRA, ()))
    inverted = photometric == WHITE_IS_ZERO
    if (kinds <= {UNSIGNED, VOID} and max(bits) <= 8) or (photometric == CMYK and kinds == {UNSIGNED}):
        image.load()
        return image
    if tags.get(PLANAR, 1) != 1 or max(bits) != min(bits):
        return None
    if image.mode in ("I", "F") and tags.prefix == b"MM" and tags.get(COMPRESSION, 1) != 1:
        return None  # Pillow takes them for big-endian once more after libtiff has put them right
    if image.mode in ("I;16", "I;16B") and kinds <= {UNSIGNED, VOID}:
        values = np.asarray(image)
        return Deep(values, span_of(values.dtype, bits[0]), inverted=inverted)
    if image.mode == "I" and kinds in ({UNSIGNED}, {SIGNED}):
        values = np.asarray(image)
        if kinds == {UNSIGNED}:
            values = values.view(np.uint32)  # Pillow takes the highest bit for a sign
        return Deep(values, span_of(values.dtype, bits[0]), inverted=inverted)
    if image.mode == "F" and kinds == {FLOAT} and bits[0] == 32:
        return Deep(np.asarray(image), span_of(np.dtype(np.float32)), inverted=inverted)
    deep = all(tile[3][0].startswith(("RGB;16", "RGBX;16", "RGBA;16")) for tile in image.tile)
    return _deep_colours(image, file, frame) if image.mode in ("RGB", "RGBA") and deep else None


def _deep_colours(image: Image.Image, file: BinaryIO, frame: int) -> Deep:
    """Colours of 16 bits, of which Pillow keeps the upper 8: what it calls the other byte order are the lower 8."""
    check_size(*image.size, pixel_bytes=8)
    upper = np.asarray(image)
    file.seek(0)
    other = open_picture(file, ("TIFF",))
    other.seek(frame)
    other.tile = [
        tile._replace(args=(tile.args[0][:-1] + LOWER[tile.args[0][-1]], *tile.args[1:])) for tile in other.tile
    ]
    values = join(upper, np.asarray(other))
    alpha = values[..., 3] / np.float32(65535) if values.shape[2] == 4 else None
    return Deep(values[..., :3], span_of(values.dtype), alpha=alpha)


def _check_channels(photometric: int, extra: tuple[int, ...]) -> None:
    """Raise `Unusable` if there are channels that no one says how to see; a fourth beside colours may lie there."""
    colours = {RGB: 3, CMYK: 4}.get(photometric, 1)
    if len(extra) > 1 or (extra and extra[0] == UNSPECIFIED and colours == 1):
        raise Unusable(
            f"it has {colours + len(extra)} channels",
            "save those that should be seen as grey or RGB, or remove it from the split.",
        )


def _by_tifffile(file: BinaryIO, reading: Reading) -> Found:
    try:
        import tifffile
    except ImportError:
        raise Unusable("a kind of TIFF that Pillow does not read", "pip install tifffile, or convert it.") from None
    file.seek(0)
    with tifffile.TiffFile(file, name="image") as tiff:
        frames = len(tiff.pages)
        frame = reading.choose(frames)
        page = tiff.pages[frame].aspage()
        size = page.imagewidth, page.imagelength
        check_size(*size, pixel_bytes=page.samplesperpixel * page.bitspersample // 8)
        if page.is_tiled:
            check_size(page.tilewidth, page.tilelength, pixel_bytes=page.samplesperpixel * page.bitspersample // 8)
        photometric, extra = int(page.photometric), tuple(int(kind) for kind in page.extrasamples)
        _check_channels(photometric, extra)
        colours = 3 if photometric == RGB else 1
        if photometric not in (WHITE_IS_ZERO, BLACK_IS_ZERO, RGB) or page.samplesperpixel != colours + len(extra):
            raise Unusable(
                f"it has {page.samplesperpixel} channels of photometric interpretation {photometric}",
                "save what should be seen as grey or RGB, or remove it from the split.",
            )
        try:
            values = page.asarray()
        except ValueError as error:
            if "imagecodecs" not in str(error):
                raise
            advice = "pip install imagecodecs, or convert it."
            raise Unusable(f"a deep TIFF compressed as {page.compression.name}", advice) from None
        turn = page.tags.get(ORIENTATION)
        bits = page.bitspersample
    if page.axes[:1] == "S":
        values = np.moveaxis(values, 0, -1)
    values = values.reshape(size[1], size[0], -1)
    if values.dtype.kind not in "uif":
        raise Unusable(f"its values are of type {values.dtype}")
    alpha = None
    span = span_of(values.dtype, bits)
    if extra[:1] in ((ASSOCIATED,), (UNASSOCIATED,)):
        alpha = ((values[..., -1] - span[0]) / (span[1] - span[0])).astype(np.float32).clip(0, 1)
    values = values[..., :colours]
    if extra[:1] == (ASSOCIATED,):
        with np.errstate(all="ignore"):
            values = np.nan_to_num(values / alpha[..., None], posinf=0, neginf=0)
    values = values if colours == 3 else values[..., 0]
    picture: Image.Image | Deep = Deep(values, span, alpha=alpha, inverted=photometric == WHITE_IS_ZERO)
    if values.dtype == np.uint8 and bits == 8:  # seen as it is, as with Pillow
        picture = Image.fromarray(255 - values if picture.inverted else values)
        if alpha is not None:
            picture.putalpha(Image.fromarray(np.rint(alpha * 255).astype(np.uint8)))
    return Found(picture, frame, frames, TURNS.get(turn.value if turn else 1))
