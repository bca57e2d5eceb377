"""Tissue under the microscope: arrangements of cells and open spaces."""

from __future__ import annotations

import numpy as np
from numpy.random import Generator

from .canvas import SIZE, X, Y, blob, noise, sigmoid, spread

Pattern = tuple[np.ndarray, np.ndarray, np.ndarray]  # masks of cells and of open spaces, distance from a gland's centre


def keep_inside(where: np.ndarray, *masks: np.ndarray) -> np.ndarray:
    """Return those of the positions [n, 2] at which every mask exceeds one half.

    >>> left = (X < 0).astype(float)
    >>> keep_inside(np.array([[-0.5, 0.1], [0.5, 0.1]]), left).tolist()
    [[-0.5, 0.1]]
    """
    column, row = np.clip((where + 1) / 2 * SIZE, 0, SIZE - 1).astype(int).T
    return where[np.all([mask[row, column] > 0.5 for mask in masks], 0) & (np.abs(where) < 1).all(1)]


def _glands(rng: Generator, size: tuple[float, float], gap: float, jitter: float, warp: float, hole: float) -> Pattern:
    """Draw glands with one lumen each; `gap` and `hole` are relative to their size."""
    cells, spaces, towards = np.zeros_like(X), np.zeros_like(X), np.full_like(X, 9.0)
    mean = rng.uniform(*size)
    for x, y in spread(rng, mean * gap, jitter):
        rx, ry = mean * rng.uniform(1 - 2 * warp, 1 + warp, 2)
        if max(abs(x), abs(y)) < 1 + mean * 0.7:
            gland, radius = blob(rng, x, y, rx, ry, rng.uniform(0, 3), warp, 0.06)
            spaces = np.maximum(spaces, sigmoid((hole * rng.uniform(0.8, 1.2) - radius) / 0.05))
            cells, towards = np.maximum(cells, gland), np.minimum(towards, radius)
    return cells * (1 - spaces), spaces, towards


def crypts(rng: Generator) -> Pattern:
    """Draw round glands in a regular array."""
    return _glands(rng, (0.36, 0.5), 2.2, 0.06, 0.04, 0.22)


def acini(rng: Generator) -> Pattern:
    """Draw malformed glands of varying size, with wide lumens, in disorder."""
    return _glands(rng, (0.3, 0.42), 2.4, 0.3, 0.17, 0.45)


def cribriform(rng: Generator) -> Pattern:
    """Draw one or two large glands with holes."""
    cells, _, _ = _glands(rng, (0.8, 1.0), 2.1, 0.2, 0.12, -1.0)
    gap = rng.uniform(0.5, 0.66)
    towards = _nearest(spread(rng, gap, 0.25))[..., 0] + 0.03 * noise(rng, 8)
    holes = sigmoid((gap * rng.uniform(0.24, 0.32) - towards) / 0.02)
    return cells * (1 - holes), cells * holes, towards


def nests(rng: Generator) -> Pattern:
    """Draw islands without lumen."""
    field = noise(rng, 3) + 0.12 * noise(rng, 12)
    return sigmoid((field + rng.uniform(0.3, 0.7)) / 0.06), np.zeros_like(X), np.abs(field)


def _nearest(centres: np.ndarray) -> np.ndarray:
    """Return the distances [64, 64, 2] from the two nearest of the centres [n, 2]."""
    distance = np.hypot(
        X[..., None] - centres[:, 0].astype(np.float32), Y[..., None] - centres[:, 1].astype(np.float32)
    )
    return np.partition(distance, 1)[..., :2]


def _airspaces(rng: Generator, gap: tuple[float, float], wall: float, core: float) -> Pattern:
    """Draw round-cornered spaces; their walls have cells on both sides and a core without cells."""
    nearest = _nearest(spread(rng, rng.uniform(*gap), 0.4))
    depth = nearest[..., 1] - nearest[..., 0] + 0.04 * noise(rng, 8)
    spaces = sigmoid((depth - wall) / 0.025)
    return (1 - spaces) * sigmoid((depth - core) / 0.03), spaces, depth


def alveoli(rng: Generator) -> Pattern:
    """Draw wide airspaces with thin walls."""
    return _airspaces(rng, (0.55, 0.8), rng.uniform(0.05, 0.09), -1.0)


def lepidic(rng: Generator) -> Pattern:
    """Draw airspaces narrowed by thick walls that have cells on both sides."""
    return _airspaces(rng, (0.8, 1.05), rng.uniform(0.32, 0.4), 0.1)


PATTERNS = {
    "cribriform": cribriform,
    "acini": acini,
    "nests": nests,
    "crypts": crypts,
    "lepidic": lepidic,
    "alveoli": alveoli,
}
