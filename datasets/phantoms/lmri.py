"""Liver MRI: an axial cut through liver, spleen and stomach, with a given liver texture, outline, size and lesions."""

from __future__ import annotations

import numpy as np
from numpy.random import Generator

from .abdomen import Abdomen, add_bowel, add_spleen, add_stomach, draw_axial, liver_mask, mri_tissues
from .canvas import Y, noise, scatter, sigmoid


def draw(rng: Generator, attributes: frozenset[str]) -> np.ndarray:
    """Draw a grey picture [64, 64] of an upper abdomen with these attributes of the liver."""
    tissues = mri_tissues(rng, "t2" in attributes)
    rim = rng.uniform(0.2, 0.27) if "thick_fat" in attributes else rng.uniform(0.03, 0.09)
    centre = rng.uniform(-0.14, 0.0), rng.uniform(-0.1, 0.02)
    body = draw_axial(rng, tissues, centre, rng.uniform(1.0, 1.15), rim)
    if "ascites" in attributes:
        body.paint(sigmoid((0.35 - Y / body.zoom - body.y) / 0.05), tissues.fluid)
    x, y = rng.uniform(0.1, 0.5, 3), rng.uniform(-0.15, 0.2, 3)
    add_bowel(rng, body, np.stack([x, y], 1))
    add_stomach(rng, body)
    add_spleen(rng, body, rng.uniform(1.45, 1.65) if "big_spleen" in attributes else rng.uniform(0.8, 1.05))
    low, high = (1.2, 1.32) if "enlarged" in attributes else (0.66, 0.78) if "shrunken" in attributes else (0.92, 1.04)
    mask = liver_mask(rng, body, rng.uniform(low, high), "nodular" in attributes)
    if "shrunken" in attributes:  # the caudate lobe grows
        mask = np.maximum(mask, body.blob(rng, -0.14, 0.04, 0.15, 0.13, 0, 0.05)[0])
    grey = tissues.organ * (0.5 if "signal_loss" in attributes else 1.0)
    body.paint(mask, grey + _liver_texture(rng, attributes))
    _add_vessels(rng, body, attributes, mask, grey)
    if "no_lesion" not in attributes:
        _add_lesions(rng, body, attributes, mask, grey)
    return body.image


def _liver_texture(rng: Generator, attributes: frozenset[str]) -> np.ndarray:
    """Draw the texture [64, 64] that is added to the grey value of the liver."""
    fine = noise(rng, 20) * 0.015
    if "patchy" in attributes:
        return fine + np.clip(noise(rng, 6) * 1.6, -1, 1) * 0.15
    if "coarse" in attributes:  # fibrous septa around nodules
        return fine + np.exp(-((noise(rng, 17) / 0.35) ** 2)) * 0.3 - 0.12
    return fine


def _add_vessels(rng: Generator, body: Abdomen, attributes: frozenset[str], mask: np.ndarray, grey: float) -> None:
    """Add portal branches that fan out from the hilum; clear, faint, or with a cuff of oedema."""
    clear, halo = "clear_vessels" in attributes, "halo" in attributes
    x, y = rng.uniform(-0.24, -0.14), rng.uniform(-0.06, 0.06)
    for turn in np.linspace(1.9, 4.5, 5) + rng.uniform(-0.25, 0.25, 5):
        start, length, bend = rng.uniform(0, 0.12), rng.uniform(0.3, 0.55), rng.uniform(-0.8, 0.8)
        path = (x + start * np.cos(turn), y + start * np.sin(turn), turn, length)
        if halo:
            body.paint(mask * body.stroke(*path, 0.066, bend) * 0.9, body.tissues.fluid)
        line = mask * body.stroke(*path, 0.03 if clear else 0.022, bend)
        body.paint(line * (0.95 if clear or halo else 0.3), body.tissues.vessel)


def _add_lesions(rng: Generator, body: Abdomen, attributes: frozenset[str], mask: np.ndarray, grey: float) -> None:
    """Add one mass, plain or like a target, or several metastases: dark in a bright liver on T1, else bright."""
    many = "metastases" in attributes
    target = rng.random() < 0.4 if many else "target" in attributes
    value = 0.16 if "t1" in attributes and grey > 0.4 else 0.86
    for x, y in scatter(rng, mask, int(rng.integers(5, 9)) if many else 1) / body.zoom + (body.x, body.y):
        radius = rng.uniform(0.08, 0.12) if many else rng.uniform(0.18, 0.28)
        spot, inner = body.blob(rng, x, y, radius, radius * rng.uniform(0.85, 1.15), rng.uniform(0, 3), 0.06, 0.08)
        ring = np.where(inner < 0.6, 0.12, 0.96) if target else value
        body.paint_lesion(spot * np.maximum(mask, 0.2), ring)
