"""Tools to draw with on a canvas of 64 x 64 pixels: coordinates, smooth noise, soft shapes, strokes and dots.

Images are float32 arrays [64, 64] (grey) or [64, 64, 3] (RGB) with values around 0..1; masks are [64, 64] in 0..1.
Lengths are in canvas units: the canvas spans -1..1 in both directions, y points down.
"""

from __future__ import annotations

from functools import cache

import numpy as np
from numpy.random import Generator

SIZE = 64
_AXIS = ((np.arange(SIZE) + 0.5) / SIZE * 2 - 1).astype(np.float32)
Y, X = np.meshgrid(_AXIS, _AXIS, indexing="ij")


def sigmoid(x: np.ndarray) -> np.ndarray:
    """Return the logistic function of x, without overflow.

    >>> sigmoid(np.array([-1000.0, 0.0, 2.0])).round(3).tolist()
    [0.0, 0.5, 0.881]
    """
    return 1 / (1 + np.exp(-np.clip(x, -30, 30)))


def rgb(rng: Generator, *ranges: tuple[float, float]) -> np.ndarray:
    """Draw one colour [3], each channel uniform in its (low, high) range."""
    low, high = np.transpose(ranges)
    return rng.uniform(low, high)


@cache
def _spline(cells: int) -> np.ndarray:
    """Return the cubic B-spline weights [64, cells + 3] that make a smooth line of pixels from a coarse one."""
    position = (np.arange(SIZE) + 0.5) / SIZE * cells
    distance = np.abs(position[:, None] - (np.arange(cells + 3) - 1))
    near, far = distance < 1, distance < 2
    weights = np.where(near, 2 / 3 - distance**2 + distance**3 / 2, np.where(far, (2 - distance) ** 3 / 6, 0))
    return weights.astype(np.float32)


def noise(rng: Generator, cells: int) -> np.ndarray:
    """Draw a smooth random field [64, 64] of zero mean and unit variance, with about `cells` bumps per side."""
    weights = _spline(cells)
    field = weights @ rng.standard_normal((cells + 3, cells + 3), dtype=np.float32) @ weights.T
    return (field - field.mean()) / (field.std() + 1e-6)


def paint(image: np.ndarray, mask: np.ndarray, value: float | np.ndarray) -> np.ndarray:
    """Return the image with `value` (a number, a field or a colour) painted on it where the mask is 1.

    Where the mask lies between 0 and 1, the result is a mixture of both.

    >>> paint(np.full((1, 3), 0.2), np.array([[0.0, 0.5, 1.0]]), 1.0).tolist()
    [[0.2, 0.6, 1.0]]
    """
    if image.ndim == 3:
        mask = mask[..., None]
        value = np.asarray(value, np.float32)
        value = value[..., None] if value.ndim == 2 else value
    return image * (1 - mask) + mask * value


def blob(
    rng: Generator,
    x: float,
    y: float,
    rx: float,
    ry: float,
    angle: float = 0.0,
    warp: float = 0.0,
    soft: float = 0.08,
) -> tuple[np.ndarray, np.ndarray]:
    """Draw a soft ellipse with a wavy outline.

    Args:
        rng: random numbers, used only if `warp` is not 0.
        x, y: the centre.
        rx, ry: half axes.
        angle: rotation in radians.
        warp: size of the waves, relative to the radius.
        soft: width of the edge, relative to the radius.

    Returns:
        The mask, and the radius field: 0 at the centre, 1 on the outline; both [64, 64].
    """
    cos, sin = np.cos(angle), np.sin(angle)
    u = ((X - x) * cos + (Y - y) * sin) / rx
    v = ((Y - y) * cos - (X - x) * sin) / ry
    radius = np.sqrt(u * u + v * v)
    if warp:
        # cos(k theta + phase) as the real part of powers of the direction z: much faster than the functions themselves
        z = (u + 1j * v) / (radius + 1e-6)
        powers = {2: z * z, 3: z * z * z}
        powers |= {4: powers[2] * powers[2], 5: powers[2] * powers[3]}
        powers[7] = powers[4] * powers[3]
        outline = np.ones_like(radius)
        for order, power in powers.items():
            size, phase = warp * rng.standard_normal() / order**0.5, rng.uniform(0, 6.28)
            outline += size * (np.cos(phase) * power.real - np.sin(phase) * power.imag)
        radius = radius / np.clip(outline, 0.4, 1.8)
    return sigmoid((1 - radius) / soft), radius


def stroke(x: float, y: float, angle: float, length: float, width: float, bend: float = 0.0) -> np.ndarray:
    """Return the mask of a curved line from (x, y) in the direction `angle` (radians); `bend` is its curvature."""
    cos, sin = np.cos(angle), np.sin(angle)
    u = (X - x) * cos + (Y - y) * sin
    v = (Y - y) * cos - (X - x) * sin
    ends = sigmoid((u + width) / width * 3) * sigmoid((length - u + width) / width * 3)
    return np.exp(-(((v - bend * u * u) / width) ** 2)) * ends


def scatter(rng: Generator, mask: np.ndarray, count: int) -> np.ndarray:
    """Draw `count` positions [count, 2] (x, y) inside the mask; anywhere if nothing lies inside."""
    inside = np.flatnonzero(mask > 0.5)
    chosen = inside[rng.integers(len(inside), size=count)] if len(inside) else rng.integers(SIZE**2, size=count)
    jitter = rng.uniform(-1, 1, (count, 2)) / SIZE
    return np.stack([X.flat[chosen], Y.flat[chosen]], 1) + jitter


def spread(rng: Generator, gap: float, jitter: float = 0.3) -> np.ndarray:
    """Draw positions [n, 2] about `gap` apart that cover the canvas: a staggered grid, shifted and jittered."""
    steps = np.arange(-1 - gap, 1 + 2 * gap, gap)
    shift = rng.uniform(0, gap, 2)
    grid = [(x + (gap / 2 if row % 2 else 0), y) for row, y in enumerate(steps) for x in steps]
    return np.asarray(grid) - shift + rng.uniform(-jitter, jitter, (len(grid), 2)) * gap


def dots(
    rng: Generator, where: np.ndarray, radius: float, vary: float = 0.3, oval: float = 0.25, sharp: float = 2.0
) -> np.ndarray:
    """Draw round spots at given positions.

    Args:
        rng: random numbers.
        where: positions [n, 2].
        radius: mean radius of a spot.
        vary: relative variation of the radius.
        oval: relative variation of the ratio of the axes.
        sharp: how steep the edge is.

    Returns:
        The mask [64, 64].
    """
    mask = np.zeros((SIZE, SIZE), np.float32)
    sizes = radius * rng.uniform(1 - vary, 1 + vary, len(where))
    aspects = rng.uniform(1 - oval, 1 + oval, len(where))
    angles = rng.uniform(0, 3.14, len(where))
    for (x, y), size, aspect, angle in zip(where, sizes, aspects, angles, strict=True):
        reach = 2.5 * size * max(aspect, 1 / aspect)
        left, right = np.searchsorted(_AXIS, (x - reach, x + reach))
        top, bottom = np.searchsorted(_AXIS, (y - reach, y + reach))
        dx, dy = X[top:bottom, left:right] - x, Y[top:bottom, left:right] - y
        cos, sin = np.cos(angle), np.sin(angle)
        square = ((dx * cos + dy * sin) / (size * aspect)) ** 2 + ((dy * cos - dx * sin) / size * aspect) ** 2
        window = mask[top:bottom, left:right]
        np.maximum(window, np.exp(-(square**sharp)), out=window)
    return mask
