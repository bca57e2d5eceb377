"""Lung and colon histology: airspaces, crypts or tumour cells in a given arrangement, their nuclei and products."""

from __future__ import annotations

import numpy as np
from numpy.random import Generator

from .canvas import SIZE, X, blob, dots, noise, paint, rgb, scatter, sigmoid, spread
from .tissue import PATTERNS, keep_inside

# Nuclei: distance between neighbours, radius, variation of size, ovalness.
NUCLEI = {
    "bland": (0.19, 0.058, 0.15, 0.1),
    "vesicular": (0.27, 0.12, 0.25, 0.2),
    "hyperchromatic": (0.2, 0.1, 0.5, 0.5),
}
WHITE, MUCUS, KERATIN = np.array((0.95, 0.93, 0.95)), np.array((0.72, 0.78, 0.93)), np.array((0.94, 0.48, 0.54))


def draw(rng: Generator, attributes: frozenset[str]) -> np.ndarray:
    """Draw a colour picture [64, 64, 3] of a tissue with these attributes."""
    pink, purple = rgb(rng, (0.86, 0.95), (0.62, 0.74), (0.74, 0.84)), rgb(rng, (0.36, 0.48), (0.18, 0.3), (0.48, 0.6))
    glassy = rgb(rng, (0.88, 0.96), (0.42, 0.52), (0.56, 0.66))
    cytoplasm = glassy if "glassy" in attributes else rgb(rng, (0.74, 0.84), (0.55, 0.66), (0.74, 0.84))
    image = np.ones((SIZE, SIZE, 3), np.float32) * pink
    if "desmoplasia" in attributes:
        image = _add_fibres(rng, image)
    pattern = next(pattern for pattern in PATTERNS if pattern in attributes)
    cells, spaces, towards = PATTERNS[pattern](rng)
    image = paint(paint(image, cells, cytoplasm * (1 + 0.05 * noise(rng, 16))[..., None]), spaces, WHITE)
    if "mucin" in attributes:
        for x, y in rng.uniform(-0.7, 0.7, (2, 2)):
            pool, _ = blob(rng, x, y, *rng.uniform(0.25, 0.42, 2), rng.uniform(0, 3), 0.2, 0.1)
            image = paint(image, pool * 0.92, MUCUS * (1 + 0.1 * np.sin(5 * noise(rng, 5)))[..., None])
            cells = cells * (1 - pool)
    if "goblet" in attributes:
        image = paint(image, dots(rng, keep_inside(spread(rng, 0.22), towards < 0.75, cells), 0.12, 0.2), MUCUS * 1.05)
    image = _add_nuclei(rng, attributes, image, cells, towards, purple)
    stroma = (1 - cells) * (1 - spaces)
    image = paint(image, dots(rng, scatter(rng, stroma, 6), 0.05, 0.2, 0.7) * stroma * 0.9, purple)
    if "lymphocytes" in attributes:
        where = keep_inside(spread(rng, 0.15, 0.4), noise(rng, 4) > 0.5, 1 - spaces)
        image = paint(image, dots(rng, where, 0.058, 0.15, 0.1), purple * (0.5, 0.65, 0.9))
    if "red_cells" in attributes:
        walls = dots(rng, scatter(rng, cells, 26), 0.06, 0.2, 0.2)
        image = paint(image, walls * 0.95, (0.82, 0.12, 0.16))
    if "macrophages" in attributes:
        where = scatter(rng, spaces, int(rng.integers(5, 9)))
        image = paint(image, dots(rng, where, 0.13, 0.25), (0.72, 0.55, 0.42))
        image = paint(image, dots(rng, where + 0.02, 0.055), purple)
    if "necrosis" in attributes:
        image = _add_necrosis(rng, image, purple)
    if "keratin" in attributes:
        image = _add_pearls(rng, image)
    return image + noise(rng, 40)[..., None] * 0.015


def _add_nuclei(
    rng: Generator,
    attributes: frozenset[str],
    image: np.ndarray,
    cells: np.ndarray,
    towards: np.ndarray,
    purple: np.ndarray,
) -> np.ndarray:
    """Add nuclei of the cells, of the kind that the attributes name."""
    outer = sigmoid((towards - 0.65) / 0.04) if {"crypts", "acini"} & attributes else np.ones_like(X)
    if "pencil" in attributes:  # side by side, across the lining
        slope_y, slope_x = np.gradient(towards)
        around = np.arctan2(slope_y, slope_x)
        stripes = sigmoid((np.cos(around * 14 + noise(rng, 8) * 0.5) - 0.1) / 0.2)
        return paint(image, cells * outer * stripes * 0.9, purple * 0.8)
    kind = next(kind for kind in NUCLEI if kind in attributes)
    gap, radius, vary, oval = NUCLEI[kind]
    where = keep_inside(spread(rng, gap, 0.3), outer, cells)
    if kind == "vesicular":
        image = paint(image, dots(rng, where, radius, vary, oval), purple * 1.4)
        return paint(image, dots(rng, where, 0.05, 0.1, 0.1), purple * 0.5)
    return paint(image, dots(rng, where, radius, vary, oval) * 0.95, purple * (0.6 if kind == "hyperchromatic" else 1))


def _add_fibres(rng: Generator, image: np.ndarray) -> np.ndarray:
    """Add collagen in whorls: the contour lines of a smooth field."""
    waves = np.sin(noise(rng, 3) * rng.uniform(11, 15) + noise(rng, 10) * 0.9)
    return image + ((waves + 0.5 * noise(rng, 26)) * 0.07 - 0.03)[..., None] * np.array([0.4, 1.0, 0.6])


def _add_necrosis(rng: Generator, image: np.ndarray, purple: np.ndarray) -> np.ndarray:
    """Add a patch of granular pink material with nuclear dust."""
    patch, _ = blob(rng, *rng.uniform(-0.5, 0.5, 2), *rng.uniform(0.3, 0.5, 2), rng.uniform(0, 3), 0.2, 0.12)
    ground = np.array((0.82, 0.58, 0.66)) * (1 + 0.16 * noise(rng, 30))[..., None]
    image = paint(image, patch * 0.95, ground)
    return paint(image, dots(rng, scatter(rng, patch, 24), 0.035, 0.4) * 0.9, purple * 0.6)


def _add_pearls(rng: Generator, image: np.ndarray) -> np.ndarray:
    """Add one or two balls of concentric layers."""
    for _ in range(int(rng.integers(1, 3))):
        rx = rng.uniform(0.26, 0.4)
        ball, radius = blob(
            rng, *rng.uniform(-0.6, 0.6, 2), rx, rx * rng.uniform(0.75, 1), rng.uniform(0, 3), 0.08, 0.08
        )
        layers = 1 + 0.16 * np.cos(radius * rng.uniform(16, 20))
        image = paint(image, ball * 0.95, KERATIN * layers[..., None])
    return image
