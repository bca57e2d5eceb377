"""Convert values of more than 8 bits, and pictures in any of Pillow's modes, to 8-bit RGB."""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from PIL import Image

from dassl.images.limits import PictureError
from dassl.images.settings import Reading

BLACK = 0  # the background of transparent pixels
VALUES_AT_ONCE = 1 << 20  # in double precision: 8 MB


class DeepPicture(NamedTuple):
    """A picture of more than 8 bits.

    Args:
        values: [H, W] grey or [H, W, 3] colours.
        span: lowest and highest value that the type can hold.
        window: the values that the file itself shows as black and white, or None.
        alpha: [H, W] from 0 to 1, or None.
        inverted: whether the lowest value is white.
        padding: [H, W], true for values outside the field of a scanner, which do not count for the range; or None.
    """

    values: np.ndarray
    span: tuple[float, float]
    window: tuple[float, float] | None = None
    alpha: np.ndarray | None = None
    inverted: bool = False
    padding: np.ndarray | None = None


def range_of_type(dtype: np.dtype, bits: int | None = None) -> tuple[float, float]:
    """Return the lowest and highest value of a type, of which only `bits` bits may be used; 0 and 1 for floats.

    >>> range_of_type(np.dtype(np.int16)), range_of_type(np.dtype(np.uint16), 12)
    ((-32768.0, 32767.0), (0.0, 4095.0))
    """
    if dtype.kind == "f":
        return 0.0, 1.0
    bits = bits or dtype.itemsize * 8
    return (-(2.0 ** (bits - 1)), 2.0 ** (bits - 1) - 1) if dtype.kind == "i" else (0.0, 2.0**bits - 1)


def to_rgb(deep: DeepPicture, reading: Reading) -> tuple[Image.Image, bool]:
    """Return the picture as 8-bit RGB, and whether it has values that are not finite, which become black.

    All three channels of a colour have one range. Fully transparent values do not count for it.

    Raises:
        PictureError: no value is finite and visible.
    """
    values = deep.values.astype(np.float32) if deep.values.dtype == np.float16 else deep.values
    finite = seen = np.isfinite(values) if values.dtype.kind == "f" else None
    for some in (None if deep.alpha is None else deep.alpha > 0, None if deep.padding is None else ~deep.padding):
        if some is not None:
            some = np.broadcast_to(some if values.ndim == 2 else some[..., None], values.shape)
            seen = some if seen is None else seen & some
    if seen is not None and not seen.any():
        raise PictureError("it has no value that is finite and not transparent")
    grey = stretch(values, *_range(deep, values, seen, reading))
    if deep.inverted:
        grey = 255 - grey
    holes = finite is not None and not finite.all()
    if finite is not None:
        grey[~finite] = BLACK
    if deep.alpha is not None:
        alpha = deep.alpha if grey.ndim == 2 else deep.alpha[..., None]
        grey = np.rint(BLACK + (grey - np.float32(BLACK)) * alpha.astype(np.float32)).astype(np.uint8)
    return Image.fromarray(grey).convert("RGB"), holes


def _range(deep: DeepPicture, values: np.ndarray, seen: np.ndarray | None, reading: Reading) -> tuple[float, float]:
    """Return the values that become black and white."""
    if reading.limits:
        return reading.limits
    if reading.grey_range == "type":
        return deep.span
    if reading.percentile is not None:
        some = values if seen is None else values[seen]
        low, high = np.percentile(some, (reading.percentile, 100 - reading.percentile))
        return float(low), float(high)
    if deep.window:
        return deep.window
    some = values if seen is None else values[seen]
    return float(some.min()), float(some.max())


def stretch(values: np.ndarray, low: float, high: float) -> np.ndarray:
    """Return values as uint8: `low` and less is 0, `high` and more is 255, halves are rounded to even.

    >>> stretch(np.array([[0, 1000, 1016, 4080, 9000]]), 1000, 4080)
    array([[  0,   0,   1, 255, 255]], dtype=uint8)
    """
    out = np.empty(values.shape, np.uint8)
    half = 1.0 if np.isfinite(high - low) else 0.5  # the difference of the largest numbers is infinite
    low, high = low * half, high * half
    with np.errstate(all="ignore"):
        factor = 255 / np.float64(high - low)
        for rows in _rows(values):
            part = values[rows].astype(np.float64) * half - low
            part = part * factor if np.isfinite(factor) else np.where(part > 0, part / (high - low) * 255, 0)
            out[rows] = np.nan_to_num(part, nan=0).clip(0, 255).round()
    return out


def _rows(values: np.ndarray) -> Iterator[slice]:
    """Return slices of a few rows each, so that no second copy of all values is made."""
    step = max(1, VALUES_AT_ONCE // max(1, values[:1].size))
    return (slice(start, start + step) for start in range(0, len(values), step))


def flatten(image: Image.Image) -> Image.Image:
    """Return an 8-bit picture in any of Pillow's modes as RGB, with transparent pixels laid on black.

    >>> flatten(Image.new("RGBA", (1, 1), (200, 100, 50, 128))).getpixel((0, 0))
    (100, 50, 25)
    """
    if image.mode in ("RGBA", "LA", "PA", "RGBa", "La") or "transparency" in image.info:
        image = image.convert("RGBA")
        ground = Image.new("RGBA", image.size, (BLACK, BLACK, BLACK, 255))
        return Image.alpha_composite(ground, image).convert("RGB")
    return image.convert("RGB")
