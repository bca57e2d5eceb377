"""An abdomen in CT or MRI: wall, fat, spine, great vessels, liver, spleen, stomach and bowel.

Organs are placed in body coordinates: the trunk spans -1..1 from side to side, y points down and to the back, the
patient's right is on the left of the picture. `x`, `y` and `zoom` of an `Abdomen` say which part the canvas shows.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.random import Generator

from .canvas import SIZE, X, Y, blob, dots, noise, paint, sigmoid, stroke
from .lesion import paint_lesion


@dataclass(frozen=True)
class Tissues:
    """Grey values of the tissues of an abdomen."""

    fat: float
    muscle: float
    bone: float
    rib: float
    vessel: float
    fluid: float  # bile, urine, cysts and ascites
    organ: float  # liver; the other organs are a little brighter or darker
    spleen: float
    kidney: float
    gas: float = 0.03


@dataclass
class Abdomen:
    """The picture of a trunk, and the coordinates in which organs and lesions are placed."""

    image: np.ndarray
    tissues: Tissues
    x: float  # body coordinates of the middle of the canvas
    y: float
    zoom: float
    cavity: np.ndarray | None = None  # mask of what the abdominal wall encloses
    half: float = 0.72  # half the distance from front to back, in body units

    def blob(self, rng, x, y, rx, ry, angle=0.0, warp=0.0, soft=0.08) -> tuple[np.ndarray, np.ndarray]:
        """Draw a `canvas.blob` given in body coordinates."""
        z = self.zoom
        return blob(rng, (x - self.x) * z, (y - self.y) * z, rx * z, ry * z, angle, warp, soft)

    def stroke(self, x, y, angle, length, width, bend=0.0) -> np.ndarray:
        """Return a `canvas.stroke` given in body coordinates."""
        z = self.zoom
        return stroke((x - self.x) * z, (y - self.y) * z, angle, length * z, width * z, bend / z)

    def dots(self, rng, where, radius, vary=0.3, oval=0.25) -> np.ndarray:
        """Draw `canvas.dots` given in body coordinates."""
        return dots(rng, (where - np.array((self.x, self.y))) * self.zoom, radius * self.zoom, vary, oval)

    def tube(self, points: np.ndarray, radii: np.ndarray) -> np.ndarray:
        """Return the distance from a chain of points, in units of its local radius: below 1 inside the tube.

        Args:
            points: [n, 2], in body coordinates.
            radii: radius at each point, [n].

        Returns:
            The distances [64, 64].
        """
        x, y = X / self.zoom + self.x, Y / self.zoom + self.y
        nearest = np.full((SIZE, SIZE), np.inf)
        for (ax, ay), (bx, by), start, end in zip(points[:-1], points[1:], radii[:-1], radii[1:], strict=True):
            dx, dy = bx - ax, by - ay
            along = np.clip(((x - ax) * dx + (y - ay) * dy) / (dx * dx + dy * dy), 0, 1)
            distance = np.hypot(x - ax - along * dx, y - ay - along * dy) / (start + along * (end - start))
            nearest = np.minimum(nearest, distance)
        return nearest

    def paint(self, mask: np.ndarray, value: float | np.ndarray) -> None:
        """Paint on the picture, inside the cavity only."""
        self.image = paint(self.image, mask * self.cavity, value)

    def paint_lesion(self, mask: np.ndarray, value: float | np.ndarray) -> None:
        """Paint a part of a lesion on the picture, inside the cavity only, and note it."""
        self.image = paint_lesion(self.image, mask * self.cavity, value)


def ct_tissues(rng: Generator, enhanced: bool) -> Tissues:
    """Draw grey values of CT in a soft tissue window, without contrast medium or in the portal venous phase."""
    soft, fat = rng.uniform(0.46, 0.55), rng.uniform(0.1, 0.18)
    gain = rng.uniform(0.1, 0.16) if enhanced else 0.0
    return Tissues(
        fat=fat,
        muscle=soft,
        bone=rng.uniform(0.8, 0.95),
        rib=0.98,
        vessel=soft + 2.4 * gain,
        fluid=rng.uniform(0.3, 0.35),
        organ=soft + 0.04 + gain,
        spleen=soft + 1.2 * gain,
        kidney=soft + 2.1 * gain,
    )


def mri_tissues(rng: Generator, fluid_bright: bool) -> Tissues:
    """Draw grey values of MRI, T2-weighted if `fluid_bright`, else T1-weighted; with or without fat suppression."""
    fat = rng.uniform(0.26, 0.36) if rng.random() < 0.35 else rng.uniform(0.64, 0.8)
    if fluid_bright:
        organ = rng.uniform(0.46, 0.56)
        return Tissues(
            fat=fat,
            muscle=rng.uniform(0.24, 0.32),
            bone=rng.uniform(0.35, 0.5),
            rib=0.1,
            vessel=rng.uniform(0.06, 0.14),
            fluid=rng.uniform(0.92, 1.0),
            organ=organ,
            spleen=organ + rng.uniform(0.1, 0.2),
            kidney=organ + rng.uniform(0.16, 0.26),
        )
    organ = rng.uniform(0.56, 0.66)
    return Tissues(
        fat=fat,
        muscle=rng.uniform(0.36, 0.44),
        bone=rng.uniform(0.4, 0.55),
        rib=0.12,
        vessel=rng.uniform(0.86, 0.98),
        fluid=rng.uniform(0.06, 0.14),
        organ=organ,
        spleen=organ - rng.uniform(0.06, 0.14),
        kidney=organ - rng.uniform(0.06, 0.12),
    )


def draw_axial(rng: Generator, tissues: Tissues, centre: tuple[float, float], zoom: float, rim: float) -> Abdomen:
    """Draw an axial cut of the trunk without organs.

    Args:
        rng: random numbers.
        tissues: grey values.
        centre: body coordinates of the middle of the canvas.
        zoom: canvas units per body unit.
        rim: thickness of the fat under the skin.
    """
    body = Abdomen(np.full((SIZE, SIZE), tissues.gas, np.float32), tissues, *centre, zoom, half=rng.uniform(0.68, 0.8))
    turn, inner = rng.uniform(-0.06, 0.06), body.half - rim * rng.uniform(0.8, 1.1)
    body.image = paint(body.image, body.blob(rng, 0, 0, 1, body.half, turn, 0.015, 0.02)[0], tissues.fat)
    wall, depth = body.blob(rng, 0, 0, 1 - rim, inner, turn, 0.015, 0.03)
    body.image = paint(body.image, wall, tissues.muscle)
    rib = np.exp(-(((depth - 0.94) / 0.035) ** 2)) * np.clip(noise(rng, 9) * 2 - 0.6, 0, 1)
    body.image = paint(body.image, rib, tissues.rib)
    body.cavity = body.blob(rng, 0, -0.02, 0.91 - rim, inner - 0.08, turn, 0.015, 0.03)[0]
    body.paint(np.ones_like(X), tissues.fat * 0.92 + noise(rng, 10) * 0.02)
    back = inner - 0.2
    for side in (-1, 1):  # muscles beside the spine and in front of it
        muscle, _ = body.blob(rng, side * 0.24, back + 0.1, 0.2, 0.13, side * 0.3, soft=0.1)
        psoas, _ = body.blob(rng, side * 0.19, back - 0.08, 0.09, 0.12, soft=0.1)
        body.image = paint(body.image, np.maximum(muscle, psoas), tissues.muscle)
    for x, y, rx, ry, value in (
        (0, back - 0.04, 0.15, 0.13, tissues.bone),
        (0, back + 0.14, 0.05, 0.13, tissues.bone),
        (0, back + 0.11, 0.05, 0.045, tissues.fluid),
        (rng.uniform(0.02, 0.08), back - 0.23, 0.055, 0.055, tissues.vessel),
        (rng.uniform(-0.16, -0.1), back - 0.22, 0.075, rng.uniform(0.04, 0.06), tissues.vessel),
    ):
        body.image = paint(body.image, body.blob(rng, x, y, rx, ry, soft=0.12)[0], value)
    return body


def draw_coronal(rng: Generator, tissues: Tissues, centre: tuple[float, float], zoom: float, rim: float) -> Abdomen:
    """Draw a coronal cut of the trunk without organs, at the depth of spine and kidneys; arguments as `draw_axial`."""
    body = Abdomen(np.full((SIZE, SIZE), tissues.gas, np.float32), tissues, *centre, zoom)
    x, y = X / zoom + body.x, Y / zoom + body.y
    side = np.abs(x) - 0.06 * np.sin(y * 2 + rng.uniform(0, 6)) * rng.uniform(0.3, 1)
    body.image = paint(body.image, sigmoid((0.97 - side) / 0.015), tissues.fat)
    body.image = paint(body.image, sigmoid((0.97 - rim - side) / 0.015), tissues.muscle)
    rib = sigmoid((np.sin(y * rng.uniform(20, 26)) - 0.5) / 0.2) * np.exp(-(((side - 0.91 + rim) / 0.03) ** 2))
    body.image = paint(body.image, rib * sigmoid((0.25 - y) / 0.05), tissues.rib)
    body.cavity = sigmoid((0.88 - rim - side) / 0.02)
    body.paint(np.ones_like(X), tissues.fat * 0.92 + noise(rng, 10) * 0.02)
    flare, bow = rng.uniform(0.2, 0.3), rng.uniform(-0.04, 0.04)
    psoas = sigmoid((0.12 + flare * np.clip(y + 0.2, 0, 1) - np.abs(x)) / 0.03) * sigmoid((y + 0.2) / 0.06)
    body.paint(psoas, tissues.muscle)
    pitch = rng.uniform(0.19, 0.24)
    disc = np.abs(((y + rng.uniform(0, 1)) / pitch) % 1 - 0.5) * 2
    spine = sigmoid((0.12 + 0.02 * disc - np.abs(x - bow * y)) / 0.02)
    body.paint(spine, tissues.muscle + (tissues.bone - tissues.muscle) * sigmoid((disc - 0.22) / 0.06))
    return body


def liver_mask(rng: Generator, body: Abdomen, reach: float, nodular: bool) -> np.ndarray:
    """Draw the mask of the liver on the patient's right; `reach` 1 is the normal size, `nodular` makes it bumpy."""
    bumps = noise(rng, 14) * 0.19 if nodular else 0.0
    _, right = body.blob(rng, -0.46, -0.02, 0.46 * reach, body.half * 0.72 * reach, 0.25, 0.06)
    _, left = body.blob(rng, -0.05 + 0.2 * (reach - 1), -body.half * 0.45, 0.36 * reach, 0.2 * reach, -0.1, 0.06)
    return sigmoid((1 + bumps - np.minimum(right, left)) / 0.06) * body.cavity


