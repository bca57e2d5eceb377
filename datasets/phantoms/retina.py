"""Fundus photography: disc, vessels and macula in a round field, with lesions, a wide cup, or a clouded lens."""

from __future__ import annotations

import numpy as np
from numpy.random import Generator

from .canvas import X, Y, blob, dots, noise, rgb, scatter, stroke
from .fundus import Fundus, add_defect, add_disc, add_reflex, add_vessels, draw_fundus
from .lesion import cover_lesion, paint_lesion


def draw(rng: Generator, attributes: frozenset[str]) -> np.ndarray:
    """Draw a colour picture [64, 64, 3] of a fundus with these attributes."""
    fundus = draw_fundus(rng, "disc_view" in attributes)
    if "reflex" in attributes:
        add_reflex(rng, fundus)
    if "nerve_defect" in attributes:
        add_defect(rng, fundus)
    cup = next((cup for cup in ("small_cup", "large_cup") if cup in attributes), "")
    add_disc(rng, fundus, cup, "pale_disc" in attributes, "atrophy" in attributes)
    add_vessels(rng, fundus, "clear" in attributes)
    _add_lesions(rng, attributes, fundus)
    return _add_media(rng, attributes, fundus.image) * fundus.field[..., None]


def _add_lesions(rng: Generator, attributes: frozenset[str], fundus: Fundus) -> None:
    """Add leakage from the vessels, bleeding, and new vessels."""
    image = fundus.image
    retina = (fundus.field > 0.5) & (np.hypot(X - fundus.disc[0], Y - fundus.disc[1]) > fundus.radius * 1.2)
    if "cotton_wool" in attributes:
        for x, y in scatter(rng, retina, int(rng.integers(2, 5))):
            patch, _ = blob(rng, x, y, *rng.uniform(0.08, 0.15, 2), rng.uniform(0, 3), 0.2, 0.5)
            image = paint_lesion(image, patch * 0.9, (0.97, 0.9, 0.78), patch)
    if "blots" in attributes:
        for x, y in scatter(rng, retina, int(rng.integers(4, 9))):
            patch, _ = blob(rng, x, y, *rng.uniform(0.06, 0.15, 2), rng.uniform(0, 3), 0.2, 0.15)
            image = paint_lesion(image, patch * 0.92, (0.36, 0.03, 0.03), patch)
    if "exudates" in attributes:
        centres = scatter(rng, retina & (np.hypot(X, Y) < 0.6), 2)
        where = np.repeat(centres, 9, 0) + rng.normal(0, rng.uniform(0.1, 0.2), (18, 2))
        image = paint_lesion(image, dots(rng, where, 0.045, 0.4, 0.4), (1.0, 0.92, 0.3))
    if "dots" in attributes:
        where = scatter(rng, retina, int(rng.integers(14, 28)))
        spots = dots(rng, where, 0.047, 0.2)
        image = paint_lesion(image, spots * 0.95, (0.4, 0.0, 0.02), spots)
    if "new_vessels" in attributes:
        x, y = fundus.disc if rng.random() < 0.5 else rng.uniform(-0.5, 0.5, 2)
        tangle = np.zeros_like(X)
        for _ in range(12):
            bend = rng.choice((-1, 1)) * rng.uniform(2, 5)
            tangle = np.maximum(tangle, stroke(x, y, rng.uniform(0, 6.3), rng.uniform(0.24, 0.4), 0.026, bend))
        outline, _ = blob(rng, x, y, 0.3, 0.3)  # around the tangle as a whole
        image = paint_lesion(image, tangle * 0.9, (0.72, 0.02, 0.06), outline)
    fundus.image = image
    cover_lesion(1 - fundus.field)


def _add_media(rng: Generator, attributes: frozenset[str], image: np.ndarray) -> np.ndarray:
    """Add the effects of the lens: blur and veil, tint, shadows."""
    veil = rgb(rng, (0.68, 0.8), (0.5, 0.6), (0.34, 0.46))
    if {"haze", "dense_haze"} & attributes:
        passes, strength = (6, rng.uniform(0.56, 0.72)) if "dense_haze" in attributes else (2, rng.uniform(0.3, 0.45))
        for _ in range(passes):
            image = sum(np.roll(image, shift, axis) for shift in (-1, 1) for axis in (0, 1)) / 4
        image = image * (1 - strength) + veil * strength * (1 + 0.05 * noise(rng, 3))[..., None]
    if "amber" in attributes:
        image = image * (rng.uniform(0.8, 0.88), rng.uniform(0.78, 0.88), rng.uniform(0.15, 0.3))
    if "lens_shadows" in attributes:
        start, count = rng.uniform(0, 6.3), int(rng.integers(3, 6))
        for i in range(count):
            angle = start + i * 6.28 / count + rng.uniform(-0.4, 0.4)
            x, y = 0.9 * np.cos(angle), 0.9 * np.sin(angle)
            wedge, _ = blob(rng, x, y, rng.uniform(0.35, 0.6), 0.13, angle, 0.12, 0.25)
            image = image * (1 - 0.6 * wedge)[..., None]
    return image
