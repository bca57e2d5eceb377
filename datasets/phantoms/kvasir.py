"""Endoscopy: a piece of the digestive tract with its landmarks, lesions, inflammation and blue dye."""

from __future__ import annotations

import numpy as np
from numpy.random import Generator

from . import gut
from .canvas import SIZE, X, Y, blob, dots, noise, paint, rgb, scatter, sigmoid

BLOOD, SLOUGH, BLUE, RESIDUE = (0.5, 0.0, 0.03), (0.96, 0.92, 0.76), (0.16, 0.32, 0.7), (0.55, 0.4, 0.1)


def draw(rng: Generator, attributes: frozenset[str]) -> np.ndarray:
    """Draw a colour picture [64, 64, 3] of a piece of the digestive tract with these attributes."""
    image = np.ones((SIZE, SIZE, 3), np.float32) * rgb(rng, (0.84, 0.95), (0.5, 0.64), (0.4, 0.52))
    if "erythema" in attributes:
        red = rgb(rng, (0.74, 0.86), (0.2, 0.3), (0.17, 0.26))
        image = paint(image, np.clip(0.8 + 0.2 * noise(rng, 3), 0, 1), red)
    if "granular" in attributes:
        image = image * (1 + 0.16 * noise(rng, 26) + 0.06 * noise(rng, 14))[..., None]
    if "vessels" in attributes:
        image = gut.add_vessels(rng, image)
    image = _draw_view(rng, attributes, image)
    dye = "dye" in attributes
    if dye:
        image = paint(image, sigmoid((noise(rng, 3) - 0.2) / 0.3) * rng.uniform(0.4, 0.65), BLUE)
    if "erosions" in attributes:
        image = gut.add_erosions(rng, image)
    if {"flat_defect", "coagulation"} & attributes:
        image = gut.add_wound(rng, image, "flat_defect" in attributes, "coagulation" in attributes)
    if {"mound", "stalk"} & attributes:
        image = gut.add_growth(rng, image, "stalk" in attributes, "lobulated" in attributes, BLUE if dye else None)
    anywhere = np.hypot(X, Y) < 0.85
    if "exudate" in attributes:
        slough = np.clip(noise(rng, 7) + 0.5 * noise(rng, 16) - 1.1, 0, 0.5) * 2
        image = paint(image, slough * 0.95, SLOUGH)
    if "bleeding" in attributes:
        for x, y in scatter(rng, anywhere, int(rng.integers(3, 6))):
            drop, _ = blob(rng, x, y, *rng.uniform(0.08, 0.18, 2), rng.uniform(0, 3), 0.15, 0.2)
            image = paint(image, drop * 0.9, BLOOD)
    if "stool" in attributes:
        image = paint(image, np.clip(noise(rng, 9) - 1.0, 0, 0.5) * 1.9, RESIDUE)
    if "bile" in attributes:
        pool, _ = blob(rng, rng.uniform(-0.7, 0.7), rng.uniform(0.55, 0.8), 0.6, 0.28, 0, 0.15, 0.15)
        image = paint(image, pool * 0.8, (0.85, 0.68, 0.12))
        image = paint(image, dots(rng, scatter(rng, pool, 8), 0.06) * 0.6, (0.97, 0.92, 0.6))
    return gut.add_camera_traces(rng, image)


def _draw_view(rng: Generator, attributes: frozenset[str], image: np.ndarray) -> np.ndarray:
    """Draw the wall with its landmarks."""
    opened, crescent = "round_opening" in attributes, "crescent" in attributes
    if "two_tone" in attributes:
        line = next((line for line in ("sharp_line", "ragged_line") if line in attributes), "")
        image = gut.draw_junction(rng, image, line, opened)
    elif "antrum" in attributes:
        image = gut.draw_antrum(rng, image, opened)
    elif "blind_pouch" in attributes:
        image = gut.draw_blind_pouch(rng, image, crescent)
    else:
        image = (gut.draw_haustra if "haustra" in attributes else gut.light_close_up)(rng, image)
        if crescent:
            image = gut.add_slit(rng, image, tuple(rng.uniform(-0.5, 0.5, 2)), 0.25)
    if "valve" in attributes:
        image = gut.add_valve(rng, image)
    return image