def add_spleen(rng: Generator, body: Abdomen, size: float) -> None:
    """Paint the spleen at the back on the patient's left; `size` 1 is large."""
    mask, _ = body.blob(rng, 0.68, 0.1, 0.15 * size, 0.27 * size, rng.uniform(0.1, 0.4), 0.05)
    body.paint(mask, body.tissues.spleen + noise(rng, 12) * 0.012)


def add_stomach(rng: Generator, body: Abdomen) -> None:
    """Paint the stomach at the front on the patient's left, with gas above a level of fluid."""
    x, y = rng.uniform(0.36, 0.48), -body.half * rng.uniform(0.35, 0.45)
    wall, radius = body.blob(rng, x, y, rng.uniform(0.24, 0.32), rng.uniform(0.18, 0.24), 0.4, 0.08, 0.08)
    body.paint(wall, body.tissues.muscle)
    level = sigmoid((Y / body.zoom + body.y - y + rng.uniform(-0.12, 0.12)) / 0.015)
    inside = body.tissues.gas + level * (body.tissues.fluid * 0.5 + body.tissues.muscle * 0.5)
    body.paint(sigmoid((0.78 - radius) / 0.05), inside)


def add_bowel(rng: Generator, body: Abdomen, places: np.ndarray) -> None:
    """Paint loops of bowel, some of them with gas, at the places [n, 2]."""
    for x, y in places:
        rx, ry = rng.uniform(0.08, 0.15, 2)
        loop, radius = body.blob(rng, x, y, rx, ry, rng.uniform(0, 3), 0.12, 0.12)
        body.paint(loop, body.tissues.muscle * rng.uniform(0.95, 1.15))
        if rng.random() < 0.4:
            body.paint(sigmoid((0.62 - radius) / 0.1), body.tissues.gas)
