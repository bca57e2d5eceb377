"""Liver MRI: an axial cut through liver, spleen and stomach, with a given liver texture, outline, size and lesions."""

from __future__ import annotations

import numpy as np
from numpy.random import Generator

from .abdomen import Abdomen, axial, bowel, liver, mri, spleen, stomach
from .canvas import Y, noise, scatter, sigmoid
from .spec import Phantom

# The weighting says nothing about the class.
ANY = {"weighting": {"t1": 0.5, "t2": 0.5}}

CLASSES = {
    "normal liver": {
        **ANY,
        "texture": {"even": 0.95, "signal_loss": 0.02, "patchy": 0.03},
        "outline": {"smooth": 0.98, "nodular": 0.02},
        "volume": {"": 0.9, "enlarged": 0.07, "shrunken": 0.03},
        "mass": {"no_lesion": 0.97, "single": 0.03},
        "vessels": {"clear_vessels": 0.9, "": 0.09, "halo": 0.01},
        "big_spleen": 0.02,
        "thick_fat": 0.16,
    },
    "fatty liver disease": {
        **ANY,
        "texture": {"signal_loss": 0.92, "even": 0.03, "patchy": 0.05},
        "outline": {"smooth": 0.96, "nodular": 0.04},
        "volume": {"enlarged": 0.59, "": 0.39, "shrunken": 0.02},
        "mass": {"no_lesion": 0.98, "single": 0.02},
        "vessels": {"": 0.77, "clear_vessels": 0.21, "halo": 0.02},
        "big_spleen": 0.05,
        "thick_fat": 0.78,
    },
    "liver cirrhosis": {
        **ANY,
        "texture": {"coarse": 0.83, "patchy": 0.06, "even": 0.08, "signal_loss": 0.03},
        "outline": {"nodular": 0.87, "smooth": 0.13},
        "volume": {"shrunken": 0.7, "": 0.27, "enlarged": 0.03},
        "mass": {"no_lesion": 0.95, "single": 0.05},
        "vessels": {"": 0.87, "clear_vessels": 0.1, "halo": 0.03},
        "big_spleen": 0.59,
        "ascites": 0.5,
        "thick_fat": 0.11,
    },
    "hepatitis": {
        **ANY,
        "texture": {"patchy": 0.82, "even": 0.13, "signal_loss": 0.03, "coarse": 0.02},
        "outline": {"smooth": 0.95, "nodular": 0.05},
        "volume": {"enlarged": 0.63, "": 0.35, "shrunken": 0.02},
        "mass": {"no_lesion": 0.98, "single": 0.02},
        "vessels": {"halo": 0.83, "": 0.11, "clear_vessels": 0.06},
        "big_spleen": 0.27,
        "ascites": 0.06,
        "thick_fat": 0.16,
    },
    "liver neoplasm": {
        **ANY,
        "texture": {"even": 0.64, "coarse": 0.18, "signal_loss": 0.09, "patchy": 0.09},
        "outline": {"smooth": 0.8, "nodular": 0.2},
        "volume": {"": 0.66, "enlarged": 0.28, "shrunken": 0.06},
        "mass": {"single": 0.38, "target": 0.26, "metastases": 0.32, "no_lesion": 0.04},
        "vessels": {"": 0.61, "clear_vessels": 0.34, "halo": 0.05},
        "big_spleen": 0.09,
        "ascites": 0.09,
        "thick_fat": 0.16,
    },
}

MODALITY = (
    "liver MRI",
    "axial MRI of the upper abdomen",
    "abdominal MR image",
    "hepatic MRI scan",
    "magnetic resonance image of the upper abdomen",
    "MR slice through the right upper quadrant",
)

