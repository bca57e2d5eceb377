"""The fundus of an eye: a round picture of retina, macula, optic disc and vessels."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.random import Generator

from .canvas import SIZE, X, Y, blob, dots, noise, paint, rgb, sigmoid, stroke

CUPS = {"small_cup": (0.22, 0.36), "large_cup": (0.72, 0.86), "": (0.4, 0.6)}  # relative to the disc
VEIN, ARTERY = (0.42, 0.05, 0.05), (0.64, 0.13, 0.08)
# Angle from the line disc-fovea, curvature, length and colour of the vessels, above and below.
VESSELS = ((1.25, 0.75, 1.7, VEIN), (1.0, 0.6, 1.5, ARTERY), (2.3, -0.4, 1.1, VEIN), (1.75, 0.1, 0.9, ARTERY))


@dataclass
class Fundus:
    """The picture of a fundus, and where its parts lie; lengths in canvas units."""

    image: np.ndarray
    field: np.ndarray  # mask of the round picture
    disc: tuple[float, float]
    radius: float  # of the disc
    fovea: tuple[float, float]
    side: int  # -1 or 1: the fovea lies to the left or to the right of the disc

    def direction(self, angle: float) -> float:
        """Return the direction in the picture (radians) of an angle from the line between disc and fovea."""
        return angle if self.side > 0 else np.pi - angle


def draw_fundus(rng: Generator, near: bool) -> Fundus:
    """Draw background and macula; `near` centres the picture on the disc."""
    side = int(rng.choice((-1, 1)))
    radius = rng.uniform(0.26, 0.34) if near else rng.uniform(0.19, 0.24)
    x, y = -side * (rng.uniform(-0.05, 0.2) if near else rng.uniform(0.45, 0.56)), rng.uniform(-0.1, 0.1)
    fovea = (x + side * radius * (rng.uniform(2.2, 2.5) if near else rng.uniform(2.4, 2.8)), y + rng.uniform(0, 0.12))
    edge = np.hypot(X, Y) + (np.abs(Y) > rng.uniform(0.82, 1.2)) * 9
    red = rgb(rng, (0.74, 0.92), (0.3, 0.42), (0.14, 0.24))
    shade = 1 - 0.25 * (X**2 + Y**2) + 0.05 * noise(rng, 3) + 0.03 * noise(rng, 20)
    image = np.ones((SIZE, SIZE, 3), np.float32) * red * shade[..., None]
    spot, _ = blob(rng, *fovea, 0.26, 0.22, 0, 0.05, 0.4)
    image = paint(image, spot * rng.uniform(0.3, 0.5), red * 0.5)
    return Fundus(image, sigmoid((rng.uniform(0.93, 1.02) - edge) / 0.012), (x, y), radius, fovea, side)


def add_reflex(rng: Generator, fundus: Fundus) -> None:
    """Add a glint in the fovea and a faint ring around the macula."""
    _, depth = blob(rng, *fundus.fovea, 0.22, 0.18)
    image = paint(fundus.image, np.exp(-(((depth - 0.8) / 0.2) ** 2)) * 0.22, (1.0, 0.75, 0.45))
    fundus.image = paint(image, dots(rng, np.array([fundus.fovea]), 0.075) * 0.95, (1.0, 0.94, 0.75))


def add_defect(rng: Generator, fundus: Fundus) -> None:
    """Add a dark band that fans out from the disc along an arcade."""
    up = rng.choice((-1, 1))
    way = fundus.direction(up * rng.uniform(0.6, 0.9))
    for bend in (0.35, 0.5, 0.65):
        band = stroke(*fundus.disc, way, 1.3, 0.09, -up * fundus.side * bend)
        fundus.image = fundus.image * (1 - 0.25 * band)[..., None]


def add_disc(rng: Generator, fundus: Fundus, cup: str, pale: bool, atrophy: bool) -> None:
    """Add the optic disc with a crescent of atrophy, its rim and its cup (a key of CUPS)."""
    (x, y), r, side = fundus.disc, fundus.radius, fundus.side
    image = fundus.image
    if atrophy:
        zone, _ = blob(rng, x + side * r * 0.5, y, r * 1.3, r * 1.45, 0, 0.08, 0.1)
        image = paint(image, zone * 0.85, rgb(rng, (0.9, 0.98), (0.68, 0.78), (0.44, 0.54)))
    disc, _ = blob(rng, x, y, r * rng.uniform(0.88, 0.98), r, 0, 0.02, 0.06)
    pink, white = ((0.92, 0.98), (0.54, 0.62), (0.28, 0.36)), ((0.95, 1.0), (0.84, 0.9), (0.66, 0.74))
    image = paint(image, disc * 0.95, rgb(rng, *(white if pale else pink)))
    size = r * rng.uniform(*CUPS[cup])
    hollow, depth = blob(rng, x + side * r * 0.05, y + r * rng.uniform(-0.06, 0.06), size * 0.92, size, 0, 0.03, 0.08)
    image = paint(image, hollow * 0.9, (1.0, 0.97, 0.86))
    fundus.image = image * (1 - 0.35 * disc * np.exp(-(((depth - 1) * size / 0.035) ** 2)))[..., None]


def add_vessels(rng: Generator, fundus: Fundus, sharp: bool) -> None:
    """Add arcades that curve around the fovea and shorter vessels on the other side; many twigs if `sharp`."""
    (x, y), side = fundus.disc, fundus.side
    trees = {VEIN: np.zeros_like(X), ARTERY: np.zeros_like(X)}
    for up in (-1, 1):
        for angle, bend, length, colour in VESSELS:
            way = fundus.direction(up * (angle + rng.uniform(-0.15, 0.15)))
            bend = -up * side * bend * rng.uniform(0.7, 1.3)
            trunk = stroke(x, y, way, length, 0.04 if colour is VEIN else 0.029, bend)
            along, turn = rng.uniform(0.3, 0.45), rng.choice((-1, 1)) * rng.uniform(0.4, 0.7)
            sin, cos, aside = np.sin(way), np.cos(way), bend * along**2
            fork = (x + along * cos - aside * sin, y + along * sin + aside * cos)
            twig = stroke(*fork, way + turn, 0.6, 0.022, rng.uniform(-0.4, 0.4))
            trees[colour] = np.maximum(trees[colour], np.maximum(trunk, 0.85 * twig))
    for _ in range(8 if sharp else 0):
        twig = stroke(*rng.uniform(-0.7, 0.7, 2), rng.uniform(0, 6.3), 0.4, 0.02, rng.uniform(-1, 1))
        trees[ARTERY] = np.maximum(trees[ARTERY], 0.65 * twig)
    strength = rng.uniform(0.85, 0.95) if sharp else rng.uniform(0.5, 0.7)
    for colour, tree in trees.items():
        fundus.image = paint(fundus.image, tree * strength, colour)
