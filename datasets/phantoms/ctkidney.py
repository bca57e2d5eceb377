"""Kidney CT: both kidneys in an axial or coronal cut; one may have a cyst, a mass, a calculus or a dilated pelvis."""

from __future__ import annotations

import numpy as np
from numpy.random import Generator

from .abdomen import Abdomen, add_bowel, add_spleen, ct_tissues, draw_axial, draw_coronal, liver_mask
from .canvas import noise, sigmoid

Place = tuple[float, float, float, float, float]  # x, y, half axes and angle of a kidney


def draw(rng: Generator, attributes: frozenset[str]) -> np.ndarray:
    """Draw a grey picture [64, 64] of an abdomen with these attributes of the kidneys."""
    flat = "axial" in attributes
    tissues = ct_tissues(rng, "enhanced" in attributes)
    centre, zoom = (rng.uniform(-0.06, 0.06), rng.uniform(0.08, 0.16) if flat else rng.uniform(-0.06, 0.06)), 1.4
    body = (draw_axial if flat else draw_coronal)(
        rng, tissues, centre, zoom * rng.uniform(0.94, 1.08), rng.uniform(0.04, 0.14)
    )
    _add_neighbours(rng, body, flat)
    places = {side: _place_kidney(rng, body, flat, side) for side in (-1, 1)}
    ill = int(rng.choice((-1, 1)))
    for side, place in places.items():
        _add_kidney(rng, body, attributes, place, side, side == ill)
    if "no_mass" not in attributes:
        for i in range(int(rng.integers(3, 6)) if "several" in attributes else 1):
            side = ill if i % 3 < 2 else -ill
            _add_lesion(rng, body, attributes, places[side], side, 0.75 if "several" in attributes else 1.0)
    return body.image


def _place_kidney(rng: Generator, body: Abdomen, flat: bool, side: int) -> Place:
    """Draw the place of a kidney beside the spine, with its upper pole nearer to it."""
    if flat:
        x, y, rx, ry = rng.uniform(0.45, 0.52), body.half * 0.26, rng.uniform(0.2, 0.24), rng.uniform(0.23, 0.28)
        return side * x, y + rng.uniform(-0.05, 0.05), rx, ry, side * rng.uniform(-0.5, -0.1)
    x, y, rx, ry = rng.uniform(0.44, 0.5), -0.06 * side, rng.uniform(0.19, 0.22), rng.uniform(0.34, 0.4)
    return side * x, y + rng.uniform(-0.05, 0.08), rx, ry, side * rng.uniform(-0.3, -0.1)


def _add_neighbours(rng: Generator, body: Abdomen, flat: bool) -> None:
    """Add liver, spleen and bowel around the kidneys."""
    tissues = body.tissues
    if flat:
        body.paint(liver_mask(rng, body, rng.uniform(0.7, 0.95), False), tissues.organ + noise(rng, 14) * 0.012)
        x, y = rng.uniform(-0.15, 0.65, 5), -body.half * rng.uniform(0.1, 0.75, 5)
    else:
        dome, _ = body.blob(rng, -0.5, -0.72, 0.5, rng.uniform(0.36, 0.5), 0.3, 0.05)
        body.paint(dome, tissues.organ + noise(rng, 14) * 0.012)
        body.paint(body.blob(rng, 0.66, -0.68, 0.2, rng.uniform(0.26, 0.4), 0.3, 0.05)[0], tissues.spleen)
        x, y = rng.uniform(0.3, 0.8, 5) * rng.choice((-1, 1), 5), rng.uniform(0.5, 0.9, 5)
    add_bowel(rng, body, np.stack([x, y], 1))
    if flat and rng.random() < 0.5:
        add_spleen(rng, body, rng.uniform(0.5, 0.8))