PHRASES = {
    "t1": (
        "T1-weighted contrast",
        "a T1-weighted gradient echo image with dark fluid",
        "portal venous phase after gadolinium",
        "a T1 image with bright enhanced vessels",
        "a contrast-enhanced T1-weighted sequence",
    ),
    "t2": (
        "T2-weighted contrast",
        "a T2-weighted image with bright fluid",
        "flow voids in dark vessels on T2",
        "a T2 HASTE sequence with bright cerebrospinal fluid",
        "a T2-weighted single shot sequence",
    ),
    "even": (
        "homogeneous parenchymal signal",
        "uniform hepatic signal intensity",
        "even intermediate signal throughout both lobes",
        "homogeneous parenchyma without focal change",
        "a fine uniform parenchymal texture",
    ),
    "signal_loss": (
        "diffuse signal drop on opposed-phase images",
        "loss of signal on out-of-phase imaging",
        "hepatic parenchyma darker than the spleen",
        "diffuse steatosis with low signal of both lobes",
        "a high fat fraction throughout the parenchyma",
        "diffuse lipid accumulation with signal dropout",
    ),
    "patchy": (
        "patchy prolonged T1 relaxation of swollen parenchyma",
        "geographic areas of uneven signal",
        "diffuse patchy signal inhomogeneity",
        "irregular mottled enhancement of the parenchyma",
        "inflammation and edema with heterogeneous signal",
        "ill-defined patches of altered signal",
    ),
    "coarse": (
        "a coarse reticular pattern of fibrosis",
        "regenerative nodules separated by fibrous septa",
        "coarse nodular parenchyma with scarring",
        "bridging fibrotic bands throughout the parenchyma",
        "innumerable small regenerative nodules",
        "lace-like fibrosis around nodules",
    ),
    "smooth": (
        "a smooth hepatic contour",
        "smooth margins and a sharp inferior edge",
        "a regular capsular outline",
        "a smooth well-defined surface",
        "an even capsule without surface nodularity",
    ),
    "nodular": (
        "a nodular surface contour",
        "an irregular lobulated hepatic margin",
        "surface nodularity of the capsule",
        "a bumpy undulating outline",
        "a scalloped nodular hepatic edge",
    ),
    "enlarged": (
        "hepatomegaly",
        "an enlarged liver reaching across the midline",
        "increased hepatic size with rounded edges",
        "a swollen enlarged organ",
        "a bulky left lobe extending to the spleen",
    ),
    "shrunken": (
        "a shrunken right lobe",
        "volume loss with caudate hypertrophy",
        "an atrophic small liver",
        "decreased hepatic volume with widened fissures",
        "right lobe atrophy and an enlarged caudate lobe",
    ),
    "no_lesion": (
        "no focal lesion",
        "no mass in either lobe",
        "no focal hepatic lesion",
        "absence of nodules or masses",
        "parenchyma free of focal lesions",
        "no abnormal focal enhancement",
    ),
    "single": (
        "a solitary mass",
        "a single large focal lesion in the right lobe",
        "one rounded mass displacing the vessels",
        "an encapsulated focal mass",
        "a focal lesion with arterial hyperenhancement and washout",
        "a well-defined solitary tumor nodule",
    ),
    "metastases": (
        "multiple focal lesions in both lobes",
        "several metastases of varying size",
        "scattered round nodules throughout the parenchyma",
        "numerous metastatic deposits in both lobes",
        "multifocal masses",
        "disseminated focal lesions",
    ),
    "target": (
        "rim enhancement around the lesion",
        "a target appearance with central necrosis",
        "a bright peripheral ring and a different centre",
        "a bull's-eye lesion",
        "peripheral ring-like enhancement",
        "a capsule around a necrotic core",
    ),
    "clear_vessels": (
        "clearly visible hepatic and portal veins",
        "normal branching hepatic vessels",
        "patent portal and hepatic veins of normal calibre",
        "well-defined intrahepatic vessels",
        "sharp vascular markings tapering to the periphery",
    ),
    "halo": (
        "periportal edema",
        "a periportal halo of abnormal signal",
        "cuffs of high T2 signal along the portal tracts",
        "thickened periportal tracts",
        "periportal cuffing around the portal branches",
        "tracks of edema following the portal vein",
    ),
    "big_spleen": (
        "splenomegaly",
        "an enlarged spleen",
        "a big spleen due to portal hypertension",
        "an increased splenic size",
        "a bulky spleen reaching forward",
    ),
    "ascites": (
        "ascites",
        "free fluid around the liver",
        "perihepatic fluid",
        "intraperitoneal fluid between the organ and the abdominal wall",
        "fluid in the peritoneal cavity",
    ),
    "thick_fat": (
        "thick subcutaneous fat",
        "a wide layer of fat under the skin",
        "abundant subcutaneous adipose tissue",
        "obesity with a thick abdominal fat layer",
        "increased abdominal wall fat",
    ),
}


