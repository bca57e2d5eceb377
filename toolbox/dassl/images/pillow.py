"""Pictures in the formats of `FORMATS`, decoded by Pillow. Its other formats are never tried: some start programs."""

import io
import struct
import zlib
from collections.abc import Iterator
from typing import BinaryIO, NamedTuple

import numpy as np
from PIL import Image, UnidentifiedImageError

from dassl.images.limits import PictureError, check_size
from dassl.images.settings import Reading
from dassl.images.values import DeepPicture, range_of_type

FORMATS = ("PNG", "JPEG", "TIFF", "BMP", "WEBP", "PPM", "JPEG2000")
ORIENTATION = 0x0112  # tag of EXIF and of TIFF
TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
PNG = b"\x89PNG\r\n\x1a\n"
# Chunks of a PNG that do not change a pixel. They may be so large that Pillow refuses the file.
METADATA_CHUNKS = {b"tEXt", b"zTXt", b"iTXt", b"iCCP", b"sPLT"}
SCANS = 200  # of a JPEG: most have about 10, and decoding one takes as long as decoding the whole picture
GREY_ALPHA, COLOUR_ALPHA = 4, 6  # types of a PNG


class UnknownFormatError(PictureError):
    """Raised for a file of which Pillow knows no format."""


class Decoded(NamedTuple):
    """A picture as its file holds it.

    Args:
        picture: Pillow's picture, or values of more than 8 bits.
        frame: its number among the pages or frames of the file, from 0.
        frames: the number of pages or frames.
        turn: the transpose that makes it upright; None if it is.
    """

    picture: Image.Image | DeepPicture
    frame: int = 0
    frames: int = 1
    turn: Image.Transpose | None = None


def open_picture(file: BinaryIO, formats: tuple[str, ...] = FORMATS) -> Image.Image:
    """Return a picture whose pixels are not decoded yet.

    Raises:
        UnknownFormatError: the file has none of the formats.
        PictureError: the picture is too large.
    """
    try:
        image = Image.open(file, formats=formats)
    except Image.DecompressionBombError as error:
        raise PictureError(f"too many pixels: {error}") from error
    except UnidentifiedImageError:
        raise UnknownFormatError(f"none of {', '.join(formats)}, or broken") from None
    check_size(*image.size)
    return image


def read(file: BinaryIO, reading: Reading) -> Decoded:
    """Return the picture in a file of one of `FORMATS` except TIFF, which `tiff.read` reads."""
    head = file.read(33)
    file.seek(0)
    if head.startswith(PNG):
        file = _without_metadata(file)
    image = open_picture(file, tuple(name for name in FORMATS if name != "TIFF"))
    if image.format == "JPEG":
        file.seek(0)
        check_scans(file.read())
    frames = getattr(image, "n_frames", 1)
    frame = reading.choose(frames)
    if frame:
        image.seek(frame)
        check_size(*image.size)
    picture: Image.Image | DeepPicture
    if head.startswith(PNG) and head[24] == 16 and head[25] in (2, GREY_ALPHA, COLOUR_ALPHA):
        picture = _deep_png(image, head[25], head[28], _image_data(file))
    else:
        if image.format == "JPEG2000" and image.mode not in ("L", "I;16"):
            _check_colours(file)
        image.load()
        if image.format == "PNG" and image.mode == "L" and head[24] < 8 and "transparency" in image.info:
            image.info["transparency"] *= 255 // (2 ** head[24] - 1)  # as Pillow scales the pixels
        picture = _deep(image, file) if image.mode.startswith(("I", "F")) else image
    return Decoded(picture, frame, frames, turn_of(image))


def turn_of(image: Image.Image) -> Image.Transpose | None:
    """Return the transpose that makes a picture upright by its EXIF; None if it is upright or has no readable EXIF."""
    try:
        return TURNS.get(image.getexif().get(ORIENTATION, 1))
    except Exception:  # cameras often write broken EXIF, which says nothing about the pixels
        return None


def _deep(image: Image.Image, file: BinaryIO) -> DeepPicture:
    """Return a grey picture of more than 8 bits."""
    values = np.asarray(image)
    if image.format == "JPEG2000":
        return _deep_jpeg2000(values, file)
    if image.mode == "F":
        return DeepPicture(values, range_of_type(values.dtype))
    alpha = (values != image.info["transparency"]) if isinstance(image.info.get("transparency"), int) else None
    return DeepPicture(values, range_of_type(np.dtype(np.uint16)), alpha=alpha)


# --------------------------------------------------------------------------------------------------------------- JPEG


def segments(code: bytes) -> Iterator[tuple[int, int]]:
    """Yield kind and place of each segment of a JPEG's header."""
    place = 2
    while place + 9 <= len(code) and code[place] == 0xFF:
        if code[place + 1] == 0xFF:  # padding
            place += 1
            continue
        yield code[place + 1], place
        place += 2 + struct.unpack_from(">H", code, place + 2)[0]


def check_scans(code: bytes) -> None:
    """Raise a `PictureError` if a JPEG has so many scans, of few bytes each, that decoding it would take hours."""
    if code[:2] != b"\xff\xd8":
        return
    first = next((place for kind, place in segments(code) if kind == 0xDA), 0)
    if code.count(b"\xff\xda", first) > SCANS:
        raise PictureError(f"it has more than {SCANS} scans")


