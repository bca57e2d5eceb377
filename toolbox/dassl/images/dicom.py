"""DICOM: one frame of a file, with the values, the window and the colours that its header asks for.

Nothing from a header reaches an error, a log or a table: it may name a patient, and so may pydicom's messages.
"""

import warnings
from collections.abc import Callable
from typing import Any, BinaryIO, TypeVar

import numpy as np
from PIL import Image

from dassl.errors import UserError
from dassl.images.dicom_file import DAMAGED, SUFFIXES, inflated, is_dicom
from dassl.images.dicom_grey import grey_picture, rescale
from dassl.images.dicom_header import count_frames, is_inverted, read_header
from dassl.images.dicom_palette import apply_palette
from dassl.images.dicom_pixels import Undecodable, stored_values
from dassl.images.limits import PictureError
from dassl.images.pillow import Decoded
from dassl.images.settings import Reading
from dassl.images.values import DeepPicture, range_of_type

__all__ = [
    "SUFFIXES",
    "NotGrey",
    "Undecodable",
    "inflated",
    "is_dicom",
    "need_pydicom",
    "read",
    "values_of",
]
T = TypeVar("T")


class NotGrey(PictureError):
    """Raised for a file in colour or of several frames, if one grey picture is wanted."""


def need_pydicom() -> Any:
    """Return the package pydicom.

    Raises:
        UserError: it is not installed; names the extra.
    """
    try:
        import pydicom
        import pydicom.pixels  # since 3.0
    except ImportError as error:
        raise UserError(
            "Expected the package pydicom 3.0 or later, which reads DICOM files, but it is not installed: "
            'pip install -e ".[dicom]".'
        ) from error
    return pydicom


def read(file: BinaryIO, reading: Reading) -> Decoded:
    """Return the frame of a DICOM file that `reading` chooses.

    Raises:
        PictureError: the file holds no picture, is damaged, too large, or compressed in a way that is not installed.
        UserError: pydicom is not installed.
    """
    need_pydicom()
    return _call_quietly(lambda: _read(file, reading))


def values_of(file: BinaryIO) -> tuple[np.ndarray, bool]:
    """Return the rescaled values [H, W] of a DICOM file's only frame, and whether the lowest value is white.

    Raises:
        NotGrey: the file is in colour, or has several frames.
        PictureError: as for `read`.
    """

    def values() -> tuple[np.ndarray, bool]:
        whole = inflated(file)
        header = read_header(whole)
        if count_frames(header) != 1 or not str(header.PhotometricInterpretation).startswith("MONOCHROME"):
            raise NotGrey("it is in colour, or has several frames")
        return rescale(stored_values(whole, header, 0), header, 0), is_inverted(header)

    return _call_quietly(values)


def _read(file: BinaryIO, reading: Reading) -> Decoded:
    file = inflated(file)
    header = read_header(file)
    frames = count_frames(header)
    frame = reading.choose(frames, middle=True)
    stored = stored_values(file, header, frame)
    picture: Image.Image | DeepPicture
    if str(header.PhotometricInterpretation) == "PALETTE COLOR":
        picture = apply_palette(stored, header)
    elif stored.ndim == 2:
        picture = grey_picture(stored, header, frame, reading)
    elif stored.dtype == np.uint8 and header.BitsStored == 8:
        picture = Image.fromarray(stored)
    else:
        picture = DeepPicture(stored, range_of_type(stored.dtype, int(header.BitsStored)))
    return Decoded(picture, frame, frames)


def _call_quietly(function: Callable[[], T]) -> T:
    """Return `function()`; any error but `PictureError` and of memory becomes one that says nothing about the file."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # pydicom's warnings quote the header
            return function()
    except (PictureError, UserError, MemoryError):
        raise
    except Exception:
        pass  # raised below, so that the new error keeps no trace of this one
    raise PictureError(DAMAGED)