def _add_kidney(rng: Generator, body: Abdomen, attributes: frozenset[str], place: Place, side: int, ill: bool) -> None:
    """Add one kidney with its sinus; a dilated pelvis, calculi and stranding on the ill side only."""
    (x, y, rx, ry, angle), tissues = place, body.tissues
    mask, depth = body.blob(rng, x, y, rx, ry, angle, 0.03, 0.08)
    if "stranding" in attributes and ill:
        body.paint(sigmoid((1.5 - depth) / 0.12) * 0.4, tissues.muscle)
        for turn in rng.uniform(0, 6.28, 16):
            u, v = np.cos(turn) * rx * 1.05, np.sin(turn) * ry * 1.05
            line = body.stroke(x + u, y + v, turn + rng.uniform(-0.7, 0.7), rng.uniform(0.1, 0.22), 0.018)
            body.paint(line * 0.9, tissues.muscle + 0.12)
    cortex = (tissues.kidney - 0.47) * 0.25 * sigmoid((depth - 0.72) / 0.06)
    body.paint(mask, tissues.kidney + cortex + noise(rng, 16) * 0.012)
    hx, hy = x - side * rx * 0.45, y
    if "sinus" in attributes:
        fat, _ = body.blob(rng, hx, hy, rx * 0.5, ry * 0.42, angle, 0.15, 0.15)
        body.paint(fat, tissues.fat)
        body.paint(body.blob(rng, hx - side * rx * 0.3, hy, rx * 0.5, 0.025, side * -0.2)[0] * 0.8, tissues.vessel)
    if "dilated" in attributes and ill:
        for u, v, size in ((-0.5, 0, 0.55), (0.15, -0.45, 0.32), (0.25, 0.05, 0.34), (0.1, 0.5, 0.32)):
            bag, _ = body.blob(rng, x + side * u * rx, y + v * ry, rx * size, ry * size * 0.75, angle, 0.08, 0.15)
            body.paint(bag, tissues.fluid - 0.02)
    if "stone" in attributes and ill:
        spots = np.stack([rng.uniform(-0.6, 0.3, 3) * side * rx + x, rng.uniform(-0.5, 0.5, 3) * ry + y], 1)
        body.paint_lesion(body.dots(rng, spots[: int(rng.integers(1, 4))], rng.uniform(0.055, 0.075)), 1.0)
    elif "staghorn" in attributes and ill:
        for turn in (np.pi, rng.uniform(-1.2, -0.7), rng.uniform(-0.2, 0.2), rng.uniform(0.7, 1.2)):
            turn = turn if side > 0 else np.pi - turn
            body.paint_lesion(body.stroke(x - side * rx * 0.2, y, turn, ry * rng.uniform(0.4, 0.6), 0.04), 1.0)


def _add_lesion(
    rng: Generator, body: Abdomen, attributes: frozenset[str], place: Place, side: int, scale: float
) -> None:
    """Add a cyst or a mass that grows out of one kidney."""
    (x, y, rx, ry, _), tissues = place, body.tissues
    low, high = (0.11, 0.14) if "small" in attributes else (0.28, 0.36) if "large" in attributes else (0.18, 0.22)
    radius, turn = rng.uniform(low, high) * scale, rng.uniform(-1.3, 1.3)
    x, y = x + side * np.cos(turn) * rx * 0.85, y + np.sin(turn) * ry * 0.85
    warp, soft = (0.38, 0.14) if "irregular" in attributes else (0.02, 0.06)
    mask, inner = body.blob(rng, x, y, radius, radius * rng.uniform(0.9, 1.1), rng.uniform(0, 3), warp, soft)
    if "water" in attributes:
        value = tissues.fluid - 0.03
    else:
        value = tissues.kidney + 0.16 + noise(rng, 13) * 0.07
        if "necrotic" in attributes:
            core = sigmoid((rng.uniform(0.52, 0.66) + noise(rng, 9) * 0.1 - inner) / 0.06)
            value = value + 0.08 - core * (value - tissues.fluid + 0.16)
    body.paint_lesion(mask, value)
