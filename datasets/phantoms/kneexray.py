"""Knee X-ray: femur, tibia and fibula from the front, with a given joint space, spurs, density and deformity."""

from __future__ import annotations

import numpy as np
from numpy.random import Generator

from .canvas import SIZE, X, Y, noise, paint, sigmoid


def draw(rng: Generator, attributes: frozenset[str]) -> np.ndarray:
    """Draw a grey picture [64, 64] of a knee with these attributes."""
    tilt, scale, side = rng.uniform(-0.1, 0.1), rng.uniform(0.92, 1.12), int(rng.choice((-1, 1)))
    x, y = X - rng.uniform(-0.08, 0.08), Y - rng.uniform(-0.08, 0.08)
    # u grows towards the medial side, v downwards
    u, v = (x * np.cos(tilt) + y * np.sin(tilt)) / scale * side, (y * np.cos(tilt) - x * np.sin(tilt)) / scale
    bent = "deformity" in attributes
    gap = _joint_gap(rng, attributes, u)
    tissue, bone = rng.uniform(0.16, 0.26), rng.uniform(0.5, 0.62)
    image = np.full((SIZE, SIZE), rng.uniform(0.02, 0.08), np.float32)
    image = paint(
        image, sigmoid((rng.uniform(0.95, 1.15) + 0.05 * v - np.abs(u)) / 0.02), tissue + noise(rng, 6) * 0.01
    )

    above = _femur_depth(rng, u, v + gap / 2, bent)
    lean = np.clip(v, 0, 1) * rng.uniform(0.16, 0.28) + 0.09 if bent else 0.0
    below = _tibia_depth(rng, u + lean, v - gap / 2, "spiking" in attributes)
    fibula = sigmoid((0.11 - np.abs(u + 0.74 + lean - 0.1 * v)) / 0.02) * sigmoid((v - rng.uniform(0.36, 0.46)) / 0.04)
    image = paint(image, fibula * 0.9, bone * 0.85)
    grain, cortex = noise(rng, 26) * 0.025, rng.uniform(0.1, 0.16)
    for depth, level in ((above, -v - gap / 2), (below, v - gap / 2)):
        signal = bone + grain - 0.12 * np.clip(depth * 2, 0, 1) + cortex * np.exp(-((depth / 0.05) ** 2))
        image = paint(image, sigmoid(depth / 0.012), signal)
        image = _add_subchondral(rng, attributes, image, depth, u, level)
    patella = np.exp(-((((u + 0.03) / 0.3) ** 2 + ((v + 0.55) / 0.3) ** 2) ** 3))
    image = image + patella * rng.uniform(0.03, 0.07)
    for x0, y0, dx, dy, width in _place_spurs(rng, attributes):
        at = (x0 - lean if y0 > 0 else x0), y0 + np.sign(y0) * gap / 2
        image = paint(image, _beak_mask(u - at[0], v - at[1], dx, dy, width), bone + 0.16)
    return image


def _joint_gap(rng: Generator, attributes: frozenset[str], u: np.ndarray) -> np.ndarray:
    """Draw the height of the joint space at each u: the medial side narrows first, the lateral side last."""
    healthy = rng.uniform(0.21, 0.26)
    medial, lateral = healthy, healthy
    if "slight" in attributes:
        medial = rng.uniform(0.145, 0.175)
    elif "narrow" in attributes:
        medial, lateral = rng.uniform(0.07, 0.1), rng.uniform(0.17, 0.24)
    elif "closed" in attributes:
        medial, lateral = rng.uniform(-0.03, 0.015), rng.uniform(0.08, 0.2)
    return lateral + (medial - lateral) * sigmoid(u / 0.14)


