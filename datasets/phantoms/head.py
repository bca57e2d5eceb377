"""A head in one of the three planes of MRI: skull, cortex, white matter, ventricles, cerebellum and brainstem."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.random import Generator

from .canvas import SIZE, X, Y, blob, noise, paint, sigmoid, stroke

# Half axes of the head, relative to its size: left-right or front-back, and up-down.
PROPORTIONS = {"axial": (0.8, 0.95), "coronal": (0.84, 0.82), "sagittal": (0.96, 0.78)}


@dataclass
class Head:
    """The picture of a head, and the parts that lesions are placed by; lengths in canvas units."""

    image: np.ndarray
    plane: str
    brain: np.ndarray  # mask
    depth: np.ndarray  # 0 in the middle of the brain, 1 on its surface
    white: np.ndarray  # mask of the white matter
    centre: tuple[float, float]
    axes: tuple[float, float]  # half axes of the brain
    base: float  # grey value of the brain
    bright_fluid: bool  # T2-like rather than T1-like contrast
    facing: int  # sagittal only: -1 the face looks to the left, 1 to the right


def draw_head(rng: Generator, plane: str, stripped: bool, folds: bool, wide: bool, push: float) -> Head:
    """Draw a head without lesions.

    Args:
        rng: random numbers.
        plane: "axial", "coronal" or "sagittal".
        stripped: leave out the skull.
        folds: clear sulci.
        wide: wide ventricles.
        push: shift of the midline.
    """
    bright_fluid, facing = bool(rng.random() < 0.3), int(rng.choice((-1, 1)))
    # A stripped brain is drawn at 0.87 of its head, so it needs the larger head to fill the frame as well.
    size, (wx, wy) = rng.uniform(*((0.84, 1.14) if stripped else (0.72, 1.0))), PROPORTIONS[plane]
    rx, ry = size * wx * rng.uniform(0.93, 1.03), size * wy * rng.uniform(0.93, 1.03)
    cx, cy = rng.uniform(-1, 1, 2) * (0.03 + 0.35 * max(0.0, 1 - max(rx, ry)))
    tilt = rng.uniform(-0.13, 0.13)
    image = np.full((SIZE, SIZE), rng.uniform(0, 0.06), np.float32)
    for scale, value in ((1.0, rng.uniform(0.55, 0.95)), (0.94, rng.uniform(0.05, 0.2))):
        if not stripped:
            image = paint(image, blob(rng, cx, cy, rx * scale, ry * scale, tilt, 0.02, 0.02)[0], value)
    rx, ry = rx * 0.87, ry * 0.87
    brain, depth = blob(rng, cx, cy, rx, ry, tilt, 0.03, 0.03)
    white, _ = blob(rng, cx, cy, rx * 0.63, ry * 0.66, tilt, 0.08, 0.15)
    base = rng.uniform(0.5, 0.72) if rng.random() < 0.5 else rng.uniform(0.32, 0.46)
    fluid = rng.uniform(0.68, 0.85) if bright_fluid else rng.uniform(0.05, 0.16)
    lobes = _cut_and_add_lobes(rng, plane, (cx, cy), (rx, ry), facing)
    brain = np.clip(brain * lobes[0] + lobes[1], 0, 1)

    sulci = np.exp(-((noise(rng, 15) / 0.32) ** 2)) * (rng.uniform(0.45, 0.7) if folds else rng.uniform(0.1, 0.3))
    matter = base * (1 - sulci * (1 - 0.9 * white)) + noise(rng, 8) * 0.02
    head = Head(image, plane, brain, depth, white, (cx, cy), (rx, ry), base, bright_fluid, facing)
    head.image = paint(image, brain, matter + white * rng.uniform(0.03, 0.12) * (-1) ** bright_fluid)
    {"axial": _add_axial, "coronal": _add_coronal, "sagittal": _add_sagittal}[plane](
        rng, head, fluid, 1.8 if wide else 1.0, push
    )
    return head


def _cut_and_add_lobes(rng: Generator, plane: str, centre, axes, facing: int) -> tuple[np.ndarray, np.ndarray]:
    """Return a mask to cut from the ellipse of the brain (0: cut), and a mask to add to it."""
    (cx, cy), (rx, ry) = centre, axes
    if plane == "coronal":  # Sylvian fissures at the sides, temporal lobes below them
        level = cy + ry * rng.uniform(0.2, 0.3)
        cut = sigmoid((level - Y) / 0.03)
        lobes = [
            blob(rng, cx + s * rx * 0.58, cy + ry * 0.55, rx * 0.36, ry * 0.4, s * 0.3, 0.04, 0.05) for s in (-1, 1)
        ]
        stem, _ = blob(rng, cx, cy + ry * 0.6, rx * 0.22, ry * 0.45, 0, 0.04, 0.06)
        notch = sum(np.exp(-(((X - cx - s * rx) / 0.2) ** 2) - ((Y - level) / 0.035) ** 2) for s in (-1, 1))
        return cut * (1 - 0.9 * notch), np.maximum(np.maximum(lobes[0][0], lobes[1][0]), stem) * (1 - 0.9 * notch)
    if plane == "sagittal":  # flat below; brainstem and cerebellum under the back of the brain
        cut = sigmoid((cy + ry * (0.42 + 0.25 * np.sin(X * facing * 2.5)) - Y) / 0.03)
        stem = stroke(cx - facing * rx * 0.12, cy + ry * 0.25, np.pi / 2 + facing * 0.2, ry * 1.0, rx * 0.15)
        small, _ = blob(rng, cx - facing * rx * 0.5, cy + ry * 0.62, rx * 0.36, ry * 0.34, 0.2 * facing, 0.04, 0.05)
        return cut, np.maximum(small, stem)
    return np.ones_like(X), np.zeros_like(X)


def _add_midline(head: Head, push: float, below: float) -> None:
    """Darken the fissure between the hemispheres down to `below` under the centre."""
    (cx, cy), bow = head.centre, push * np.exp(-((Y - head.centre[1]) ** 2) / 0.3)
    line = np.exp(-(((X - cx - bow) / 0.02) ** 2)) * head.brain * sigmoid((cy + below - Y) / 0.04)
    head.image = head.image * (1 - 0.35 * line)


def _add_axial(rng: Generator, head: Head, fluid: float, wide: float, push: float) -> None:
    """Add two long frontal horns, and the fissure between the hemispheres from front to back."""
    (cx, cy), long, thick = head.centre, rng.uniform(0.2, 0.34), rng.uniform(0.04, 0.07) * wide
    for s in (-1, 1):
        x, squeeze = cx + s * rng.uniform(0.1, 0.15) + push, 0.5 if push * s > 0.08 else 1.0
        horn, _ = blob(rng, x, cy - 0.08, thick * squeeze, long, s * rng.uniform(0.2, 0.4), 0.08)
        head.image = paint(head.image, horn * 0.9, fluid)
    _add_midline(head, push, 2.0)


def _add_coronal(rng: Generator, head: Head, fluid: float, wide: float, push: float) -> None:
    """Add small slanted ventricles above the centre, the fissure at the top, and a thin third ventricle."""
    (cx, cy), thick = head.centre, rng.uniform(0.04, 0.06) * wide
    for s in (-1, 1):
        x, squeeze = cx + s * rng.uniform(0.1, 0.14) + push, 0.5 if push * s > 0.08 else 1.0
        horn, _ = blob(rng, x, cy - 0.1, thick * squeeze, rng.uniform(0.13, 0.19), s * rng.uniform(0.8, 1.1), 0.08)
        head.image = paint(head.image, horn * 0.9, fluid)
    third, _ = blob(rng, cx + push, cy + 0.14, 0.02 * wide, 0.1, 0, 0.05)
    head.image = paint(head.image, third * 0.8, fluid)
    _add_midline(head, push, -0.12)


def _add_sagittal(rng: Generator, head: Head, fluid: float, wide: float, push: float) -> None:
    """Add the bright arc of the corpus callosum above the ventricle, and the folia of the cerebellum."""
    (cx, cy), (rx, ry), f = head.centre, head.axes, head.facing
    _, radius = blob(rng, cx, cy + ry * 0.12, rx * 0.45, ry * 0.42, f * 0.15)
    above = sigmoid((cy + ry * 0.12 - Y) / 0.05)
    inside = np.exp(-(((radius - 0.68) / (0.16 * wide)) ** 2)) * above
    head.image = paint(head.image, inside * 0.85 * head.brain, fluid)
    head.image = paint(head.image, np.exp(-(((radius - 1) / 0.13) ** 2)) * above * 0.9, min(1.0, head.base + 0.2))
    x, y = cx - f * rx * 0.5, cy + ry * 0.62
    small = np.exp(-((((X - x) / (rx * 0.36)) ** 2 + ((Y - y) / (ry * 0.34)) ** 2) ** 3))
    folia = np.sin(np.hypot(X - x - f * 0.25, Y - y + 0.1) * rng.uniform(55, 70))
    head.image = head.image * (1 - 0.3 * small * (folia > 0.2))
