"""A heart in the two usual views of cine MRI: chest, ventricles, atria and effusions."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.random import Generator

from .canvas import SIZE, X, Y, blob, noise, paint, sigmoid

Oval = tuple[float, float, float, float]  # u, v and half axes


@dataclass(frozen=True)
class Sizes:
    """Lengths of the parts of a heart, in the heart's units; the canvas is about 2 of them wide."""

    cavity: float  # radius of the left ventricle
    wall: float
    septum: float
    bulge: float  # how much thinner than the wall one segment is, relative to the wall
    left_atrium: float
    right_atrium: float
    right_ventricle: float


@dataclass
class Heart:
    """The picture of a heart and its coordinates: u points from right to left ventricle, v from apex to base."""

    image: np.ndarray
    x: float
    y: float
    turn: float
    scale: float
    blood: float
    muscle: float
    ill_direction: float = 0.0  # direction of the ill segment, as seen from the middle of the left ventricle
    left: Oval = (0.0, 0.0, 0.0, 0.0)  # left ventricular cavity
    cavity: np.ndarray | None = None  # masks of the cavity and of the muscle around it
    wall: np.ndarray | None = None

    def to_canvas(self, u: float, v: float) -> tuple[float, float]:
        """Return the canvas coordinates of a point (u, v)."""
        cos, sin = np.cos(self.turn) * self.scale, np.sin(self.turn) * self.scale
        return self.x + u * cos - v * sin, self.y + u * sin + v * cos

    def blob(self, rng, oval: Oval, grow=0.0, warp=0.0, soft=0.06) -> tuple[np.ndarray, np.ndarray]:
        """Draw a `canvas.blob` of an oval in the heart's coordinates, enlarged by the margin `grow`."""
        u, v, rx, ry = oval
        rx, ry = (rx + grow) * self.scale, (ry + grow) * self.scale
        return blob(rng, *self.to_canvas(u, v), rx, ry, self.turn, warp, soft)

    def sector(self, width: float) -> np.ndarray:
        """Return the mask of the directions within `width` (radians) of the ill segment."""
        x, y = self.to_canvas(*self.left[:2])
        off = np.cos(np.arctan2(Y - y, X - x) - self.turn - self.ill_direction)
        return sigmoid((off - np.cos(width)) / 0.08)


def draw_heart(rng: Generator, short_axis: bool, sizes: Sizes, fluid: bool) -> Heart:
    """Draw a heart of these sizes in short-axis or four-chamber view, with effusions if `fluid`."""
    blood, muscle, fat = rng.uniform(0.82, 0.95), rng.uniform(0.28, 0.36), rng.uniform(0.54, 0.66)
    turn = rng.uniform(-0.4, 0.4) if short_axis else rng.uniform(0.2, 0.9)
    x, y = rng.uniform(-0.1, 0.1, 2)
    heart = Heart(_draw_chest(rng, muscle, fat, blood, fluid), x, y, turn, rng.uniform(1.0, 1.2), blood, muscle)
    heart.ill_direction = rng.uniform(-1.4, 1.9) if short_axis else rng.uniform(-2.2, -0.2)
    right, atria = _place_chambers(rng, heart, short_axis, sizes)
    u, v, rx, ry = heart.left
    thick = (sizes.wall + sizes.septum) / 2
    outer = (u + (sizes.wall - sizes.septum) / 2, v, rx + thick, ry + sizes.wall)
    for margin, value in ((0.15, 0.98), (0.075, fat), (0.03, muscle)):
        if margin < 0.1 or fluid:
            below = sigmoid((Y - rng.uniform(-0.4, -0.1)) / 0.08) if margin > 0.1 else 1.0
            for oval in (outer, right, *atria):
                heart.image = paint(heart.image, heart.blob(rng, oval, margin)[0] * below, value)
    heart.image = paint(heart.image, heart.blob(rng, right, 0, 0.04)[0], blood)
    segment = heart.sector(0.65) * sizes.bulge * sizes.wall / min(rx, ry)
    around = sigmoid((1 + 0.4 * segment - heart.blob(rng, outer)[1]) / 0.06)
    heart.image = paint(heart.image, around, muscle + noise(rng, 14) * 0.015)
    heart.cavity = sigmoid((1 + segment - heart.blob(rng, heart.left, 0, 0.02)[1]) / 0.07)
    heart.wall = around * (1 - heart.cavity)
    heart.image = paint(heart.image, heart.cavity, blood + noise(rng, 8) * 0.02)
    if short_axis:
        for turn in (-0.9, 0.9):
            knob = (u + rx * 0.6 * np.cos(turn + 1.57), v + ry * 0.6 * np.sin(turn + 1.57), 0.032, 0.032)
            heart.image = paint(heart.image, heart.blob(rng, knob)[0], muscle)
    for atrium in atria:
        heart.image = paint(heart.image, heart.blob(rng, atrium, 0, 0.04)[0], blood + noise(rng, 8) * 0.02)
    return heart


