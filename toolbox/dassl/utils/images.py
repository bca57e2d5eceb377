"""Image files as 8-bit RGB pictures, whatever their depth."""

from pathlib import Path

import numpy as np
from PIL import Image

from dassl.errors import UserError


def read_image(path: str | Path) -> Image.Image:
    """Return the picture in `path` as 8-bit RGB.

    Grey values of more than 8 bits (16-bit PNG and TIFF, as scanners write them) are stretched from their own lowest
    and highest to 0..255; Pillow alone would clip everything above 255 to white.

    Raises:
        UserError: there is no such file, or it is no readable image, or a truncated one; names it.
    """
    try:
        with Image.open(path) as file:
            if file.mode.startswith(("I", "F")):
                return _stretch(np.asarray(file, dtype=np.float64))
            return file.convert("RGB")
    except FileNotFoundError as error:
        raise UserError(f"Expected an image at {path}, but there is no file: check the data folder.") from error
    except MemoryError:
        raise
    except Exception as error:  # Pillow's decoders raise nearly anything: OSError, SyntaxError, zlib.error, ...
        raise UserError(
            f"Expected a readable image, but {path} is not ({str(error) or type(error).__name__}): "
            "restore or convert it, or remove it from the split."
        ) from error


def _stretch(grey: np.ndarray) -> Image.Image:
    low, high = grey.min(), grey.max()
    scaled = (grey - low) * (255 / (high - low) if high > low else 0)
    return Image.fromarray(scaled.round().astype(np.uint8)).convert("RGB")
