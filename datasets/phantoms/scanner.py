"""Acquisition: changes that a scanner or a camera makes to a picture, independent of the class.

There are two styles. `atlas` is the tidy look of textbook figures; PhantomCLIP is trained on it. `clinic` is the look
of the data sets: darker, flatter, blurrier and with a fixed colour cast. This difference is what a method can learn on
a frozen PhantomCLIP.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.random import Generator

from .canvas import SIZE, noise

Range = tuple[float, float]


@dataclass(frozen=True)
class Style:
    """Ranges of the parameters of an acquisition; `blur` in pixels, the rest relative to a full scale of 1."""

    gamma: Range
    contrast: Range
    brightness: Range
    blur: Range
    grain: Range
    shading: float
    tint: float
    coarse: float  # probability of half the resolution
    cast: tuple[float, float, float] = (1.0, 1.0, 1.0)


STYLES = {
    "atlas": Style((0.8, 1.25), (0.8, 1.2), (-0.06, 0.06), (0.0, 0.7), (0.0, 0.04), 0.08, 0.03, 0.1),
    "clinic": Style(
        (1.4, 1.9), (0.58, 0.9), (0.0, 0.12), (0.2, 0.7), (0.01, 0.04), 0.12, 0.04, 0.15, (1.15, 0.94, 0.8)
    ),
}


def _blur(image: np.ndarray, sigma: float) -> np.ndarray:
    """Return an image [64, 64, channels] after a Gaussian blur; sigma in pixels."""
    if sigma < 0.15:
        return image
    offsets = np.arange(SIZE)[:, None] - np.arange(SIZE)
    kernel = np.exp(-0.5 * (offsets / sigma) ** 2).astype(np.float32)
    kernel /= kernel.sum(1, keepdims=True)
    return np.stack([kernel @ channel @ kernel.T for channel in np.moveaxis(image, 2, 0)], 2)


def acquire(rng: Generator, image: np.ndarray, style: Style) -> np.ndarray:
    """Return the picture in a style: uint8 [64, 64, 3] from float [64, 64] or [64, 64, 3]."""
    grey = image.ndim == 2
    image = image[..., None] if grey else image
    image = np.clip(image, 0, 1) ** rng.uniform(*style.gamma)
    middle = image.mean()
    image = (image - middle) * rng.uniform(*style.contrast) + middle + rng.uniform(*style.brightness)
    image = image * (1 + noise(rng, 2)[..., None] * rng.uniform(0, style.shading))
    if not grey:
        image = image * (1 + rng.normal(0, style.tint, 3)) * np.asarray(style.cast)
    image = _blur(image.astype(np.float32), rng.uniform(*style.blur))
    if rng.random() < style.coarse:
        image = np.repeat(np.repeat((image[::2, ::2] + image[1::2, 1::2]) / 2, 2, 0), 2, 1)
    image = image + rng.normal(0, rng.uniform(*style.grain), image.shape)
    image = (np.clip(image, 0, 1) * 255).round().astype(np.uint8)
    return np.repeat(image, 3, 2) if grey else image
