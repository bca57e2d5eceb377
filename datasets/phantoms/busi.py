"""Breast ultrasound: skin, fat, gland and muscle in layers, with or without a mass and what it does to the sound."""

from __future__ import annotations

import numpy as np
from numpy.random import Generator

from .breast import draw_breast
from .canvas import X, Y, blob, dots, noise, paint, scatter, sigmoid, stroke
from .spec import Phantom

# How much fat there is says nothing about the class.
ANY = {"breast": {"fatty": 0.5, "dense_gland": 0.5}}

CLASSES = {
    "benign tumor": {
        **ANY,
        "finding": {"mass": 0.86, "faint_nodule": 0.14},
        "axis": {"wide": 0.72, "round": 0.19, "tall": 0.09},
        "margin": {"circumscribed": 0.74, "lobulated": 0.17, "spiculated": 0.09},
        "echo": {"homogeneous": 0.54, "anechoic": 0.24, "heterogeneous": 0.22},
        "behind": {"enhancement": 0.41, "": 0.47, "shadowing": 0.12},
        "capsule": 0.33,
        "halo": 0.03,
        "distortion": 0.02,
        "calcifications": 0.07,
        "ligaments": 0.27,
        "layers": 0.27,
    },
    "malignant tumor": {
        **ANY,
        "finding": {"mass": 0.93, "faint_nodule": 0.07},
        "axis": {"tall": 0.46, "round": 0.25, "wide": 0.29},
        "margin": {"spiculated": 0.51, "lobulated": 0.27, "circumscribed": 0.22},
        "echo": {"heterogeneous": 0.54, "homogeneous": 0.38, "anechoic": 0.08},
        "behind": {"shadowing": 0.48, "": 0.38, "enhancement": 0.14},
        "halo": 0.27,
        "calcifications": 0.27,
        "distortion": 0.27,
        "capsule": 0.05,
        "ligaments": 0.08,
        "layers": 0.1,
    },
    "normal scan": {
        **ANY,
        "finding": {"no_mass": 0.84, "faint_nodule": 0.16},
        "ligaments": 0.62,
        "layers": 0.67,
        "ducts": 0.22,
        "behind": {"": 0.89, "shadowing": 0.11},
    },
}

MODALITY = (
    "breast ultrasound",
    "sonogram of the breast",
    "B-mode ultrasound image",
    "breast sonography",
    "grayscale ultrasound of the breast",
    "ultrasonographic image",
)

PHRASES = {
    "fatty": (
        "a predominantly fatty breast",
        "gray rounded fat lobules",
        "a thick layer of hypoechoic subcutaneous fat",
        "dark fat framed by thin septa",
        "mostly fat with little gland",
    ),
    "dense_gland": (
        "dense bright fibroglandular tissue",
        "a thick hyperechoic glandular layer",
        "snowy white parenchyma",
        "echogenic breast parenchyma under a thin strip of fat",
        "a broad homogeneous band of gland",
    ),
    "mass": (
        "a hypoechoic mass",
        "a dark focal lesion within the gland",
        "a solid nodule darker than fat",
        "a discrete focal mass",
        "a low-echo lesion that stands out",
    ),
    "faint_nodule": (
        "a faint isoechoic nodule",
        "a lesion that nearly blends with the surrounding fat",
        "a subtle gray oval area",
        "an almost isoechoic focus",
        "a barely visible lobule",
    ),
    "no_mass": (
        "no focal mass",
        "no lesion, cyst or shadow",
        "undisturbed tissue without any nodule",
        "absence of a suspicious lesion",
        "unremarkable homogeneous breast tissue",
        "nothing that stands apart as a lesion",
    ),
    "wide": (
        "a wider-than-tall shape",
        "a long axis parallel to the skin",
        "an oval lesion in parallel orientation",
        "a horizontally oriented ellipse",
        "an oval shape",
    ),
    "round": (
        "a round shape",
        "equal width and height",
        "a nearly circular outline",
        "a ball-like lesion",
        "a rounded lesion",
    ),
    "tall": (
        "a taller-than-wide shape",
        "a vertical orientation across the tissue planes",
        "a nonparallel orientation",
        "a lesion growing towards the skin",
        "an upright long axis",
    ),
    "circumscribed": (
        "smooth circumscribed margins",
        "a well-defined border",
        "a crisp regular outline",
        "a sharply demarcated smooth contour",
        "an edge traced as one clean line",
        "well-circumscribed smooth borders",
    ),
    "lobulated": (
        "a lobulated contour",
        "a microlobulated margin",
        "gentle bumps along the border",
        "several lobulations",
        "a scalloped outline",
    ),
    "spiculated": (
        "spiculated margins",
        "an irregular ill-defined border",
        "angular jagged edges",
        "spikes radiating into the surrounding tissue",
        "an irregular shape with indistinct margins",
        "a starburst outline",
    ),
    "homogeneous": (
        "homogeneous internal echoes",
        "a uniform hypoechoic interior",
        "evenly gray low-level echoes",
        "a uniform solid echotexture",
        "a smooth even echo pattern",
    ),
    "anechoic": (
        "an anechoic interior",
        "a fluid-filled black cyst",
        "a simple cyst without internal echoes",
        "an echo-free lumen with a thin wall",
        "a completely black interior",
    ),
    "heterogeneous": (
        "heterogeneous internal echoes",
        "a mixed echotexture",
        "an uneven interior with dark and gray patches",
        "a complex internal structure with necrosis",
        "irregular coarse internal echoes",
    ),
    "enhancement": (
        "posterior acoustic enhancement",
        "a bright band behind the lesion",
        "increased through transmission",
        "brighter tissue directly below the mass",
        "distal enhancement",
    ),
    "shadowing": (
        "posterior acoustic shadowing",
        "a dark shadow below the lesion",
        "a cone of darkness in the deep tissue",
        "attenuation hiding the muscle behind",
        "dense distal shadow",
    ),
    "capsule": (
        "a thin echogenic capsule",
        "a delicate bright pseudocapsule",
        "a fine white rim",
        "an encapsulated nodule as in fibroadenoma",
        "a hair-thin bright wall",
    ),
    "halo": (
        "a thick echogenic halo",
        "a bright blurred ring of infiltrated tissue",
        "a hyperechoic rim around a dark core",
        "a broad white boundary zone",
        "an ill-defined echogenic border of invasion",
    ),
    "calcifications": (
        "clustered microcalcifications",
        "pinpoint bright foci inside the lesion",
        "punctate echogenic specks",
        "tiny white calcifications",
        "bright dots in a dark mass",
    ),
    "distortion": (
        "architectural distortion",
        "disrupted tissue planes",
        "retracted thickened Cooper's ligaments",
        "straight bands converging on the lesion",
        "tethering and skin retraction",
    ),
    "ligaments": (
        "fine curved Cooper's ligaments",
        "thin echogenic septa sweeping from gland to skin",
        "delicate suspensory ligaments",
        "arching white lines in the fat",
        "intact Cooper ligaments without kinks",
    ),
    "layers": (
        "undisturbed horizontal layers of skin, fat, gland and muscle",
        "parallel tissue planes",
        "a preserved layered architecture",
        "a striated pectoral muscle under a clean fascial line",
        "regular bands from skin to chest wall",
    ),
    "ducts": (
        "slender anechoic ducts",
        "thin dark tubular structures",
        "ducts converging towards the nipple",
        "small smooth-walled milk ducts",
        "narrow black channels in the parenchyma",
    ),
}


