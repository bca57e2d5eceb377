"""From values of more than 8 bits to 8-bit RGB, and from any of Pillow's modes."""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from PIL import Image

from dassl.images.limits import Unusable
from dassl.images.settings import Reading

BLACK = 0  # the background that what is transparent lies on
VALUES_AT_ONCE = 1 << 20  # in double precision: 8 MB


class Deep(NamedTuple):
    """A picture of more than 8 bits.

    Args:
        values: [H, W] grey or [H, W, 3] colours.
        span: lowest and highest value that its type can hold.
        window: lowest and highest value that the file itself asks for.
        alpha: [H, W] from 0 to 1, or None.
        inverted: whether the lowest value is white.
        padding: [H, W], true where values do not count for the range, as outside the round field of a scanner; or None.
    """

    values: np.ndarray
    span: tuple[float, float]
    window: tuple[float, float] | None = None
    alpha: np.ndarray | None = None
    inverted: bool = False
    padding: np.ndarray | None = None


def span_of(dtype: np.dtype, bits: int | None = None) -> tuple[float, float]:
    """Lowest and highest value of a type: 0 and 1 of floating point; of `bits` bits where fewer are used.

    >>> span_of(np.dtype(np.int16)), span_of(np.dtype(np.uint16), 12)
    ((-32768.0, 32767.0), (0.0, 4095.0))
    """
    if dtype.kind == "f":
        return 0.0, 1.0
    bits = bits or dtype.itemsize * 8
    return (-(2.0 ** (bits - 1)), 2.0 ** (bits - 1) - 1) if dtype.kind == "i" else (0.0, 2.0**bits - 1)


def to_rgb(deep: Deep, reading: Reading) -> tuple[Image.Image, bool]:
    """Return the picture as 8-bit RGB, and whether it has values that are not finite: they are black.

    Colours have one range for all three channels, and values under full transparency do not count for it.

    Raises:
        Unusable: no value is finite.
    """
    values = deep.values.astype(np.float32) if deep.values.dtype == np.float16 else deep.values
    finite = seen = np.isfinite(values) if values.dtype.kind == "f" else None
    holes = finite is not None and not finite.all()
    for some in (None if deep.alpha is None else deep.alpha > 0, None if deep.padding is None else ~deep.padding):
        if some is not None:
            some = np.broadcast_to(some if values.ndim == 2 else some[..., None], values.shape)
            seen = some if seen is None else seen & some
    if seen is not None and not seen.any():
        raise Unusable("it has no value that is finite and not transparent")
    grey = stretch(values, *_range(deep, values, seen, reading))
    if deep.inverted:
        grey = 255 - grey
    if holes:
        grey[~finite] = BLACK
    if deep.alpha is not None:
        alpha = deep.alpha if grey.ndim == 2 else deep.alpha[..., None]
        grey = np.rint(BLACK + (grey - np.float32(BLACK)) * alpha.astype(np.float32)).astype(np.uint8)
    return Image.fromarray(grey).convert("RGB"), holes


def _range(deep: Deep, values: np.ndarray, seen: np.ndarray | None, reading: Reading) -> tuple[float, float]:
    """The values that become black and white."""
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
    """Values to uint8: `low` and what is below is 0, `high` and what is above 255; halves are rounded to even.

    >>> stretch(np.array([[0, 1000, 1016, 4080, 9000]]), 1000, 4080)
    array([[  0,   0,   1, 255, 255]], dtype=uint8)
    """
    out = np.empty(values.shape, np.uint8)
    half = 1.0 if np.isfinite(high - low) else 0.5  # of the largest numbers, whose difference is none
    low, high = low * half, high * half
    with np.errstate(all="ignore"):
        factor = 255 / np.float64(high - low)
        for rows in _rows(values):
            part = values[rows].astype(np.float64) * half - low
            part = part * factor if np.isfinite(factor) else np.where(part > 0, part / (high - low) * 255, 0)
            out[rows] = np.nan_to_num(part, nan=0).clip(0, 255).round()
    return out


def _rows(values: np.ndarray) -> Iterator[slice]:
    """Slices of rows that together are all, so that no second copy of everything is made."""
    step = max(1, VALUES_AT_ONCE // max(1, values[:1].size))
    return (slice(start, start + step) for start in range(0, len(values), step))


def flat(image: Image.Image) -> Image.Image:
    """Return an 8-bit picture in any of Pillow's modes as RGB; what is transparent lies on black.

    >>> flat(Image.new("RGBA", (1, 1), (200, 100, 50, 128))).getpixel((0, 0))
    (100, 50, 25)
    """
    if image.mode in ("RGBA", "LA", "PA", "RGBa", "La") or "transparency" in image.info:
        image = image.convert("RGBA")
        ground = Image.new("RGBA", image.size, (BLACK, BLACK, BLACK, 255))
        return Image.alpha_composite(ground, image).convert("RGB")
    return image.convert("RGB")
