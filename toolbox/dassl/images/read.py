"""The reader: from a file to 8-bit RGB, or to one sentence that names the file."""

import warnings
from pathlib import Path
from typing import BinaryIO

from PIL import Image

from dassl.errors import UserError
from dassl.images import dicom, netpbm, pillow, tiff
from dassl.images.limits import FILE_BYTES, RESTORE, Unusable
from dassl.images.pillow import Found
from dassl.images.settings import Reading
from dassl.images.values import Deep, flat, to_rgb
from dassl.reading import open_bytes

# Suffixes, in lower case, of what is read; a file's content decides what it is.
SUFFIXES = frozenset(
    {".png", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp", ".webp"}
    | {".pbm", ".pgm", ".ppm", ".pnm", ".jp2", ".j2k"}
    | dicom.SUFFIXES
)
# What a user is told about pictures, once a run, by the name under which `notes_of` gives it.
NOTES = {
    "frames": "Images hold several pages or frames: one of each is used (INPUT.FRAME; by default the first page, and "
    "of a DICOM file the middle frame)",
    "holes": "Images hold values that are not finite (NaN or infinite): these pixels are black",
}


def read_image(path: str | Path, reading: Reading = Reading()) -> Image.Image:  # noqa: B008 - it cannot be changed
    """Return the picture in `path` as 8-bit RGB, upright.

    DATASETS.md says what each format, depth and kind of colours becomes. In short: 8 bits stay what they are, more are
    stretched, what is transparent lies on black, of several pages or frames one is taken.

    Args:
        path: a file whose content is PNG, JPEG, TIFF, BMP, WEBP, PNM, JPEG 2000 or DICOM, whatever its suffix.
        reading: what the user decides, see `reading_of`.

    Raises:
        UserError: there is no such file, or it is no readable image, a truncated or too large one, or one that has the
            same value everywhere; names it.
    """
    try:
        # Pillow and pydicom warn of what does not change a pixel, and pydicom quotes the header.
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
    except Unusable as error:
        raise _unreadable(path, str(error), error.advice) from error
    except Exception as error:  # Pillow's decoders raise nearly anything: OSError, SyntaxError, zlib.error, ...
        raise _unreadable(path, str(error) or type(error).__name__, RESTORE) from error


def notes_of(image: Image.Image) -> tuple[str, ...]:
    """Return the names in `NOTES` of what a user should be told about a picture of `read_image`."""
    return image.info.get("notes", ())


def _unreadable(path: str | Path, what: str, advice: str) -> UserError:
    return UserError(f"Expected a readable image, but {path} is not ({what}): {advice}")


def _read(file: BinaryIO, reading: Reading, suffix: str) -> Image.Image:
    found = _found(file, reading, suffix)
    if isinstance(found.picture, Deep):
        image, holes = to_rgb(found.picture, reading)
    else:
        image, holes = flat(found.picture), False
    if found.turn is not None:
        image = image.transpose(found.turn)
    if not reading.allow_constant and image.size != (1, 1) and all(low == high for low, high in image.getextrema()):
        which = f"page or frame {found.frame + 1} of {found.frames}" if found.frames > 1 else "it"
        raise Unusable(
            f"{which} has one value everywhere",
            "restore it, remove it from the split, or say INPUT.ALLOW_CONSTANT True.",
        )
    image.info = {"notes": tuple(name for name, is_so in zip(NOTES, (found.frames > 1, holes), strict=True) if is_so)}
    return image


def _found(file: BinaryIO, reading: Reading, suffix: str) -> Found:
    head = file.read(dicom.MAGIC_AT + len(dicom.MAGIC))
    file.seek(0)
    if dicom.has_magic(head):
        return dicom.read(file, reading)
    if suffix in dicom.SUFFIXES and (whole := dicom.with_mark(file)):
        return dicom.read(whole, reading)
    if head.startswith(tiff.MAGIC):
        return tiff.read(file, reading)
    if deep := netpbm.read(file):
        return Found(deep)
    file.seek(0)
    return pillow.read(file, reading)