# ---------------------------------------------------------------------------------------------------------------- PNG


def _chunks(file: BinaryIO) -> list[tuple[bytes, int, int]]:
    """Return kind, place and whole length of each chunk of a PNG, up to its end or its first broken chunk."""
    found, place = [], len(PNG)
    size = file.seek(0, io.SEEK_END)
    while place + 12 <= size:
        file.seek(place)
        length, kind = struct.unpack(">I4s", file.read(8))
        if place + 12 + length > size:
            break
        found.append((kind, place, length + 12))
        place += length + 12
    file.seek(0)
    return found


def _without_metadata(file: BinaryIO) -> BinaryIO:
    """Return the same PNG without its `METADATA_CHUNKS`."""
    chunks = _chunks(file)
    if not any(kind in METADATA_CHUNKS for kind, _, _ in chunks):
        return file
    kept, last = [file.read(len(PNG))], len(PNG)
    for kind, place, length in chunks:
        if kind not in METADATA_CHUNKS:
            file.seek(place)
            kept.append(file.read(length))
        last = place + length
    file.seek(last)
    kept.append(file.read())  # of a broken file
    return io.BytesIO(b"".join(kept))


def _image_data(file: BinaryIO) -> bytes:
    """Return the compressed pixels of a PNG."""
    parts = []
    for kind, place, length in _chunks(file):
        if kind == b"IDAT":
            file.seek(place + 4)
            checked = file.read(length - 4)
            if zlib.crc32(checked[:-4]) != int.from_bytes(checked[-4:], "big"):
                raise PictureError("the file is damaged")
            parts.append(checked[4:-4])
    return b"".join(parts)


def _deep_png(image: Image.Image, kind: int, interlaced: int, data: bytes) -> DeepPicture:
    """Return a PNG with colours or transparency of 16 bits, of which Pillow alone would keep the upper 8.

    Pillow decodes the upper bytes as big-endian RGB and the lower bytes as little-endian RGB. Grey with alpha is
    decoded as the four bytes of RGBA.
    """
    check_size(*image.size, pixel_bytes=8)
    alpha = None

    def decoded(mode: str, raw: str) -> np.ndarray:
        return np.asarray(Image.frombytes(mode, image.size, data, "zip", raw, interlaced))

    if kind == GREY_ALPHA:
        both = decoded("RGBA", "RGBA").view(">u2")
        values, alpha = both[..., 0], both[..., 1]
    else:
        mode = "RGBA" if kind == COLOUR_ALPHA else "RGB"
        values = join_bytes(decoded(mode, f"{mode};16B"), decoded(mode, f"{mode};16L"))
        if kind == COLOUR_ALPHA:
            values, alpha = values[..., :3], values[..., 3]
    if "transparency" in image.info and alpha is None:
        alpha = (values != np.array(image.info["transparency"])).any(axis=2).astype(np.float32)
    elif alpha is not None:
        alpha = alpha / np.float32(65535)
    return DeepPicture(values, range_of_type(np.dtype(np.uint16)), alpha=alpha)


def join_bytes(upper: np.ndarray, lower: np.ndarray) -> np.ndarray:
    """Return 16-bit values from their upper and lower bytes.

    >>> join_bytes(np.array([[1]], np.uint8), np.array([[2]], np.uint8))
    array([[258]], dtype=uint16)
    """
    values = upper.astype(np.uint16)
    values <<= 8
    values |= lower
    return values


# ----------------------------------------------------------------------------------------------------------- JPEG 2000


def components(code: bytes) -> list[tuple[int, bool]]:
    """Return the bits of each component of a JPEG 2000 codestream, and whether they are signed."""
    start = code.find(b"\xff\x4f\xff\x51")
    if start < 0 or len(code) < start + 42:
        raise PictureError("the file is damaged")
    (count,) = struct.unpack_from(">H", code, start + 40)
    return [((byte & 127) + 1, byte > 127) for byte in code[start + 42 : start + 42 + 3 * count : 3]]


def _deep_jpeg2000(values: np.ndarray, file: BinaryIO) -> DeepPicture:
    """Return grey values in their own units: Pillow scales them up to 16 bits, and shifts signed ones above 0."""
    file.seek(0)
    ((bits, signed), *_) = components(file.read(1 << 20))
    if bits > 16:
        raise PictureError(f"JPEG 2000 of {bits} bits")
    values = values.astype(np.int32) >> (16 - bits)
    if signed:
        values -= 1 << (bits - 1)
    return DeepPicture(values, range_of_type(np.dtype(np.int32 if signed else np.uint32), bits))


def _check_colours(file: BinaryIO) -> None:
    """Raise a `PictureError` if a JPEG 2000 has colours of more than 8 bits, of which Pillow keeps 8."""
    place = file.tell()
    file.seek(0)
    deep = [bits for bits, _ in components(file.read(1 << 20)) if bits > 8]
    file.seek(place)
    if deep:
        raise PictureError(f"JPEG 2000 with colours of {deep[0]} bits", "save it as PNG or TIFF of 16 bits.")
