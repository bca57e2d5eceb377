"""Colorectal histology: an H&E tile of one tissue, with nuclei, fibres, glands, fat or debris."""

from __future__ import annotations

import numpy as np
from numpy.random import Generator

from .canvas import SIZE, X, Y, blob, dots, noise, paint, rgb, scatter, sigmoid, spread


def draw(rng: Generator, attributes: frozenset[str]) -> np.ndarray:
    """Draw a colour picture [64, 64, 3] of a tissue with these attributes."""
    pink = rgb(rng, (0.82, 0.93), (0.55, 0.68), (0.7, 0.82))
    purple = rgb(rng, (0.35, 0.48), (0.18, 0.32), (0.48, 0.6))
    white = rgb(rng, (0.92, 0.97), (0.9, 0.95), (0.92, 0.97))
    image = np.ones((SIZE, SIZE, 3), np.float32) * pink + noise(rng, 8)[..., None] * 0.02
    if "vacuoles" in attributes:
        image = _add_vacuoles(rng, image, white, 0.08 if "septa" in attributes else 0.04)
    elif "fibres" in attributes:
        image = _add_fibres(rng, image)
    elif "amorphous" in attributes:
        clumps = noise(rng, 8) + 0.7 * noise(rng, 20)
        image = image + (clumps * 0.05 + noise(rng, 40) * 0.05)[..., None]
        image = paint(image, np.clip(clumps - 0.4, 0, 1) * 0.6, purple * 1.3)
    elif "blank" in attributes:
        image = np.ones_like(image) * white * rng.uniform(0.94, 1.03) + noise(rng, 3)[..., None] * 0.012
    if "specks" in attributes:
        anywhere = np.ones((SIZE, SIZE))
        image = paint(image, dots(rng, scatter(rng, anywhere, int(rng.integers(2, 5))), 0.07) * 0.7, pink)
    if "large_nuclei" in attributes:
        image = image * np.array([0.92, 0.87, 0.98])
    image = _add_glands(rng, attributes, image, pink, purple, white)
    image = _add_nuclei(rng, attributes, image, purple)
    if "gaps" in attributes:
        image = paint(image, np.clip(noise(rng, 7) - 0.5, 0, 1) * 0.95, white)
    if "lumens" in attributes:
        image = _add_clefts(rng, image, white, 3, (0.12, 0.26), (0.06, 0.11), 0.25)
    if "vessels" in attributes:
        image = _add_clefts(rng, image, white, 2, (0.18, 0.24), (0.06, 0.09), 0.1)
        image = _add_clefts(rng, image, np.array([0.75, 0.25, 0.3]), 3, (0.06, 0.1), (0.04, 0.06), 0.1)
    return image + noise(rng, 40)[..., None] * 0.015


def _add_vacuoles(rng: Generator, image: np.ndarray, white: np.ndarray, wall: float) -> np.ndarray:
    """Add fat cells: Voronoi cells with thin walls."""
    centres = spread(rng, rng.uniform(0.42, 0.66), 0.35)
    distance = np.sort(np.hypot(X[..., None] - centres[:, 0], Y[..., None] - centres[:, 1]), -1)
    return paint(image, sigmoid((distance[..., 1] - distance[..., 0] - wall) / 0.02) * 0.95, white)


def _add_fibres(rng: Generator, image: np.ndarray) -> np.ndarray:
    """Add wavy parallel bands."""
    angle = rng.uniform(0, 3.1)
    along = X * np.cos(angle) + Y * np.sin(angle)
    waves = np.sin(along * rng.uniform(16, 26) + noise(rng, 3) * rng.uniform(1, 2.4) + noise(rng, 8) * 0.6)
    return image + (waves * rng.uniform(0.06, 0.12))[..., None] * np.array([0.3, 1.0, 0.6])


def _add_nuclei(rng: Generator, attributes: frozenset[str], image: np.ndarray, purple: np.ndarray) -> np.ndarray:
    """Add nuclei in the amount, size and shape that the attributes name."""
    anywhere = np.ones((SIZE, SIZE))
    if "dense_small" in attributes:
        image = paint(image, dots(rng, spread(rng, rng.uniform(0.155, 0.18)), 0.06, 0.2, 0.1) * 0.95, purple * 0.85)
    if "large_nuclei" in attributes:
        image = paint(image, dots(rng, spread(rng, rng.uniform(0.25, 0.31)), 0.115, 0.35, 0.35) * 0.85, purple)
    if "interspersed" in attributes:
        image = paint(image, dots(rng, scatter(rng, anywhere, int(rng.integers(30, 50))), 0.065, 0.3) * 0.85, purple)
    if "sparse" in attributes:
        spindles = dots(rng, scatter(rng, anywhere, int(rng.integers(4, 10))), 0.05, 0.2, 0.7)
        image = paint(image, spindles * 0.9, purple)
    return image


def _add_glands(
    rng: Generator,
    attributes: frozenset[str],
    image: np.ndarray,
    pink: np.ndarray,
    purple: np.ndarray,
    white: np.ndarray,
) -> np.ndarray:
    """Add crypts: a ring of nuclei, goblet cells inside it, a lumen in the middle."""
    regular = "regular_glands" in attributes
    if not regular and "fused_glands" not in attributes:
        return image
    size = rng.uniform(0.32, 0.45)
    warp, gap, jitter = (0.05, 2.15, 0.06) if regular else (0.25, 1.75, 0.25)
    for x, y in spread(rng, size * gap, jitter):
        if max(abs(x), abs(y)) > 1 + size:
            continue
        gland, radius = blob(rng, x, y, size, size * rng.uniform(0.8, 1.1), rng.uniform(0, 3), warp, 0.04)
        image = paint(image, gland, pink * 1.03)
        image = paint(image, np.exp(-(((radius - 0.9) / 0.13) ** 2)) * 0.95, purple)
        if "goblet" in attributes:
            image = paint(image, np.exp(-(((radius - 0.55) / 0.2) ** 2)) * 0.75, white * 0.97)
        lumen, _ = blob(rng, x, y, size * 0.26, size * 0.22, rng.uniform(0, 3), 0.1, 0.2)
        image = paint(image, lumen, white)
    return image


def _add_clefts(
    rng: Generator,
    image: np.ndarray,
    colour: np.ndarray,
    most: int,
    long: tuple[float, float],
    wide: tuple[float, float],
    warp: float,
) -> np.ndarray:
    """Add one to `most` elongated openings; `long` and `wide` are ranges of their half axes."""
    for _ in range(int(rng.integers(1, most + 1))):
        x, y = rng.uniform(-0.8, 0.8, 2)
        cleft, _ = blob(rng, x, y, rng.uniform(*long), rng.uniform(*wide), rng.uniform(0, 3), warp, 0.1)
        image = paint(image, cleft, colour)
    return image
