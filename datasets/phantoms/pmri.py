"""Pancreas MRI: an axial cut around the pancreas, with a given size, outline, texture, duct and lesion of the gland."""

from __future__ import annotations

import numpy as np
from numpy.random import Generator

from .abdomen import Abdomen, axial, liver, mri, spleen, stomach
from .canvas import noise, sigmoid
from .spec import Phantom

# The weighting says nothing about the class.
ANY = {"weighting": {"t1": 0.5, "t2": 0.5}}

CLASSES = {
    "normal pancreas": {
        **ANY,
        "volume": {"plump": 0.9, "atrophic": 0.06, "swollen": 0.04},
        "texture": {"even": 0.95, "marbled": 0.03, "mottled": 0.02},
        "outline": {"smooth": 0.88, "lobulated": 0.1, "blurred": 0.02},
        "lesion": {"no_lesion": 0.97, "one_cyst": 0.03},
        "duct": {"thin_duct": 0.81, "": 0.16, "wide_duct": 0.03},
        "fatty_liver": 0.07,
        "visceral_fat": 0.18,
    },
    "type 2 diabetes": {
        **ANY,
        "volume": {"atrophic": 0.74, "plump": 0.23, "swollen": 0.03},
        "texture": {"marbled": 0.81, "even": 0.14, "mottled": 0.05},
        "outline": {"lobulated": 0.8, "smooth": 0.16, "blurred": 0.04},
        "lesion": {"no_lesion": 0.97, "one_cyst": 0.03},
        "duct": {"": 0.54, "thin_duct": 0.42, "wide_duct": 0.04},
        "fatty_liver": 0.64,
        "visceral_fat": 0.77,
    },
    "pancreatitis": {
        **ANY,
        "volume": {"swollen": 0.77, "plump": 0.11, "atrophic": 0.12},
        "texture": {"mottled": 0.77, "even": 0.18, "marbled": 0.05},
        "outline": {"blurred": 0.81, "smooth": 0.09, "lobulated": 0.1},
        "lesion": {"no_lesion": 0.88, "one_cyst": 0.1, "solid": 0.02},
        "duct": {"": 0.56, "wide_duct": 0.33, "thin_duct": 0.11},
        "collection": 0.66,
        "fatty_liver": 0.13,
        "visceral_fat": 0.23,
    },
    "pancreatic cyst": {
        **ANY,
        "volume": {"plump": 0.75, "atrophic": 0.21, "swollen": 0.04},
        "texture": {"even": 0.82, "marbled": 0.14, "mottled": 0.04},
        "outline": {"smooth": 0.7, "lobulated": 0.26, "blurred": 0.04},
        "lesion": {"one_cyst": 0.63, "cyst_cluster": 0.34, "no_lesion": 0.02, "solid": 0.01},
        "duct": {"": 0.46, "thin_duct": 0.36, "wide_duct": 0.18},
        "collection": 0.03,
        "fatty_liver": 0.13,
        "visceral_fat": 0.23,
    },
    "pancreatic neoplasm": {
        **ANY,
        "volume": {"plump": 0.46, "atrophic": 0.48, "swollen": 0.06},
        "texture": {"even": 0.72, "mottled": 0.17, "marbled": 0.11},
        "outline": {"smooth": 0.43, "lobulated": 0.26, "blurred": 0.31},
        "lesion": {"solid": 0.94, "one_cyst": 0.02, "cyst_cluster": 0.02, "no_lesion": 0.02},
        "duct": {"wide_duct": 0.72, "": 0.21, "thin_duct": 0.07},
        "collection": 0.07,
        "fatty_liver": 0.13,
        "visceral_fat": 0.23,
    },
}

MODALITY = (
    "pancreas MRI",
    "axial MRI of the pancreas",
    "abdominal MR image",
    "MRCP and MR image of the upper abdomen",
    "pancreatic MRI scan",
    "magnetic resonance image of the retroperitoneum",
)

