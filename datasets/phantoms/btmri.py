"""Brain MRI: a head in one of three planes, with or without a mass."""

from __future__ import annotations

import numpy as np
from numpy.random import Generator

from .canvas import X, Y, blob, dots, noise, paint, scatter
from .head import PROPORTIONS, Head, draw_head
from .lesion import paint_lesion


def draw(rng: Generator, attributes: frozenset[str]) -> np.ndarray:
    """Draw a grey picture [64, 64] of a head with these attributes."""
    plane = next(plane for plane in PROPORTIONS if plane in attributes)
    side = int(rng.choice((-1, 1)))
    push = -side * rng.uniform(0.1, 0.18) if "shift" in attributes else rng.uniform(-0.02, 0.02)
    head = draw_head(rng, plane, "stripped" in attributes, "folds" in attributes, "atrophy" in attributes, push)
    if "spots" in attributes:
        spots = dots(rng, scatter(rng, head.white, int(rng.integers(4, 9))), 0.04)
        head.image = paint(head.image, spots * 0.8, rng.uniform(0.75, 0.95))
    if "no_mass" not in attributes:
        head.image = _add_mass(rng, attributes, head, _place_mass(rng, attributes, head, side))
    return head.image


def _place_mass(rng: Generator, attributes: frozenset[str], head: Head, side: int) -> tuple[float, float, float]:
    """Draw the place of the mass: x, y and radius."""
    (cx, cy), (rx, ry) = head.centre, head.axes
    low, high = (0.16, 0.22) if "small" in attributes else (0.34, 0.44) if "large" in attributes else (0.22, 0.32)
    radius, above = rng.uniform(low, high), 0.35 if head.plane == "axial" else 0.05
    if "sellar" in attributes:  # in the midline at the base; before the brainstem in a side view
        ahead = 0.25 * head.facing * rx if head.plane == "sagittal" else 0.0
        return cx + ahead + rng.uniform(-0.06, 0.06), cy + rng.uniform(0.38, 0.6) * ry, radius * 0.85
    if "dural" in attributes:
        around, reach = rng.uniform(-1.2, above * 3.4), 1.03 - radius * 0.5
        return cx + side * np.cos(around) * rx * reach, cy + np.sin(around) * ry * reach, radius
    return cx + side * rng.uniform(0.23, 0.5) * rx, cy + rng.uniform(-0.55, above) * ry, radius


def _add_mass(
    rng: Generator,
    attributes: frozenset[str],
    head: Head,
    site: tuple[float, float, float],
) -> np.ndarray:
    """Return the picture with the oedema, the mass and the dural tail."""
    x, y, radius = site
    image, brain = head.image, head.brain
    if "oedema" in attributes:
        halo = radius * rng.uniform(1.5, 2.0)
        zone, _ = blob(rng, x, y, halo, halo, rng.uniform(0, 3), 0.25, 0.3)
        image = paint(image, zone * brain * 0.85, head.base + (0.22 if head.bright_fluid else -0.2))
    warp, soft = (0.28, 0.12) if "irregular" in attributes else (0.03, 0.05)
    rx, ry = radius * rng.uniform(0.85, 1.15, 2)
    mass, inner = blob(rng, x, y, rx, ry, rng.uniform(0, 3), warp, soft)
    bright = rng.uniform(0.88, 1.0)
    if "ring" in attributes:
        signal = np.where(inner < rng.uniform(0.42, 0.6), rng.uniform(0.08, 0.2), bright)
    elif "patchy" in attributes:
        signal = bright - 0.2 + noise(rng, 16) * 0.2
    else:
        signal = bright + noise(rng, 8) * 0.02
    image = paint_lesion(image, mass * np.maximum(brain, 0.15), signal)
    if "tail" in attributes:
        near = np.exp(-((((X - x) ** 2 + (Y - y) ** 2) / (radius * 2.1) ** 2) ** 2))
        image = paint_lesion(image, np.exp(-(((head.depth - 0.95) / 0.06) ** 2)) * near, bright)
    return image
