"""Dermoscopy: skin with hair, and one lesion of a given colour, outline and pattern."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.random import Generator

from .canvas import SIZE, X, Y, blob, dots, noise, paint, rgb, scatter, stroke
from .lesion import paint_lesion

WHITE, BLUE, BLOOD = (0.95, 0.92, 0.85), (0.5, 0.55, 0.68), (0.55, 0.08, 0.2)


@dataclass
class Lesion:
    """Place, size and masks [64, 64] of a lesion; lengths in canvas units."""

    x: float
    y: float
    rx: float  # half axes
    ry: float
    radius: float
    mask: np.ndarray
    depth: np.ndarray  # 0 in the middle, 1 on the outline

    def draw_patch(self, rng: Generator, size: float, wander: float, warp: float, soft: float) -> np.ndarray:
        """Draw the mask of a smaller patch in the lesion."""
        dx, dy = rng.uniform(-wander, wander, 2) * self.radius
        rx, ry = self.rx * size, self.ry * size * 0.9
        return blob(rng, self.x + dx, self.y + dy, rx, ry, rng.uniform(0, 3), warp, soft)[0] * self.mask


def draw(rng: Generator, attributes: frozenset[str]) -> np.ndarray:
    """Draw a colour picture [64, 64, 3] of skin with a lesion of these attributes."""
    image = np.ones((SIZE, SIZE, 3), np.float32) * rgb(rng, (0.75, 0.93), (0.56, 0.72), (0.45, 0.62))
    image = image + (noise(rng, 3) * 0.025 + noise(rng, 40) * 0.012)[..., None]
    lesion = _draw_lesion(rng, attributes)
    dark = rgb(rng, (0.1, 0.22), (0.06, 0.14), (0.05, 0.13))
    image = _paint_ground(rng, attributes, image, lesion.mask)
    image = _add_pigment(rng, attributes, image, lesion, dark)
    image = _add_structures(rng, attributes, image, lesion, dark)
    for _ in range(int(rng.integers(0, 4))):  # hair
        x, y = rng.uniform(-1, 1, 2)
        line = stroke(x, y, rng.uniform(0, 6.3), rng.uniform(0.8, 2), 0.018, rng.uniform(-0.3, 0.3))
        image = paint(image, line * 0.75, (0.12, 0.08, 0.06))
    return image


def _draw_lesion(rng: Generator, attributes: frozenset[str]) -> Lesion:
    """Draw the size, the place and the outline of the lesion."""
    low, high = (0.3, 0.4) if "small" in attributes else (0.6, 0.74) if "large" in attributes else (0.42, 0.56)
    radius, angle = rng.uniform(low, high), rng.uniform(0, 3.1)
    x, y = rng.uniform(-0.2, 0.2, 2)
    rx, ry = radius * rng.uniform(0.85, 1.15), radius * rng.uniform(0.78, 1.1)
    warp = 0.28 if "jagged" in attributes else 0.03 if "round" in attributes else rng.uniform(0.08, 0.18)
    soft = 0.35 if "blurred" in attributes else 0.04 if "sharp" in attributes else 0.1
    return Lesion(x, y, rx, ry, radius, *blob(rng, x, y, rx, ry, angle, warp, soft))


def _add_pigment(
    rng: Generator, attributes: frozenset[str], image: np.ndarray, lesion: Lesion, dark: np.ndarray
) -> np.ndarray:
    """Add areas of another colour: network, blotches, veil, rim and scar."""
    if "network" in attributes:
        pitch, drift = rng.uniform(14, 19), noise(rng, 4) * 0.6
        image = paint_lesion(
            image, (np.sin(X * pitch + drift) * np.sin(Y * pitch + drift) > 0.1) * lesion.mask * 0.55, dark
        )
    if "variegated" in attributes:
        image = paint_lesion(image, lesion.draw_patch(rng, 0.45, 0.5, 0.2, 0.3) * 0.75, (0.72, 0.3, 0.28))
        image = paint_lesion(image, lesion.draw_patch(rng, 0.4, 0.5, 0.2, 0.3) * 0.7, (0.8, 0.62, 0.45))
    if "blotch" in attributes:
        image = paint_lesion(image, lesion.draw_patch(rng, 0.55, 0.45, 0.3, 0.2), dark)
    if "veil" in attributes:
        image = paint_lesion(image, lesion.draw_patch(rng, 0.5, 0.45, 0.2, 0.3) * 0.85, BLUE)
    if "rim" in attributes:
        image = paint_lesion(image, np.exp(-(((lesion.depth - 0.92) / 0.18) ** 2)) * 0.7, (0.55, 0.36, 0.24))
    if "scar" in attributes:
        patch = lesion.draw_patch(rng, rng.uniform(0.42, 0.6), 0.1, 0.12, 0.2)
        image = paint_lesion(image, patch * rng.uniform(0.75, 0.95), (0.95, 0.87, 0.83))
    return image


def _add_structures(
    rng: Generator, attributes: frozenset[str], image: np.ndarray, lesion: Lesion, dark: np.ndarray
) -> np.ndarray:
    """Add dots, erosions, scale and vessels."""
    mask = lesion.mask
    if "strawberry" in attributes:
        image = paint_lesion(image, dots(rng, scatter(rng, mask, 16), 0.07) * 0.8, (0.75, 0.22, 0.24))
    if "nests" in attributes:
        image = paint_lesion(
            image, dots(rng, scatter(rng, mask, int(rng.integers(5, 8))), 0.1) * 0.9, (0.36, 0.4, 0.54)
        )
    if "ulcer" in attributes:
        image = paint_lesion(image, lesion.draw_patch(rng, 0.38, 0.2, 0.25, 0.2), (0.4, 0.1, 0.1))
    if "lacunae" in attributes:
        image = paint_lesion(image, dots(rng, scatter(rng, mask, 10), 0.1) * 0.85, BLOOD)
    if "plugs" in attributes:
        image = paint_lesion(image, dots(rng, scatter(rng, mask, 10), 0.075) * 0.9, dark)
    if "milia" in attributes:
        image = paint_lesion(image, dots(rng, scatter(rng, mask, 12), 0.065) * 0.95, WHITE)
    if "scale" in attributes:
        image = paint_lesion(image, np.clip(1.5 * noise(rng, 12) - 0.5, 0, 1) * mask * 0.95, (0.95, 0.9, 0.76))
    if "vessels" in attributes:  # they run on into the skin around: no part of the lesion
        for _ in range(int(rng.integers(4, 7))):
            x, y = np.array([lesion.x, lesion.y]) + rng.uniform(-0.6, 0.6, 2) * lesion.radius
            line = stroke(x, y, rng.uniform(0, 6.3), rng.uniform(0.4, 0.8), 0.035, rng.uniform(-1, 1))
            image = paint(image, line * 0.85, (0.72, 0.14, 0.18))
    return image


def _paint_ground(rng: Generator, attributes: frozenset[str], image: np.ndarray, lesion: np.ndarray) -> np.ndarray:
    """Paint the lesion in its own colour, before any structure."""
    if "pearly" in attributes:
        image = paint_lesion(image, lesion * 0.8, rgb(rng, (0.86, 0.94), (0.6, 0.7), (0.58, 0.66)), lesion)
        shine, _ = blob(rng, rng.uniform(-0.2, 0), rng.uniform(-0.2, 0), 0.2, 0.13, rng.uniform(0, 3), 0.0, 0.5)
        return paint_lesion(image, shine * lesion * 0.6, (1.0, 0.96, 0.94))
    uneven = 0.02 if "even" in attributes else 0.05
    if "pink" in attributes:
        colour, strength = rgb(rng, (0.8, 0.92), (0.42, 0.55), (0.42, 0.52)), rng.uniform(0.6, 0.9)
    elif "tan" in attributes:
        colour, strength = rgb(rng, (0.55, 0.72), (0.38, 0.5), (0.24, 0.34)), rng.uniform(0.75, 0.95)
    elif "red" in attributes:
        colour, strength = rgb(rng, (0.7, 0.86), (0.1, 0.22), (0.14, 0.26)), 0.88
    elif "purple" in attributes:
        colour, strength = rgb(rng, (0.45, 0.6), (0.1, 0.2), (0.3, 0.44)), 0.88
    elif "black" in attributes:
        colour, strength = rgb(rng, (0.16, 0.28), (0.1, 0.17), (0.08, 0.15)), 0.94
    else:
        colour, strength = rgb(rng, (0.36, 0.54), (0.22, 0.33), (0.14, 0.23)), 0.93
    return paint_lesion(image, lesion * strength, colour * (1 + noise(rng, 14)[..., None] * uneven), lesion)