STRETCH = {"wide": (1.5, 1.9), "round": (0.95, 1.05), "tall": (0.52, 0.66)}  # width relative to height


def draw(rng: Generator, attributes: frozenset[str]) -> np.ndarray:
    """Grey picture [64, 64] of a breast with these attributes."""
    x, y = rng.uniform(-0.35, 0.35), rng.uniform(-0.2, 0.15)
    radius = rng.uniform(0.32, 0.46)
    stretch = rng.uniform(*next((STRETCH[axis] for axis in STRETCH if axis in attributes), (0.7, 1.6)))
    rx, ry = radius * stretch**0.5, radius / stretch**0.5
    fatty, layered, ligaments, ducts = (name in attributes for name in ("fatty", "layers", "ligaments", "ducts"))
    image = draw_breast(rng, fatty, layered, ligaments, ducts, (x, y) if "distortion" in attributes else None)
    if "no_mass" not in attributes:
        image = _mass(rng, attributes, image, (x, y, rx, ry))
    if "shadowing" in attributes or "enhancement" in attributes:
        wide = rx * rng.uniform(0.7, 0.9) + 0.08 * (Y - y).clip(0)
        below = np.exp(-(((X - x) / wide) ** 4)) * sigmoid((Y - y - ry * 0.85) / 0.05)
        image = image * (1 - 0.8 * below) if "shadowing" in attributes else image + 0.5 * below * (1 - image)
    speckle = 1 + 0.12 * noise(rng, 30) + rng.uniform(0.08, 0.2) * rng.standard_normal(image.shape, np.float32)
    image = image * speckle.clip(0.2) * (1 - rng.uniform(0.1, 0.35) * (Y + 1) / 2)
    if rng.random() < 0.25:  # calipers, anywhere
        for u, v in rng.uniform(-0.9, 0.9, (2, 2)):
            image = paint(image, stroke(u - 0.05, v, 0, 0.1, 0.015), 0.95)
            image = paint(image, stroke(u, v - 0.05, 1.57, 0.1, 0.015), 0.95)
    return image


def _mass(
    rng: Generator, attributes: frozenset[str], image: np.ndarray, site: tuple[float, float, float, float]
) -> np.ndarray:
    """A mass with its margin, its rim and its echoes."""
    x, y, rx, ry = site
    spiked = "spiculated" in attributes
    warp, soft = (0.12, 0.14) if spiked else (0.02, 0.05)
    mask, depth = blob(rng, x, y, rx, ry, rng.uniform(-0.25, 0.25), warp, soft)
    if "lobulated" in attributes or spiked:
        count, sharpness, least = (rng.integers(7, 11), 4, 0.8) if spiked else (rng.integers(3, 6), 1, 0.75)
        turn = np.arctan2(Y - y, X - x) * count / 2 + rng.uniform(0, 3.1)
        depth = depth / (least + 0.45 * np.abs(np.cos(turn)) ** sharpness)
        mask = sigmoid((1 - depth) / soft)
    if "halo" in attributes:
        image = paint(image, np.exp(-(((depth - 1.2) / 0.26) ** 2)) * 0.9, 1.0)
    if "anechoic" in attributes:
        inside = np.zeros_like(image)
    elif "heterogeneous" in attributes:
        inside = 0.26 + 0.24 * noise(rng, 9)
    else:
        inside = np.full_like(image, rng.uniform(0.2, 0.27))
    image = paint(image, mask * (0.6 if "faint_nodule" in attributes else 0.95), inside.clip(0, 0.7))
    if "capsule" in attributes:
        image = paint(image, np.exp(-(((depth - 1.02) / 0.07) ** 2)) * 0.9, 0.95)
    if "calcifications" in attributes:
        image = paint(image, dots(rng, scatter(rng, depth < 0.75, int(rng.integers(5, 10))), 0.035, 0.2), 1.0)
    return image


PHANTOM = Phantom("BUSI", CLASSES, MODALITY, PHRASES, draw)