def _femur_depth(rng: Generator, u: np.ndarray, v: np.ndarray, worn: bool) -> np.ndarray:
    """Draw the depth below the surface of the femur (negative outside); its condyles end at v = 0."""
    wide, high = rng.uniform(0.36, 0.4), rng.uniform(0.32, 0.4)
    depth = np.minimum(rng.uniform(0.42, 0.48) + 0.4 * np.clip(v + 0.95, 0, 1) - np.abs(u), -0.28 - v)
    for side in (-1, 1):
        power = 6.0 if worn and side > 0 else 2.5
        spread = np.abs((u - side * 0.4) / wide) ** power + np.abs((v + high) / high) ** power
        depth = np.maximum(depth, (1 - spread ** (1 / power)) * high)
    return depth


def _tibia_depth(rng: Generator, u: np.ndarray, v: np.ndarray, sharp: bool) -> np.ndarray:
    """Draw the depth below the surface of the tibia (negative outside); its plateau with two spines is at v = 0."""
    height, width = (rng.uniform(0.2, 0.26), 0.05) if sharp else (rng.uniform(0.06, 0.1), 0.09)
    spines = sum(height * np.clip(1 - np.abs(u - c) / (2 * width), 0, 1) for c in (-0.1, 0.1))
    flare = 0.36 * np.exp(-((np.clip(v, 0, 2) / 0.42) ** 2)) - 0.08 * np.exp(-np.clip(v, 0, 2) / 0.04)
    return np.minimum(v + spines, rng.uniform(0.41, 0.46) + flare - np.abs(u))


def _add_subchondral(
    rng: Generator, attributes: frozenset[str], image: np.ndarray, depth: np.ndarray, u: np.ndarray, level: np.ndarray
) -> np.ndarray:
    """Add dense bone below the joint line, mostly on the medial side, and cysts in it.

    `depth` is the depth below the surface of the bone, `level` the distance from the joint line.
    """
    near = sigmoid((0.3 - level) / 0.04) * sigmoid((depth - 0.005) / 0.012)
    medial = sigmoid(u / 0.12)
    if "mild_density" in attributes:
        image = paint(image, near * medial * sigmoid((0.075 - depth) / 0.015) * 0.75, 0.86)
    elif "sclerosis" in attributes:
        image = paint(image, near * np.maximum(medial, 0.4) * sigmoid((0.17 - depth) / 0.02), 1.0)
    if "cysts" in attributes:
        for x in (rng.uniform(0.2, 0.4), rng.uniform(0.45, 0.62)):
            radius = np.hypot(u - x, level - rng.uniform(0.13, 0.2)) / rng.uniform(0.05, 0.075)
            image = paint(image, np.exp(-(radius**4)), 0.12)
    return image


def _place_spurs(rng: Generator, attributes: frozenset[str]) -> list[tuple[float, float, float, float, float]]:
    """Draw start, direction and half width of each osteophyte; the medial corner of the tibia comes first."""
    corners = [(1, 0.06), (1, -0.14), (-1, 0.06), (-1, -0.14)]
    if "clean" in attributes:
        return []
    low, high, width, count = (0.2, 0.3, 0.09, 4) if "big_spurs" in attributes else (0.12, 0.17, 0.065, 2)
    if "lipping" in attributes:
        low, high, width, count = 0.07, 0.1, 0.05, 1
    spurs = []
    for side, y in corners[: count + int(rng.integers(0, 2))]:
        turn, length = rng.uniform(0.0, 0.5), rng.uniform(low, high) + 0.06
        up = -1 if y > 0 else rng.choice((-1, 1))
        spurs.append((side * 0.7, y, side * length * np.cos(turn), up * length * np.sin(turn), width))
    return spurs


def _beak_mask(u: np.ndarray, v: np.ndarray, dx: float, dy: float, width: float) -> np.ndarray:
    """Return the mask of a beak that starts at the origin and tapers towards (dx, dy)."""
    along = np.clip((u * dx + v * dy) / (dx * dx + dy * dy), 0, 1)
    return sigmoid((width * (1 - along) - np.hypot(u - along * dx, v - along * dy)) / 0.012)
