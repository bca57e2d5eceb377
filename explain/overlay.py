"""Small pictures of what an image tower sees, and of what speaks for a class in it."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image

MOST = 0.65  # share of the colour where a map is 1
COLOURS = "inferno"  # lightness rises with the value, which all kinds of colour vision see


def picture(pixels: NDArray[np.float32], mean: Sequence[float], std: Sequence[float], side: int) -> Image.Image:
    """Return the picture of a tower's input.

    Args:
        pixels: normalised [3, S, S].
        mean, std: of each channel, with which they were normalised.
        side: of the picture in pixels.

    >>> picture(np.zeros((3, 4, 4), np.float32), (0.5, 0.5, 0.5), (0.2, 0.2, 0.2), 2).getpixel((0, 0))
    (128, 128, 128)
    """
    shares = pixels * np.reshape(std, (3, 1, 1)) + np.reshape(mean, (3, 1, 1))
    levels = (255 * shares.clip(0, 1)).round().astype(np.uint8).transpose(1, 2, 0)
    return Image.fromarray(levels).resize((side, side), Image.Resampling.LANCZOS)


def overlay(seen: Image.Image, saliency: NDArray[np.float32]) -> Image.Image:
    """Return a picture with a map over it: the higher the value, the brighter and the less of the picture.

    Args:
        seen: the picture.
        saliency: values 0..1 [S, S].
    """
    from matplotlib import colormaps

    levels = Image.fromarray((255 * saliency.clip(0, 1)).round().astype(np.uint8))
    value = np.asarray(levels.resize(seen.size, Image.Resampling.BILINEAR))[..., None] / 255
    colours = 255 * colormaps[COLOURS](value[..., 0])[..., :3]
    share = MOST * value
    return Image.fromarray(((1 - share) * np.asarray(seen) + share * colours).round().astype(np.uint8))
