"""Cardiac cine MRI: a heart in short-axis or four-chamber view, with given walls, cavities and atria."""

from __future__ import annotations

import numpy as np
from numpy.random import Generator

from .canvas import noise, paint, sigmoid
from .heart import Sizes, draw_heart


def draw(rng: Generator, attributes: frozenset[str]) -> np.ndarray:
    """Draw a grey picture [64, 64] of a chest with a heart of these attributes."""
    heart = draw_heart(rng, "short_axis" in attributes, _draw_sizes(rng, attributes), "fluid" in attributes)
    u, v, rx, ry = heart.left
    if "trabeculae" in attributes:  # a spongy layer of muscle and blood inside the compact wall
        sponge = sigmoid((noise(rng, 24) + 0.15) / 0.2) * heart.cavity
        sponge = sponge * sigmoid((heart.blob(rng, heart.left)[1] - 0.5) / 0.08)
        heart.image = paint(heart.image, sponge * 0.95, heart.muscle)
    if "scar" in attributes:
        heart.image = paint(heart.image, heart.wall * heart.sector(0.55), 0.0)
    if "thrombus" in attributes:
        clot = (u + rx * 0.75 * np.cos(heart.ill_direction), v + ry * 0.75 * np.sin(heart.ill_direction), 0.1, 0.1)
        heart.image = paint(heart.image, heart.blob(rng, clot, 0, 0.15)[0] * heart.cavity, 0.12)
    if "ghosts" in attributes:  # copies along the direction of phase encoding
        step = int(rng.integers(7, 13))
        return heart.image * 0.62 + sum(np.roll(heart.image, k, 0) * 0.24 for k in (-step, step))
    return heart.image


def _draw_sizes(rng: Generator, attributes: frozenset[str]) -> Sizes:
    """Draw the sizes of the chambers and of the walls."""
    wide, small, both = (name in attributes for name in ("wide", "small", "big_both"))
    low, high = (0.31, 0.36) if wide else (0.1, 0.13) if small else (0.2, 0.24)
    wall = rng.uniform(0.09, 0.11)
    if "thin_wall" in attributes:
        wall = rng.uniform(0.04, 0.05)
    elif "thick" in attributes:
        wall = rng.uniform(0.18, 0.21)
    return Sizes(
        cavity=rng.uniform(low, high),
        wall=wall,
        septum=rng.uniform(0.24, 0.28) if "septal" in attributes else wall,
        bulge=rng.uniform(1.1, 1.4) if "thin_segment" in attributes else 0.0,
        left_atrium=rng.uniform(0.24, 0.29) if both or "big_left" in attributes else rng.uniform(0.12, 0.15),
        right_atrium=rng.uniform(0.24, 0.29) if both else rng.uniform(0.13, 0.16),
        right_ventricle=rng.uniform(0.3, 0.34) if "wide_right" in attributes else rng.uniform(0.19, 0.23),
    )
