"""Breast ultrasound: skin, fat, gland and muscle in layers, with or without a mass and its effect on the sound."""

from __future__ import annotations

import numpy as np
from numpy.random import Generator

from .breast import draw_breast
from .canvas import X, Y, blob, dots, noise, paint, scatter, sigmoid, stroke
from .lesion import paint_lesion

STRETCH = {"wide": (1.5, 1.9), "round": (0.95, 1.05), "tall": (0.52, 0.66)}  # width relative to height


def draw(rng: Generator, attributes: frozenset[str]) -> np.ndarray:
    """Draw a grey picture [64, 64] of a breast with these attributes."""
    x, y = rng.uniform(-0.35, 0.35), rng.uniform(-0.2, 0.15)
    radius = rng.uniform(0.32, 0.46)
    stretch = rng.uniform(*next((STRETCH[axis] for axis in STRETCH if axis in attributes), (0.7, 1.6)))
    rx, ry = radius * stretch**0.5, radius / stretch**0.5
    fatty, layered, ligaments, ducts = (name in attributes for name in ("fatty", "layers", "ligaments", "ducts"))
    image = draw_breast(rng, fatty, layered, ligaments, ducts, (x, y) if "distortion" in attributes else None)
    if "no_mass" not in attributes:
        image = _add_mass(rng, attributes, image, (x, y, rx, ry))
    if "shadowing" in attributes or "enhancement" in attributes:
        wide = rx * rng.uniform(0.7, 0.9) + 0.08 * (Y - y).clip(0)
        below = np.exp(-(((X - x) / wide) ** 4)) * sigmoid((Y - y - ry * 0.85) / 0.05)
        image = image * (1 - 0.8 * below) if "shadowing" in attributes else image + 0.5 * below * (1 - image)
    speckle = 1 + 0.12 * noise(rng, 30) + rng.uniform(0.08, 0.2) * rng.standard_normal(image.shape, np.float32)
    image = image * speckle.clip(0.2) * (1 - rng.uniform(0.1, 0.35) * (Y + 1) / 2)
    if rng.random() < 0.25:  # calipers, anywhere
        for u, v in rng.uniform(-0.9, 0.9, (2, 2)):
            image = paint(image, stroke(u - 0.05, v, 0, 0.1, 0.015), 0.95)
            image = paint(image, stroke(u, v - 0.05, 1.57, 0.1, 0.015), 0.95)
    return image


def _add_mass(
    rng: Generator, attributes: frozenset[str], image: np.ndarray, site: tuple[float, float, float, float]
) -> np.ndarray:
    """Add a mass with its margin, its rim and its echoes; `site` is x, y and half axes."""
    x, y, rx, ry = site
    spiked = "spiculated" in attributes
    warp, soft = (0.12, 0.14) if spiked else (0.02, 0.05)
    mask, depth = blob(rng, x, y, rx, ry, rng.uniform(-0.25, 0.25), warp, soft)
    if "lobulated" in attributes or spiked:
        count, sharpness, least = (rng.integers(7, 11), 4, 0.8) if spiked else (rng.integers(3, 6), 1, 0.75)
        turn = np.arctan2(Y - y, X - x) * count / 2 + rng.uniform(0, 3.1)
        depth = depth / (least + 0.45 * np.abs(np.cos(turn)) ** sharpness)
        mask = sigmoid((1 - depth) / soft)
    if "halo" in attributes:
        image = paint_lesion(image, np.exp(-(((depth - 1.2) / 0.26) ** 2)) * 0.9, 1.0)
    if "anechoic" in attributes:
        inside = np.zeros_like(image)
    elif "heterogeneous" in attributes:
        inside = 0.26 + 0.24 * noise(rng, 9)
    else:
        inside = np.full_like(image, rng.uniform(0.2, 0.27))
    strength = 0.6 if "faint_nodule" in attributes else 0.95
    image = paint_lesion(image, mask * strength, inside.clip(0, 0.7), mask)
    if "capsule" in attributes:
        image = paint_lesion(image, np.exp(-(((depth - 1.02) / 0.07) ** 2)) * 0.9, 0.95)
    if "calcifications" in attributes:
        spots = dots(rng, scatter(rng, depth < 0.75, int(rng.integers(5, 10))), 0.035, 0.2)
        image = paint_lesion(image, spots, 1.0)
    return image
