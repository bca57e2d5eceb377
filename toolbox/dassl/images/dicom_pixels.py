"""The stored values of one frame of a DICOM file."""

import struct
from typing import Any, BinaryIO

import numpy as np

from dassl.images.dicom_file import DAMAGED
from dassl.images.dicom_header import TAGS, count_frames
from dassl.images.limits import MB, PICTURE_BYTES, PictureError
from dassl.images.pillow import check_scans, segments

PIXEL_TAGS = (0x7FE00008, 0x7FE00009, 0x7FE00010)
UNDEFINED = 0xFFFFFFFF  # length


class Undecodable(PictureError):
    """Raised for pixels that are compressed in a way for which no decoder is installed, or whose decoder fails.

    Args:
        syntax: name and number of the transfer syntax, as the standard has them.
    """

    def __init__(self, syntax: str):
        super().__init__(
            f"its pixels are compressed as {syntax}, and are damaged or no decoder is installed",
            'pip install -e ".[dicom]", which decodes it, or remove it from the split.',
        )
        self.syntax = syntax


def stored_values(file: BinaryIO, header: Any, frame: int) -> np.ndarray:
    """Return the values of one frame, [H, W] or RGB [H, W, 3], as they are stored.

    Raises:
        PictureError: the pixels are too many, or of another size than the header says.
        Undecodable: they cannot be decompressed.
    """
    from pydicom.encaps import get_frame
    from pydicom.pixels import get_decoder, pixel_array

    # One of several frames is read where it lies. A single one is read with its header, which may be irregular.
    whole = None if count_frames(header) > 1 else _with_pixels(file)
    source = file if whole is None else whole
    syntax = header.file_meta.TransferSyntaxUID
    if not syntax.is_compressed:
        file.seek(0)
        return pixel_array(source, index=frame)
    decoder = get_decoder(syntax)  # raises unless the standard knows it
    if whole is None:
        file.seek(_place_of_pixels(file))
    code = get_frame(file if whole is None else whole.PixelData, frame, number_of_frames=count_frames(header))
    if (size := codestream_size(code)) is not None and size != (header.Columns, header.Rows):
        raise PictureError(DAMAGED)  # perhaps a bomb
    check_scans(code)
    file.seek(0)
    try:
        if decoder.is_available:
            return pixel_array(source, index=frame)
    except Exception:
        pass  # treated like a missing decoder: the decoder's words may quote the header
    raise Undecodable(f"{syntax.name} ({syntax})")


def _with_pixels(file: BinaryIO) -> Any:
    """Return the header with the pixels. What follows the pixels is not read: it may go on for gigabytes."""
    from pydicom.filereader import read_partial
    from pydicom.tag import Tag

    tags: list[Any] = [*map(Tag, TAGS), *map(Tag, PIXEL_TAGS)]
    met = []

    def after_pixels(tag: int, _: str | None, length: int) -> bool:
        if tag in PIXEL_TAGS and length != UNDEFINED and length > PICTURE_BYTES:
            raise PictureError(f"its pixels take more than {PICTURE_BYTES // MB} MB")
        met.append(tag in PIXEL_TAGS)
        return any(met[:-1])

    file.seek(0)
    return read_partial(file, after_pixels, specific_tags=tags)


def _place_of_pixels(file: BinaryIO) -> int:
    """Return where the pixels of an encapsulated file begin: after tag, kind, reserved bytes and length."""
    import pydicom

    file.seek(0)
    pydicom.dcmread(file, stop_before_pixels=True, specific_tags=["Rows"])
    return file.tell() + 12


def codestream_size(code: bytes) -> tuple[int, int] | None:
    """Return the width and height in the head of a JPEG, JPEG-LS or JPEG 2000 codestream; None for other codes.

    Raises:
        PictureError: the head of a JPEG or JPEG-LS has no size.
    """
    if code[:4] == b"\xff\x4f\xff\x51" and len(code) >= 24:
        right, bottom, left, top = struct.unpack_from(">4I", code, 8)
        return right - left, bottom - top
    if code[:2] != b"\xff\xd8":
        return None
    for kind, place in segments(code):
        if kind == 0xF7 or (0xC0 <= kind <= 0xCF and kind not in (0xC4, 0xC8, 0xCC)):
            height, width = struct.unpack_from(">2H", code, place + 5)
            return width, height
    raise PictureError(DAMAGED)
