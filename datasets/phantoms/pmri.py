"""Pancreas MRI: an axial cut around the pancreas, with a given size, outline, texture, duct and lesion of the gland."""

from __future__ import annotations

import numpy as np
from numpy.random import Generator

from .abdomen import Abdomen, add_spleen, add_stomach, draw_axial, liver_mask, mri_tissues
from .canvas import noise, sigmoid

# The axis of the gland from its head beside the duodenum over the neck to the tail at the spleen, and its half width.
AXIS = np.array(
    [(-0.22, 0.14), (-0.21, 0.03), (-0.14, -0.06), (0.0, -0.11), (0.16, -0.11), (0.32, -0.08), (0.48, -0.02)]
)
WIDTH = np.array([0.095, 0.145, 0.125, 0.1, 0.105, 0.11, 0.09])


def draw(rng: Generator, attributes: frozenset[str]) -> np.ndarray:
    """Draw a grey picture [64, 64] of the middle of an upper abdomen with these attributes of the pancreas."""
    tissues = mri_tissues(rng, "t2" in attributes)
    rim = rng.uniform(0.16, 0.22) if "visceral_fat" in attributes else rng.uniform(0.03, 0.08)
    body = draw_axial(rng, tissues, (rng.uniform(0.04, 0.14), rng.uniform(-0.08, 0.0)), rng.uniform(1.4, 1.58), rim)
    low, high = (0.6, 0.7) if "visceral_fat" in attributes else (0.7, 0.85)
    steatosis = 0.5 if "fatty_liver" in attributes else 1.0
    body.paint(liver_mask(rng, body, rng.uniform(low, high), False), tissues.organ * steatosis + noise(rng, 14) * 0.015)
    add_spleen(rng, body, rng.uniform(0.75, 0.95))
    for side in (-1, 1):
        kidney, _ = body.blob(rng, side * rng.uniform(0.42, 0.48), rng.uniform(0.26, 0.34), 0.14, 0.16)
        body.paint(kidney, tissues.kidney)
    add_stomach(rng, body)

    line = AXIS * (1, rng.uniform(0.7, 1.4)) + (rng.uniform(-0.04, 0.04), rng.uniform(-0.02, 0.06))
    low, high = (0.5, 0.62) if "atrophic" in attributes else (1.4, 1.65) if "swollen" in attributes else (0.9, 1.1)
    depth = body.tube(line, WIDTH * rng.uniform(low, high))
    _add_surroundings(rng, body, attributes, depth)
    grey = _add_gland(rng, body, attributes, depth)
    if "wide_duct" in attributes or "thin_duct" in attributes:
        width = 0.038 if "wide_duct" in attributes else 0.017
        duct = np.exp(-(body.tube(line[1:], np.full(len(line) - 1, width)) ** 2))
        body.paint(duct * (0.95 if "wide_duct" in attributes else 0.8), tissues.fluid)
    if "no_lesion" not in attributes:
        site = 1 if rng.random() < 0.5 else int(rng.integers(2, 6))  # half of them in the head
        _add_lesion(rng, body, attributes, line[site], grey)
    return body.image


def _add_surroundings(rng: Generator, body: Abdomen, attributes: frozenset[str], depth: np.ndarray) -> None:
    """Paint the fat around the gland, with fluid or strands of inflammation in it."""
    tissues = body.tissues
    body.paint(sigmoid((1.35 - depth) / 0.1), tissues.fat)
    if "collection" in attributes:
        body.paint(sigmoid((1.9 + noise(rng, 5) * 0.4 - depth) / 0.12) * 0.95, tissues.fluid)
    if "blurred" in attributes:
        strands = 0.5 + 0.5 * np.clip(noise(rng, 22), -1, 1)
        body.paint(sigmoid((1.7 - depth) / 0.2) * strands * 0.7, tissues.organ * 0.8)


def _add_gland(rng: Generator, body: Abdomen, attributes: frozenset[str], depth: np.ndarray) -> float:
    """Paint the gland and return its grey value: darker than bright fat, brighter than suppressed fat."""
    tissues = body.tissues
    grey = tissues.organ + (0.16 if tissues.fat < 0.5 else -0.14)
    bumps = noise(rng, 16) * 0.42 if "lobulated" in attributes else 0.0
    mask = sigmoid((1 + bumps - depth) / (0.3 if "blurred" in attributes else 0.09))
    signal = grey + noise(rng, 20) * 0.012
    if "marbled" in attributes:
        signal = signal + sigmoid((noise(rng, 20) - 0.3) / 0.15) * (tissues.fat - grey)
    elif "mottled" in attributes:
        signal = signal + np.clip(noise(rng, 9) * 1.8, -1, 1) * 0.26
    body.paint(mask, signal)
    return grey


def _add_lesion(rng: Generator, body: Abdomen, attributes: frozenset[str], site: np.ndarray, grey: float) -> None:
    """Add a cyst, a cluster of cysts or a solid mass at a site."""
    (x, y), tissues = site + rng.uniform(-0.04, 0.04, 2), body.tissues
    if "solid" in attributes:
        rx, ry = rng.uniform(0.15, 0.22, 2)
        body.paint(body.blob(rng, x, y, rx + 0.05, ry + 0.05)[0], grey)  # the gland bulges around it
        mass, _ = body.blob(rng, x, y, rx, ry, 0, 0.26, 0.1)
        body.paint_lesion(mass, grey * 0.45 + noise(rng, 14) * 0.06)
    elif "one_cyst" in attributes:
        rx, ry = rng.uniform(0.12, 0.2) * rng.uniform(0.92, 1.08, 2)
        body.paint_lesion(body.blob(rng, x, y, rx, ry, rng.uniform(0, 3), 0.02, 0.06)[0], tissues.fluid)
    else:
        radius, turns = rng.uniform(0.15, 0.2), np.arange(6) * 1.047 + rng.uniform(0, 6)
        cells = np.stack([x + np.cos(turns) * radius, y + np.sin(turns) * radius], 1)
        cells = np.concatenate([cells, [(x, y)]])
        body.paint_lesion(body.blob(rng, x, y, radius * 1.3, radius * 1.3)[0], grey)
        body.paint_lesion(body.dots(rng, cells, radius * 0.46, 0.15, 0.1), tissues.fluid)
