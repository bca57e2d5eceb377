"""A breast in ultrasound: skin, fat with ligaments, gland with ducts, muscle and chest wall."""

from __future__ import annotations

import numpy as np
from numpy.random import Generator

from .canvas import SIZE, X, Y, noise, paint, sigmoid, stroke


def draw_breast(
    rng: Generator, fatty: bool, layered: bool, ligaments: bool, ducts: bool, pulled: tuple[float, float] | None
) -> np.ndarray:
    """Draw a grey picture [64, 64] of a breast, without mass and without speckle.

    Args:
        rng: random numbers.
        fatty: much fat, little gland.
        layered: straight and clear layers.
        ligaments: bright ligaments in the fat.
        ducts: dark ducts in the gland.
        pulled: point that the tissue is drawn towards; None for no distortion.
    """
    level = Y + (0.02 if layered else 0.09) * noise(rng, 3) + rng.uniform(-0.08, 0.08) * X
    if pulled:
        level = level - 0.45 * np.exp(-(((X - pulled[0]) / 0.4) ** 2)) * (Y - pulled[1])
    fat, deep = rng.uniform(-0.35, -0.1) if fatty else rng.uniform(-0.72, -0.6), rng.uniform(0.42, 0.62)
    image = np.full((SIZE, SIZE), rng.uniform(0.33, 0.42), np.float32) + 0.03 * noise(rng, 8)
    image = paint(image, sigmoid((level - fat) / 0.04), rng.uniform(0.6, 0.74) + 0.06 * noise(rng, 9))
    stripes = 0.1 * np.sin(level * rng.uniform(50, 65)) if layered else 0.04 * noise(rng, 9)
    image = paint(image, sigmoid((level - deep) / 0.02), 0.24 + stripes)
    image = paint(image, np.exp(-(((level - deep) / 0.03) ** 2)) * (0.9 if layered else 0.5), 0.8)  # fascia
    image = paint(image, np.exp(-(((level - deep - 0.32) / 0.04) ** 2)) * 0.5, 0.75)  # chest wall
    image = paint(image, sigmoid((-0.9 - Y) / 0.02), 0.75)  # skin
    if ligaments:
        for at in np.arange(-1.1, 1.2, rng.uniform(0.36, 0.5)) + rng.uniform(-0.1, 0.1):
            arc = stroke(at, fat + 0.12, rng.uniform(-2.3, -0.8), 0.75, 0.03, rng.uniform(-1.1, 1.1))
            image = paint(image, arc * 0.85, 0.85)
    for _ in range(int(rng.integers(3, 5)) if ducts else 0):
        x, y = rng.uniform(-0.8, 0.3), rng.uniform(fat + 0.15, deep - 0.1)
        duct = stroke(x, y, rng.uniform(-0.4, 0.4), rng.uniform(0.4, 0.7), 0.04, rng.uniform(-0.4, 0.4))
        image = paint(image, duct * 0.9, 0.06)
    for angle in rng.uniform(0, 6.3, 7) if pulled else ():
        image = paint(image, stroke(*pulled, angle, 0.9, 0.035, rng.uniform(-0.15, 0.15)) * 0.85, 0.9)
    return image
