"""Retinal OCT: a B-scan through the layers of the retina, with fluid, deposits or tissue in, below or above them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.random import Generator

from .canvas import SIZE, X, Y, blob, dots, noise, paint, scatter, sigmoid
from .lesion import note_lesion, paint_lesion

# Reflectivity at depths from the retinal surface (0) to the pigment epithelium (1).
DEPTHS = (0.0, 0.04, 0.13, 0.19, 0.36, 0.42, 0.5, 0.54, 0.6, 0.64, 0.78, 0.82, 0.87, 0.91)
BANDS = (0.5, 0.95, 0.9, 0.6, 0.64, 0.32, 0.34, 0.7, 0.68, 0.28, 0.26, 0.9, 0.9, 0.26)


@dataclass
class Scan:
    """Heights of the boundaries, one per column [64], and the x coordinate of the lesion."""

    surface: np.ndarray
    rpe: np.ndarray
    bruch: np.ndarray
    middle: float


def draw(rng: Generator, attributes: frozenset[str]) -> np.ndarray:
    """Draw a grey picture [64, 64] of a B-scan with these attributes."""
    scan = _draw_boundaries(rng, attributes)
    depth = (Y - scan.surface) / np.maximum(scan.rpe - scan.surface, 0.05)
    clear = 1.0 if "lamination" in attributes else rng.uniform(0.35, 0.6)
    bands = np.interp(depth + 0.012 * noise(rng, 10), DEPTHS, BANDS)
    retina = sigmoid((Y - scan.surface) / 0.015)
    image = np.full((SIZE, SIZE), rng.uniform(0.02, 0.1), np.float32)
    image = paint(image, retina, 0.52 + (bands - 0.52) * clear)
    if "broken_bands" in attributes:
        gone = np.exp(-(((X - scan.middle) / rng.uniform(0.5, 0.8)) ** 4)) * np.exp(-(((depth - 0.85) / 0.09) ** 4))
        image = paint(image, gone * np.clip(1.2 + 0.4 * noise(rng, 8), 0, 1), 0.25)
    image = _add_choroid(rng, attributes, image, scan)
    if "subretinal_fluid" in attributes:
        image = _add_fluid(rng, image, scan)
    if "material" in attributes:
        width, height = rng.uniform(0.3, 0.5), rng.uniform(0.16, 0.24)
        hump = (
            height * np.exp(-(((X - scan.middle - rng.uniform(-0.1, 0.1)) / width) ** 2)) * (1 + 0.15 * noise(rng, 6))
        )
        mound = sigmoid((Y - scan.rpe + hump) / 0.025) * sigmoid((scan.rpe - Y) / 0.02) * (hump > 0.04)
        image = paint_lesion(image, mound * 0.95, 0.82 + 0.07 * noise(rng, 12), mound)
    if "cysts" in attributes:
        image = _add_cysts(rng, image, scan, depth)
    line = np.exp(-(((Y - scan.rpe) / 0.035) ** 2))
    image = paint(image, line * 0.95, 0.95 + 0.05 * noise(rng, 8))
    if "foci" in attributes:
        inner = (depth > 0.25) & (depth < 0.8) & (np.abs(X - scan.middle) < 0.65)
        image = paint_lesion(image, dots(rng, scatter(rng, inner, int(rng.integers(6, 13))), 0.05, 0.3), 1.0)
    image = image * (1 + rng.uniform(0.06, 0.16) * rng.standard_normal(image.shape, np.float32))
    if rng.random() < 0.2:  # the frame of a scan that was turned upright
        edge = Y * rng.choice((-1, 1)) + rng.uniform(-0.15, 0.15) * X
        image = paint(image, sigmoid((edge - rng.uniform(0.85, 0.95)) / 0.01), 1.0)
    return image


def _draw_boundaries(rng: Generator, attributes: frozenset[str]) -> Scan:
    """Draw the heights of the surface, of the pigment epithelium and of Bruch membrane."""
    x, middle = X[0], rng.uniform(-0.25, 0.25)
    bruch = rng.uniform(0.2, 0.45) + rng.uniform(-0.2, 0.2) * x + rng.uniform(-0.12, 0.12) * x**2
    lift = np.zeros_like(x)
    if "bumps" in attributes:
        count = int(rng.integers(3, 7))
        for at in np.linspace(-0.8, 0.8, count) + rng.uniform(-0.12, 0.12, count):
            lift = np.maximum(lift, rng.uniform(0.1, 0.18) * np.exp(-(((x - at) / rng.uniform(0.08, 0.15)) ** 2)))
    elif "irregular_rpe" in attributes:
        broad = np.exp(-((np.abs(x - middle) / rng.uniform(0.42, 0.62)) ** 4))
        ragged = 1 + 0.35 * noise(rng, 9)[0] + 0.2 * noise(rng, 18)[0]
        lift = rng.uniform(0.16, 0.28) * broad * ragged.clip(0.2, 2)
    thick = rng.uniform(0.5, 0.66)
    if "bulge" in attributes:
        height = thick + rng.uniform(0.18, 0.34) * np.exp(-(((x - middle) / rng.uniform(0.45, 0.65)) ** 2))
    elif "pit" in attributes:
        dip = np.exp(-(((x - middle) / rng.uniform(0.16, 0.26)) ** 2))
        rim = np.exp(-(((x - middle) / 0.55) ** 2)) * 0.06
        height = thick + rim - dip * rng.uniform(0.45, 0.62) * thick
    else:
        height = thick + rng.uniform(-0.08, 0.08) * x
    surface = bruch - height - (0.6 if "irregular_rpe" in attributes else 0.1) * lift
    return Scan(surface + 0.008 * noise(rng, 6)[0], bruch - lift, bruch, middle)


def _add_choroid(rng: Generator, attributes: frozenset[str], image: np.ndarray, scan: Scan) -> np.ndarray:
    """Add the contents of a detachment, Bruch membrane, the choroid with vessels, and the sclera."""
    below = sigmoid((Y - scan.rpe) / 0.01)
    image = paint(image, below, 0.42 + 0.05 * noise(rng, 10))
    deep = Y - scan.bruch
    note_lesion(below * sigmoid(-deep / 0.01))  # drusen and detachments lie between the two
    vessels = np.clip(noise(rng, 9) - 0.3, 0, 1) * 0.22
    glow = rng.uniform(0.42, 0.6) * np.exp(-deep.clip(0) / rng.uniform(0.3, 0.6)) - vessels * (deep < 0.5)
    if "shadow" in attributes:
        glow = glow * (1 - 0.85 * np.exp(-(((X - scan.middle) / rng.uniform(0.3, 0.45)) ** 4)))
    image = paint(image, sigmoid(deep / 0.015), glow.clip(0.03))
    return paint(image, np.exp(-((deep / 0.02) ** 2)) * 0.6, 0.7)


def _add_fluid(rng: Generator, image: np.ndarray, scan: Scan) -> np.ndarray:
    """Add a dark lens, or a wedge beside the lesion, on the pigment epithelium."""
    at = scan.middle + rng.choice((-1, 1)) * rng.uniform(0.1, 0.4)
    height = rng.uniform(0.18, 0.28) * np.clip(1 - ((X - at) / rng.uniform(0.4, 0.65)) ** 2, 0, 1)
    lens = sigmoid((Y - scan.rpe + height) / 0.015) * sigmoid((scan.rpe - Y) / 0.01) * (height > 0.02)
    image = paint_lesion(image, lens * 0.95, 0.04, lens)
    return paint(image, np.exp(-(((Y - scan.rpe + height) / 0.02) ** 2)) * (height > 0.03) * 0.6, 0.7)


def _add_cysts(rng: Generator, image: np.ndarray, scan: Scan, depth: np.ndarray) -> np.ndarray:
    """Add dark ovals with bright walls side by side."""
    inside = sigmoid((depth - 0.1) / 0.03) * sigmoid((0.88 - depth) / 0.03)
    count = int(rng.integers(3, 7))
    for i in range(count):
        x = scan.middle + (i - (count - 1) / 2) * rng.uniform(0.19, 0.25)
        column = int(np.clip((x + 1) * SIZE / 2, 0, SIZE - 1))
        thick = scan.rpe[column] - scan.surface[column]
        y = scan.surface[column] + thick * rng.uniform(0.4, 0.62)
        hole, _ = blob(
            rng, x, y, rng.uniform(0.08, 0.13), thick * rng.uniform(0.18, 0.32), rng.uniform(-0.2, 0.2), 0.08, 0.12
        )
        cyst = hole * inside
        image = paint_lesion(image, cyst * 0.95, 0.06, cyst)
    return image