PHRASES = {
    "t1": (
        "T1-weighted contrast",
        "a T1-weighted gradient echo image with dark fluid",
        "a T1 image with bright enhanced vessels",
        "a contrast-enhanced T1-weighted sequence",
        "a pancreatic phase after gadolinium",
    ),
    "t2": (
        "T2-weighted contrast",
        "a T2-weighted image with bright fluid",
        "a T2 HASTE sequence with bright ducts",
        "flow voids in dark vessels on T2",
        "a heavily T2-weighted single shot sequence",
    ),
    "plump": (
        "a gland of normal size",
        "normal thickness of head, body and tail",
        "preserved parenchymal volume",
        "a normal gland tapering gently towards the tail",
        "a gland of normal calibre without atrophy",
    ),
    "atrophic": (
        "an atrophic thin gland",
        "reduced pancreatic volume",
        "parenchymal atrophy with a slender body and tail",
        "a small shrunken gland",
        "loss of pancreatic parenchyma",
    ),
    "swollen": (
        "a diffusely enlarged swollen gland",
        "diffuse enlargement of head, body and tail",
        "a bulky edematous gland",
        "gland enlargement with interstitial edema",
        "a sausage-shaped swollen pancreas",
    ),
    "even": (
        "homogeneous parenchymal signal",
        "uniform signal intensity of the gland",
        "even high T1 signal throughout head, body and tail",
        "homogeneous enhancement of the parenchyma",
        "a uniform glandular texture",
    ),
    "marbled": (
        "fatty infiltration of the gland",
        "fat marbling between the lobules",
        "fatty replacement of the parenchyma",
        "lipid-rich lobules with a high pancreatic fat fraction",
        "pancreatic steatosis with a feathery texture",
    ),
    "mottled": (
        "heterogeneous parenchymal signal",
        "patchy areas of edema and necrosis",
        "inhomogeneous parenchymal enhancement",
        "patchy non-enhancing necrotic parenchyma",
        "mottled loss of the normal T1 signal",
    ),
    "smooth": (
        "a smooth contour",
        "smooth well-defined margins of the gland",
        "sharp borders against the surrounding fat",
        "a regular outline",
        "clean peripancreatic fat planes",
    ),
    "lobulated": (
        "a lobulated serrated contour",
        "an irregular scalloped outline of the gland",
        "deep clefts between the lobules",
        "lobulated margins with fat in the clefts",
        "a notched irregular border",
    ),
    "blurred": (
        "ill-defined blurred margins",
        "peripancreatic fat stranding",
        "indistinct borders with inflammatory stranding",
        "hazy peripancreatic fat",
        "loss of the fat planes around the gland",
    ),
    "no_lesion": (
        "no focal lesion",
        "no cystic or solid mass",
        "absence of any mass or fluid-filled lesion",
        "a gland free of focal masses in head, body and tail",
        "a gland without focal abnormality",
    ),
    "one_cyst": (
        "a well-defined round cystic lesion",
        "a unilocular cyst with a thin wall",
        "a sharply marginated fluid-filled lesion",
        "a single cyst of uniform fluid signal without enhancement",
        "a macrocystic lesion with markedly high T2 signal",
    ),
    "cyst_cluster": (
        "a cluster of small cysts like a bunch of grapes",
        "a microcystic honeycomb lesion with a central scar",
        "a multilocular cystic lesion with thin septa",
        "grape-like dilatation of side branches",
        "multiple clustered cystic locules communicating with the duct",
    ),
    "solid": (
        "a solid hypovascular mass",
        "an irregular infiltrative mass in the head",
        "a focal solid lesion distorting the gland",
        "an invasive mass encasing the superior mesenteric vessels",
        "a solid focal tumor with abrupt duct cut-off",
    ),
    "thin_duct": (
        "a thin main duct of normal calibre",
        "a non-dilated pancreatic duct",
        "a fine smooth main duct under three millimetres",
        "a barely visible thin duct",
        "a uniformly narrow main pancreatic duct",
    ),
    "wide_duct": (
        "a dilated main pancreatic duct",
        "upstream ductal dilatation",
        "a double duct sign with a wide duct",
        "a tortuous beaded dilated duct",
        "marked widening of the main duct",
    ),
    "collection": (
        "peripancreatic fluid",
        "a fluid collection around the gland",
        "an inflammatory fluid collection",
        "acute fluid in the anterior pararenal space",
        "a rim of high T2 fluid around the gland",
    ),
    "fatty_liver": (
        "hepatic steatosis",
        "a liver of low signal due to fat",
        "signal loss of the liver on opposed-phase images",
        "fatty change of the adjacent liver",
        "a dark steatotic liver",
    ),
    "visceral_fat": (
        "abundant visceral fat",
        "increased intra-abdominal adipose tissue",
        "a wide layer of fat under the skin",
        "thick subcutaneous and visceral fat",
        "central obesity with plentiful abdominal fat",
    ),
}

# The axis of the gland from its head beside the duodenum over the neck to the tail at the spleen, and its half width.
AXIS = np.array(
    [(-0.22, 0.14), (-0.21, 0.03), (-0.14, -0.06), (0.0, -0.11), (0.16, -0.11), (0.32, -0.08), (0.48, -0.02)]
)
WIDTH = np.array([0.095, 0.145, 0.125, 0.1, 0.105, 0.11, 0.09])