def _place_chambers(rng: Generator, heart: Heart, short_axis: bool, sizes: Sizes) -> tuple[Oval, list[Oval]]:
    """Place the left ventricle in the heart; return the ovals of the right ventricle and of the atria."""
    inner, reach = sizes.cavity, sizes.right_ventricle
    if short_axis:
        heart.left = (0.16, -0.1, inner, inner * rng.uniform(0.95, 1.08))
        edge = 0.16 - inner - sizes.septum
        right = (edge + reach * 0.1, -0.06, reach * 1.15, reach * 1.25)
        size = sizes.left_atrium * 0.95
        atria = [(0.16, -0.1 + inner + sizes.wall + size * 0.72, size * 1.2, size * 0.75)]
        if sizes.right_atrium > 0.2:
            atria.append((edge - 0.06, 0.42, sizes.right_atrium, sizes.right_atrium * 0.75))
        return right, atria
    heart.left = (0.2, -0.14, inner * 0.8, inner * 0.8 + 0.17)
    edge = 0.2 - inner * 0.8 - sizes.septum
    right = (edge - reach * 0.62, -0.05, reach * 0.8, reach + 0.08)
    base_left, base_right = heart.left[1] + heart.left[3] + 0.035, right[1] + right[3] + 0.03
    atria = [
        (u, base + size * 0.85, size, size * 0.85)
        for u, base, size in ((0.2, base_left, sizes.left_atrium), (right[0], base_right, sizes.right_atrium))
    ]
    return right, atria


def _draw_chest(rng: Generator, muscle: float, fat: float, blood: float, fluid: bool) -> np.ndarray:
    """Draw chest wall, dark lungs (with fluid behind them if `fluid`), spine, aorta and the dome of the liver."""
    image = np.full((SIZE, SIZE), fat, np.float32) + noise(rng, 12) * 0.05
    image = paint(image, blob(rng, 0, 0.08, 1.12, 1.0, 0, 0.02, 0.03)[0], muscle)
    lungs, _ = blob(rng, 0, 0.1, 1.02, 0.9, 0, 0.02, 0.03)
    image = paint(image, lungs, rng.uniform(0.06, 0.12))
    image = paint(
        image, blob(rng, -0.75, 1.0, rng.uniform(0.5, 0.8), rng.uniform(0.3, 0.5), 0.2, 0.04)[0], muscle + 0.1
    )
    if fluid:
        image = paint(image, lungs * sigmoid((Y + 0.3 * X * X - rng.uniform(0.55, 0.72)) / 0.03), 0.96)
    image = paint(image, blob(rng, 0, 1.0, 0.24, 0.16, 0, 0.04)[0], muscle + 0.06)
    return paint(image, blob(rng, 0.34, 0.82, 0.09, 0.09, 0, 0.03)[0], blood)
