"""Read an image file of any format as 8-bit RGB, or raise an error of one sentence that names the file."""

import warnings
from pathlib import Path
from typing import Any, BinaryIO

from PIL import Image

from dassl.errors import UserError
from dassl.images import dicom, dicom_file, netpbm, pillow, tiff
from dassl.images.limits import FILE_BYTES, RESTORE, PictureError
from dassl.images.pillow import Decoded
from dassl.images.settings import Reading
from dassl.images.values import DeepPicture, flatten, to_rgb
from dassl.reading import open_bytes

# Suffixes, in lower case, of the files that are read. The content of a file decides about its format.
SUFFIXES = frozenset(
    {".png", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp", ".webp"}
    | {".pbm", ".pgm", ".ppm", ".pnm", ".jp2", ".j2k"}
    | dicom_file.SUFFIXES
)
# Notes about pictures that a user is told once a run, by the names that `notes_of` returns.
NOTES = {
    "frames": "Images hold several pages or frames: one of each is used (INPUT.FRAME; by default the first page, and "
    "of a DICOM file the middle frame)",
    "holes": "Images hold values that are not finite (NaN or infinite): these pixels are black",
}


def read_image(path: str | Path, reading: Reading = Reading()) -> Image.Image:  # noqa: B008 - it cannot be changed
    """Return the picture in a file as 8-bit RGB, upright.

    Values of 8 bits stay as they are, deeper values are stretched, transparent pixels are laid on black, and one of
    several pages or frames is chosen. DATASETS.md has the table.

    Args:
        path: a file whose content is PNG, JPEG, TIFF, BMP, WEBP, PNM, JPEG 2000 or DICOM, whatever its suffix.
        reading: the user's settings, see `reading_of`.

    Raises:
        UserError: the file is missing, no readable image, truncated, too large, or has the same value everywhere.
    """
    try:
        # Pillow and pydicom warn about things that do not change a pixel, and pydicom quotes the header.
        with warnings.catch_warnings(), open_bytes(path, FILE_BYTES) as file:
            warnings.simplefilter("ignore")
            return _read(file, reading, Path(path).suffix.lower())
    except FileNotFoundError as error:
        raise UserError(f"Expected an image at {path}, but there is no file: check the data folder.") from error
    except UserError:
        raise
    except MemoryError as error:
        raise UserError(
            f"Expected memory for the image {path}, but there is none left: use fewer DATALOADER.NUM_WORKERS, or make "
            "a smaller copy of it."
        ) from error
    except PictureError as error:
        raise _unreadable(path, str(error), error.advice) from error
    except Exception as error:  # Pillow's decoders raise nearly anything: OSError, SyntaxError, zlib.error, ...
        raise _unreadable(path, str(error) or type(error).__name__, RESTORE) from error


def notes_of(image: Image.Image) -> tuple[str, ...]:
    """Return the names of the `NOTES` about a picture of `read_image`."""
    return image.info.get("notes", ())


def _unreadable(path: str | Path, what: str, advice: str) -> UserError:
    return UserError(f"Expected a readable image, but {path} is not ({what}): {advice}")


def _read(file: BinaryIO, reading: Reading, suffix: str) -> Image.Image:
    found = _decode(file, reading, suffix)
    if isinstance(found.picture, DeepPicture):
        image, holes = to_rgb(found.picture, reading)
    else:
        image, holes = flatten(found.picture), False
    if found.turn is not None:
        image = image.transpose(found.turn)
    if not reading.allow_constant and image.size != (1, 1) and _is_constant(image):
        which = f"page or frame {found.frame + 1} of {found.frames}" if found.frames > 1 else "it"
        raise PictureError(
            f"{which} has one value everywhere",
            "restore it, remove it from the split, or set INPUT.ALLOW_CONSTANT True.",
        )
    image.info = {"notes": tuple(name for name, is_so in zip(NOTES, (found.frames > 1, holes), strict=True) if is_so)}
    return image


def _is_constant(image: Image.Image) -> bool:
    """Return whether all pixels of an RGB picture are equal."""
    extrema: Any = image.getextrema()  # of RGB: the lowest and highest value of each channel
    return all(low == high for low, high in extrema)


def _decode(file: BinaryIO, reading: Reading, suffix: str) -> Decoded:
    head = file.read(dicom_file.HEAD_BYTES)
    file.seek(0)
    if dicom_file.has_magic(head):
        return dicom.read(file, reading)
    if suffix in dicom_file.SUFFIXES and (whole := dicom_file.with_magic(file)):
        return dicom.read(whole, reading)
    if head.startswith(tiff.MAGIC):
        return tiff.read(file, reading)
    if deep := netpbm.read(file):
        return Decoded(deep)
    file.seek(0)
    return pillow.read(file, reading)