def draw(rng: Generator, attributes: frozenset[str]) -> np.ndarray:
    """Grey picture [64, 64] of an upper abdomen with these attributes of the liver."""
    tissues = mri(rng, "t2" in attributes)
    rim = rng.uniform(0.2, 0.27) if "thick_fat" in attributes else rng.uniform(0.03, 0.09)
    centre = rng.uniform(-0.14, 0.0), rng.uniform(-0.1, 0.02)
    body = axial(rng, tissues, centre, rng.uniform(1.0, 1.15), rim)
    if "ascites" in attributes:
        body.paint(sigmoid((0.35 - Y / body.zoom - body.y) / 0.05), tissues.fluid)
    x, y = rng.uniform(0.1, 0.5, 3), rng.uniform(-0.15, 0.2, 3)
    bowel(rng, body, np.stack([x, y], 1))
    stomach(rng, body)
    spleen(rng, body, rng.uniform(1.45, 1.65) if "big_spleen" in attributes else rng.uniform(0.8, 1.05))
    low, high = (1.2, 1.32) if "enlarged" in attributes else (0.66, 0.78) if "shrunken" in attributes else (0.92, 1.04)
    mask = liver(rng, body, rng.uniform(low, high), "nodular" in attributes)
    if "shrunken" in attributes:  # the caudate lobe grows
        mask = np.maximum(mask, body.blob(rng, -0.14, 0.04, 0.15, 0.13, 0, 0.05)[0])
    grey = tissues.organ * (0.5 if "signal_loss" in attributes else 1.0)
    body.paint(mask, grey + _texture(rng, attributes))
    _vessels(rng, body, attributes, mask, grey)
    if "no_lesion" not in attributes:
        _lesions(rng, body, attributes, mask, grey)
    return body.image


def _texture(rng: Generator, attributes: frozenset[str]) -> np.ndarray:
    """What is added to the grey value of the liver."""
    fine = noise(rng, 20) * 0.015
    if "patchy" in attributes:
        return fine + np.clip(noise(rng, 6) * 1.6, -1, 1) * 0.15
    if "coarse" in attributes:  # fibrous septa around nodules
        return fine + np.exp(-((noise(rng, 17) / 0.35) ** 2)) * 0.3 - 0.12
    return fine


def _vessels(rng: Generator, body: Abdomen, attributes: frozenset[str], mask: np.ndarray, grey: float) -> None:
    """Portal branches that fan out from the hilum; clear, faint, or with a cuff of oedema."""
    clear, halo = "clear_vessels" in attributes, "halo" in attributes
    x, y = rng.uniform(-0.24, -0.14), rng.uniform(-0.06, 0.06)
    for turn in np.linspace(1.9, 4.5, 5) + rng.uniform(-0.25, 0.25, 5):
        start, length, bend = rng.uniform(0, 0.12), rng.uniform(0.3, 0.55), rng.uniform(-0.8, 0.8)
        path = (x + start * np.cos(turn), y + start * np.sin(turn), turn, length)
        if halo:
            body.paint(mask * body.stroke(*path, 0.066, bend) * 0.9, body.tissues.fluid)
        line = mask * body.stroke(*path, 0.03 if clear else 0.022, bend)
        body.paint(line * (0.95 if clear or halo else 0.3), body.tissues.vessel)


def _lesions(rng: Generator, body: Abdomen, attributes: frozenset[str], mask: np.ndarray, grey: float) -> None:
    """One mass, plain or like a target, or several metastases: dark in a bright liver on T1, else bright."""
    many = "metastases" in attributes
    target = rng.random() < 0.4 if many else "target" in attributes
    value = 0.16 if "t1" in attributes and grey > 0.4 else 0.86
    for x, y in scatter(rng, mask, int(rng.integers(5, 9)) if many else 1) / body.zoom + (body.x, body.y):
        radius = rng.uniform(0.08, 0.12) if many else rng.uniform(0.18, 0.28)
        spot, inner = body.blob(rng, x, y, radius, radius * rng.uniform(0.85, 1.15), rng.uniform(0, 3), 0.06, 0.08)
        ring = np.where(inner < 0.6, 0.12, 0.96) if target else value
        body.paint(spot * np.maximum(mask, 0.2), ring)


PHANTOM = Phantom("LMRI", CLASSES, MODALITY, PHRASES, draw)
