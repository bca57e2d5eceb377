"""TIFF: Pillow decodes the kinds whose values it keeps, the package tifffile decodes the others."""

import struct
import sys
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np
from PIL import Image
from PIL.TiffImagePlugin import TiffImageFile

from dassl.images.limits import PictureError, check_size
from dassl.images.pillow import TURNS, Decoded, UnknownFormatError, join_bytes, open_picture, turn_of
from dassl.images.settings import Reading
from dassl.images.values import DeepPicture, range_of_type

if TYPE_CHECKING:
    import tifffile

MAGIC = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
BITS, COMPRESSION, PHOTOMETRIC, ORIENTATION, PLANAR, EXTRA, FORMAT = 258, 259, 262, 274, 284, 338, 339  # tags
PAGES = 10_000  # Pillow takes seconds to count them, and many minutes to count ten times as many
WHITE_IS_ZERO, BLACK_IS_ZERO, RGB, CMYK = 0, 1, 2, 5
UNSIGNED, SIGNED, FLOAT, VOID = 1, 2, 3, 4
UNSPECIFIED, ASSOCIATED, UNASSOCIATED = 0, 1, 2  # extra samples: unknown, alpha that colours are multiplied by, alpha
# The decoder of Pillow for the lower 8 of 16 bits, by the decoder for the upper 8. "N" is this machine's byte order.
LOWER = {"L": "B", "B": "L", "N": "B" if sys.byteorder == "little" else "L"}


def read(file: BinaryIO, reading: Reading) -> Decoded:
    """Return the page of a TIFF that `reading` chooses.

    Raises:
        PictureError: the page is too large, damaged, or has channels that are neither grey, colours nor alpha.
    """
    _check_pages(file)
    try:
        image = _open(file)
        frames = getattr(image, "n_frames", 1)
    except UnknownFormatError:
        return _by_tifffile(file, reading)
    frame = reading.choose(frames)
    try:
        image.seek(frame)
    except Exception:  # Pillow does not know the kind of this page
        return _by_tifffile(file, reading)
    check_size(*image.size)
    picture = _by_pillow(image, file, frame)
    return Decoded(picture, frame, frames, turn_of(image)) if picture else _by_tifffile(file, reading)


def _check_channels(photometric: int, extra: tuple[int, ...]) -> None:
    """Raise a `PictureError` for channels of unknown meaning; a single one is accepted beside colours."""
    colours = {RGB: 3, CMYK: 4}.get(photometric, 1)
    if len(extra) > 1 or (extra and extra[0] == UNSPECIFIED and colours == 1):
        raise PictureError(
            f"it has {colours + len(extra)} channels",
            "save those that should be seen as grey or RGB, or remove it from the split.",
        )


def _check_pages(file: BinaryIO) -> None:
    """Raise a `PictureError` if there are too many pages to count; other faults of the pages are found later."""
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
        raise PictureError(f"it has more than {PAGES:,} pages")


# ------------------------------------------------------------------------------------------------------------ by Pillow


def _open(file: BinaryIO) -> TiffImageFile:
    """Return a TIFF whose pixels are not decoded yet; raises as `open_picture`."""
    image = open_picture(file, ("TIFF",))
    assert isinstance(image, TiffImageFile)  # the only format that was allowed
    return image


def _by_pillow(image: TiffImageFile, file: BinaryIO, frame: int) -> Image.Image | DeepPicture | None:
    """Return the picture, or None if Pillow would change its values."""
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
        return None  # Pillow swaps their bytes a second time, after libtiff has done it
    if image.mode in ("I;16", "I;16B") and kinds <= {UNSIGNED, VOID}:
        values = np.asarray(image)
        return DeepPicture(values, range_of_type(values.dtype, bits[0]), inverted=inverted)
    if image.mode == "I" and kinds in ({UNSIGNED}, {SIGNED}):
        values = np.asarray(image)
        if kinds == {UNSIGNED}:
            values = values.view(np.uint32)  # Pillow takes the highest bit for a sign
        return DeepPicture(values, range_of_type(values.dtype, bits[0]), inverted=inverted)
    if image.mode == "F" and kinds == {FLOAT} and bits[0] == 32:
        return DeepPicture(np.asarray(image), range_of_type(np.dtype(np.float32)), inverted=inverted)
    deep = all(_raw_mode(tile).startswith(("RGB;16", "RGBX;16", "RGBA;16")) for tile in image.tile)
    return _deep_colours(image, file, frame) if image.mode in ("RGB", "RGBA") and deep else None


