"""Chest X-ray: body, two lungs with ribs, heart and spine, and opacities of a given kind and place."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.random import Generator

from .canvas import SIZE, X, Y, blob, noise, paint, sigmoid, stroke
from .lesion import paint_lesion

Lung = tuple[np.ndarray, int]  # mask and side (-1 or 1)


@dataclass
class Chest:
    """The picture of a chest, and the parts that findings are placed by; lengths in canvas units."""

    image: np.ndarray
    body: np.ndarray  # mask
    lungs: list[Lung]
    y: float  # middle of the lungs
    height: float  # half the height of the lungs


def draw(rng: Generator, attributes: frozenset[str]) -> np.ndarray:
    """Draw a grey picture [64, 64] of a chest with these attributes."""
    chest = _draw_chest(rng, "inflated" in attributes, "large_heart" in attributes)
    affected = chest.lungs if "unilateral" not in attributes else [chest.lungs[int(rng.integers(2))]]
    image = _add_opacities(rng, attributes, chest.image, affected, chest.y)
    first, side = affected[0]
    if "bronchogram" in attributes:
        for _ in range(3):
            line = stroke(side * 0.3, chest.y + rng.uniform(-0.15, 0.25), rng.uniform(0, 6.3), 0.3, 0.022)
            image = paint(image, line * first * 0.7, 0.15)
    if "airways" in attributes:
        image = _add_airways(rng, image, chest)
    if "effusion" in attributes:
        level = sigmoid((Y - chest.y - chest.height * 0.5 + 0.15 * np.abs(X)) / 0.04)
        fluid = level * (np.sign(X) == side) * chest.body * 0.9
        image = paint_lesion(image, fluid, 0.74, level * first)  # below the lung it cannot be told from the belly
    if rng.random() < 0.3:  # a tube or a cable
        tube = stroke(rng.uniform(-0.5, 0.5), -1.0, 1.5, rng.uniform(0.8, 1.3), 0.02, rng.uniform(-0.2, 0.2))
        image = paint(image, tube * 0.8, 0.95)
    return image


def _draw_chest(rng: Generator, inflated: bool, large_heart: bool) -> Chest:
    """Draw body, lungs, heart, spine, ribs and vessels."""
    body, _ = blob(rng, 0, 0.25, rng.uniform(0.9, 1.05), 1.3, soft=0.06)
    image = paint(np.full((SIZE, SIZE), 0.05, np.float32), body, rng.uniform(0.55, 0.72))
    height = rng.uniform(0.58, 0.66) + 0.1 * inflated
    cy = rng.uniform(-0.08, 0.05)
    lungs: list[Lung] = []
    for side in (-1, 1):
        x, rx = side * rng.uniform(0.38, 0.45), rng.uniform(0.28, 0.34)
        lung, _ = blob(rng, x, cy, rx, height * rng.uniform(0.93, 1.05), side * -0.12, 0.05, 0.07)
        dome = cy + height * 0.8 - (0.0 if inflated else 0.25) * (X - x) ** 2
        lungs.append((lung * sigmoid((dome - Y) / 0.03), side))
        image = paint(image, lungs[-1][0], rng.uniform(0.12, 0.2))
    heart_width = rng.uniform(0.42, 0.5) if large_heart else rng.uniform(0.22, 0.32)
    heart, _ = blob(rng, rng.uniform(0.04, 0.12), cy + 0.28, heart_width, rng.uniform(0.26, 0.34), 0.4, 0.05, 0.12)
    image = paint(image, heart * 0.85, 0.68)
    image = paint(image, np.exp(-((X / 0.09) ** 2)) * 0.6, 0.75)
    both = np.clip(lungs[0][0] + lungs[1][0], 0, 1)
    ribs = np.sin((Y + 0.35 * np.abs(X) ** 1.5) * rng.uniform(15, 19) + rng.uniform(0, 6))
    image = image + both * np.clip(ribs, 0, 1) * rng.uniform(0.05, 0.1)
    return Chest(_add_fans(rng, image, lungs, cy, 4, 0.3, 0.5), body, lungs, cy, height)


def _add_opacities(
    rng: Generator, attributes: frozenset[str], image: np.ndarray, affected: list[Lung], cy: float
) -> np.ndarray:
    """Add opacities of the kind that the attributes name to the affected lungs."""
    for lung in affected:
        if "ground_glass" in attributes:
            count, texture = int(rng.integers(2, 5)), noise(rng, 14) * 0.08
            image = _add_patches(rng, image, lung, attributes, cy, count, 0.66, 0.4, texture)
        elif "consolidation" in attributes:
            image = _add_patches(rng, image, lung, attributes, cy, 1, 0.95, 0.12, 0.0)
        elif "interstitial" in attributes:
            image = _add_fans(rng, image, [lung], cy, int(rng.integers(8, 12)), 0.75, 0.7)
            image = paint(image, lung[0] * np.clip(noise(rng, 22), 0, 1) * 0.3, 0.68)
    return image


def _add_airways(rng: Generator, image: np.ndarray, chest: Chest) -> np.ndarray:
    """Add thick rings of bronchial walls near the hila."""
    for lung, side in chest.lungs:
        for _ in range(3):
            x, y = side * rng.uniform(0.18, 0.32), chest.y + rng.uniform(-0.2, 0.25)
            _, radius = blob(rng, x, y, 0.07, 0.07)
            image = paint(image, np.exp(-(((radius - 0.9) / 0.35) ** 2)) * 0.7 * np.maximum(lung, 0.3), 0.85)
    return image


def _add_fans(
    rng: Generator, image: np.ndarray, lungs: list[Lung], cy: float, count: int, strength: float, value: float
) -> np.ndarray:
    """Add lines that fan out from the hila: few faint ones are vessels, many are interstitial markings."""
    for lung, side in lungs:
        for _ in range(count):
            angle = rng.uniform(-1.2, 1.2)
            x, y = side * rng.uniform(0.14, 0.26), cy + rng.uniform(-0.2, 0.25)
            length, bend = rng.uniform(0.3, 0.5), rng.uniform(-0.8, 0.8)
            line = stroke(x, y, angle if side > 0 else np.pi - angle, length, 0.025, bend)
            image = paint(image, line * lung * strength, value)
    return image


def _add_patches(
    rng: Generator,
    image: np.ndarray,
    lung: Lung,
    attributes: frozenset[str],
    cy: float,
    count: int,
    strength: float,
    soft: float,
    texture: np.ndarray | float,
) -> np.ndarray:
    """Add `count` opacities to one lung, in the zone and at the level that the attributes name."""
    mask, side = lung
    near, far = (0.5, 0.64) if "peripheral" in attributes else (0.2, 0.3) if "perihilar" in attributes else (0.28, 0.55)
    top, bottom = (0.1, 0.42) if "lower" in attributes else (-0.42, -0.15) if "upper" in attributes else (-0.35, 0.38)
    for _ in range(count):
        x, y = side * rng.uniform(near, far), cy + rng.uniform(top, bottom)
        rx, ry = rng.uniform(0.18, 0.28, 2) * (1.25 if "consolidation" in attributes else 1)
        patch = blob(rng, x, y, rx, ry, rng.uniform(0, 3), 0.25, soft)[0] * mask
        image = paint_lesion(image, patch * strength * rng.uniform(0.85, 1.05), 0.72 + texture, patch)
    return image