def draw(rng: Generator, attributes: frozenset[str]) -> np.ndarray:
    """Grey picture [64, 64] of the middle of an upper abdomen with these attributes of the pancreas."""
    tissues = mri(rng, "t2" in attributes)
    rim = rng.uniform(0.16, 0.22) if "visceral_fat" in attributes else rng.uniform(0.03, 0.08)
    body = axial(rng, tissues, (rng.uniform(0.04, 0.14), rng.uniform(-0.08, 0.0)), rng.uniform(1.4, 1.58), rim)
    low, high = (0.6, 0.7) if "visceral_fat" in attributes else (0.7, 0.85)
    steatosis = 0.5 if "fatty_liver" in attributes else 1.0
    body.paint(liver(rng, body, rng.uniform(low, high), False), tissues.organ * steatosis + noise(rng, 14) * 0.015)
    spleen(rng, body, rng.uniform(0.75, 0.95))
    for side in (-1, 1):
        kidney, _ = body.blob(rng, side * rng.uniform(0.42, 0.48), rng.uniform(0.26, 0.34), 0.14, 0.16)
        body.paint(kidney, tissues.kidney)
    stomach(rng, body)

    line = AXIS * (1, rng.uniform(0.7, 1.4)) + (rng.uniform(-0.04, 0.04), rng.uniform(-0.02, 0.06))
    low, high = (0.5, 0.62) if "atrophic" in attributes else (1.4, 1.65) if "swollen" in attributes else (0.9, 1.1)
    depth = body.tube(line, WIDTH * rng.uniform(low, high))
    _around(rng, body, attributes, depth)
    grey = _gland(rng, body, attributes, depth)
    if "wide_duct" in attributes or "thin_duct" in attributes:
        width = 0.038 if "wide_duct" in attributes else 0.017
        duct = np.exp(-(body.tube(line[1:], np.full(len(line) - 1, width)) ** 2))
        body.paint(duct * (0.95 if "wide_duct" in attributes else 0.8), tissues.fluid)
    if "no_lesion" not in attributes:
        site = 1 if rng.random() < 0.5 else int(rng.integers(2, 6))  # half of them in the head
        _lesion(rng, body, attributes, line[site], grey)
    return body.image


def _around(rng: Generator, body: Abdomen, attributes: frozenset[str], depth: np.ndarray) -> None:
    """The fat that the gland lies in, with fluid or strands of inflammation in it."""
    tissues = body.tissues
    body.paint(sigmoid((1.35 - depth) / 0.1), tissues.fat)
    if "collection" in attributes:
        body.paint(sigmoid((1.9 + noise(rng, 5) * 0.4 - depth) / 0.12) * 0.95, tissues.fluid)
    if "blurred" in attributes:
        strands = 0.5 + 0.5 * np.clip(noise(rng, 22), -1, 1)
        body.paint(sigmoid((1.7 - depth) / 0.2) * strands * 0.7, tissues.organ * 0.8)


def _gland(rng: Generator, body: Abdomen, attributes: frozenset[str], depth: np.ndarray) -> float:
    """Paint the gland; its grey value: darker than bright fat, brighter than suppressed fat."""
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


def _lesion(rng: Generator, body: Abdomen, attributes: frozenset[str], site: np.ndarray, grey: float) -> None:
    """A cyst, a cluster of cysts or a solid mass at this site."""
    (x, y), tissues = site + rng.uniform(-0.04, 0.04, 2), body.tissues
    if "solid" in attributes:
        rx, ry = rng.uniform(0.15, 0.22, 2)
        body.paint(body.blob(rng, x, y, rx + 0.05, ry + 0.05)[0], grey)  # the gland bulges around it
        mass, _ = body.blob(rng, x, y, rx, ry, 0, 0.26, 0.1)
        body.paint(mass, grey * 0.45 + noise(rng, 14) * 0.06)
    elif "one_cyst" in attributes:
        rx, ry = rng.uniform(0.12, 0.2) * rng.uniform(0.92, 1.08, 2)
        body.paint(body.blob(rng, x, y, rx, ry, rng.uniform(0, 3), 0.02, 0.06)[0], tissues.fluid)
    else:
        radius, turns = rng.uniform(0.15, 0.2), np.arange(6) * 1.047 + rng.uniform(0, 6)
        cells = np.stack([x + np.cos(turns) * radius, y + np.sin(turns) * radius], 1)
        cells = np.concatenate([cells, [(x, y)]])
        body.paint(body.blob(rng, x, y, radius * 1.3, radius * 1.3)[0], grey)
        body.paint(body.dots(rng, cells, radius * 0.46, 0.15, 0.1), tissues.fluid)


PHANTOM = Phantom("PMRI", CLASSES, MODALITY, PHRASES, draw)