def _deep_colours(image: TiffImageFile, file: BinaryIO, frame: int) -> DeepPicture:
    """Return colours of 16 bits: Pillow decodes the upper 8, and the lower 8 if it is told the other byte order."""
    check_size(*image.size, pixel_bytes=8)
    upper = np.asarray(image)
    file.seek(0)
    other = _open(file)
    other.seek(frame)
    other.tile = [_with_lower_bytes(tile) for tile in other.tile]
    values = join_bytes(upper, np.asarray(other))
    alpha = values[..., 3] / np.float32(65535) if values.shape[2] == 4 else None
    return DeepPicture(values[..., :3], range_of_type(values.dtype), alpha=alpha)


def _raw_mode(tile: Any) -> str:
    """Return the kind of pixels that Pillow decodes a tile from, such as "RGB;16B"."""
    return tile.args[0]


def _with_lower_bytes(tile: Any) -> Any:
    mode = _raw_mode(tile)
    return tile._replace(args=(mode[:-1] + LOWER[mode[-1]], *tile.args[1:]))


# ---------------------------------------------------------------------------------------------------------- by tifffile


def _by_tifffile(file: BinaryIO, reading: Reading) -> Decoded:
    try:
        import tifffile
    except ImportError:
        raise PictureError("a kind of TIFF that Pillow does not read", "pip install tifffile, or convert it.") from None
    file.seek(0)
    with tifffile.TiffFile(file, name="image") as tiff:
        frames = len(tiff.pages)
        frame = reading.choose(frames)
        page = tiff.pages[frame].aspage()
        _check_page(page)
        if isinstance(page.compression, tifffile.COMPRESSION) and not (
            page.compression in tifffile.TIFF.DECOMPRESSORS and page.predictor in tifffile.TIFF.UNPREDICTORS
        ):
            advice = "pip install imagecodecs, or convert it."
            raise PictureError(f"a deep TIFF compressed as {page.compression.name}", advice)
        values = page.asarray()
        turn = page.tags.get(ORIENTATION)
    return Decoded(_picture_of(page, values), frame, frames, TURNS.get(turn.value if turn else 1))


def _check_page(page: "tifffile.TiffPage") -> None:
    """Raise a `PictureError` if a page is too large, or has other channels than grey or RGB and alpha."""
    pixel_bytes = page.samplesperpixel * page.bitspersample // 8
    check_size(page.imagewidth, page.imagelength, pixel_bytes)
    if page.is_tiled:
        check_size(page.tilewidth, page.tilelength, pixel_bytes)
    photometric, extra = int(page.photometric), tuple(map(int, page.extrasamples))
    _check_channels(photometric, extra)
    colours = 3 if photometric == RGB else 1
    if photometric not in (WHITE_IS_ZERO, BLACK_IS_ZERO, RGB) or page.samplesperpixel != colours + len(extra):
        raise PictureError(
            f"it has {page.samplesperpixel} channels of photometric interpretation {photometric}",
            "save what should be seen as grey or RGB, or remove it from the split.",
        )


def _picture_of(page: "tifffile.TiffPage", values: np.ndarray) -> Image.Image | DeepPicture:
    """Return the picture of a page from its decoded values."""
    if page.axes[:1] == "S":  # channels come first
        values = np.moveaxis(values, 0, -1)
    values = values.reshape(page.imagelength, page.imagewidth, -1)
    if values.dtype.kind not in "uif":
        raise PictureError(f"its values are of type {values.dtype}")
    alpha, kind = None, int(page.extrasamples[0]) if page.extrasamples else UNSPECIFIED
    low, high = span = range_of_type(values.dtype, page.bitspersample)
    if kind in (ASSOCIATED, UNASSOCIATED):
        alpha = ((values[..., -1] - low) / (high - low)).astype(np.float32).clip(0, 1)
    values = values[..., : 3 if page.photometric == RGB else 1]
    if alpha is not None and kind == ASSOCIATED:
        with np.errstate(all="ignore"):
            values = np.nan_to_num(values / alpha[..., None], posinf=0, neginf=0)
    values = values if page.photometric == RGB else values[..., 0]
    inverted = page.photometric == WHITE_IS_ZERO
    if values.dtype != np.uint8 or page.bitspersample != 8:
        return DeepPicture(values, span, alpha=alpha, inverted=inverted)
    picture = Image.fromarray(255 - values if inverted else values)  # as it is, like a picture that Pillow decodes
    if alpha is not None:
        picture.putalpha(Image.fromarray(np.rint(alpha * 255).astype(np.uint8)))
    return picture
