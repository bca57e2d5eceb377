"""Brain MRI: a head in one of three planes, with or without a mass."""

from __future__ import annotations

import numpy as np
from numpy.random import Generator

from .canvas import X, Y, blob, dots, noise, paint, scatter
from .head import Head, draw_head
from .spec import Phantom

# Planes and skull stripping say nothing about the class.
PLANES = {"axial": 0.4, "coronal": 0.3, "sagittal": 0.3}
ANY = {"plane": PLANES, "stripped": 0.3}

CLASSES = {
    "glioma tumor": {
        **ANY,
        "place": {"hemispheric": 0.88, "dural": 0.08, "sellar": 0.04},
        "size": {"large": 0.5, "": 0.4, "small": 0.1},
        "signal": {"ring": 0.56, "patchy": 0.3, "homogeneous": 0.14},
        "margin": {"irregular": 0.78, "smooth": 0.22},
        "oedema": 0.7,
        "shift": 0.5,
        "cortex": {"": 0.8, "atrophy": 0.2},
    },
    "meningioma tumor": {
        **ANY,
        "place": {"dural": 0.84, "hemispheric": 0.11, "sellar": 0.05},
        "size": {"large": 0.25, "": 0.55, "small": 0.2},
        "signal": {"homogeneous": 0.74, "patchy": 0.18, "ring": 0.08},
        "margin": {"smooth": 0.82, "irregular": 0.18},
        "oedema": 0.25,
        "shift": 0.2,
        "tail": 0.55,
        "cortex": {"": 0.8, "atrophy": 0.2},
    },
    "pituitary tumor": {
        **ANY,
        "place": {"sellar": 0.9, "hemispheric": 0.05, "dural": 0.05},
        "size": {"small": 0.5, "": 0.42, "large": 0.08},
        "signal": {"homogeneous": 0.68, "patchy": 0.17, "ring": 0.15},
        "margin": {"smooth": 0.85, "irregular": 0.15},
        "oedema": 0.05,
        "cortex": {"": 0.55, "folds": 0.3, "atrophy": 0.15},
    },
    "normal brain": {
        **ANY,
        "place": {"no_mass": 1.0},
        "symmetric": 0.85,
        "spots": 0.25,
        "cortex": {"folds": 0.6, "": 0.2, "atrophy": 0.2},
    },
}

MODALITY = (
    "brain MRI",
    "MR image of the brain",
    "magnetic resonance image of the head",
    "contrast enhanced MRI slice",
    "brain MRI scan",
    "cranial MR scan",
)

PHRASES = {
    "axial": (
        "an axial slice",
        "an axial view",
        "a horizontal, axial section through both hemispheres",
        "an axial cut seen from below",
    ),
    "coronal": (
        "a coronal slice",
        "a coronal view",
        "a coronal, frontal cut with both temporal lobes",
        "a coronal section from ear to ear",
    ),
    "sagittal": (
        "a sagittal slice",
        "a sagittal view",
        "a sagittal side view with brainstem and cerebellum",
        "a sagittal cut with the corpus callosum in profile",
    ),
    "stripped": ("a brain without skull", "a skull stripped brain", "a brain on a black background"),
    "hemispheric": (
        "a mass located deep in the cerebral hemisphere",
        "an intra-axial lesion within the brain parenchyma",
        "a lesion arising inside the white matter",
        "a hemispheric lesion in the frontal or temporal lobe",
        "an intraparenchymal mass",
        "a tumour inside the brain substance",
    ),
    "dural": (
        "a mass attached to the inner skull",
        "an extra-axial lesion abutting the dura",
        "a broad dural base against the meninges",
        "a mass located at the convexity on the surface of the brain",
        "a peripheral dural based mass pushing the cortex inwards",
        "a lesion along the falx or the skull",
    ),
    "sellar": (
        "a mass located in the sella at the midline",
        "a lesion at the base of the brain in the midline",
        "a central sellar nodule",
        "a mass arising in the sella below the optic chiasm",
        "a suprasellar extension at the skull base",
        "a midline lesion of the gland in an enlarged sella turcica",
    ),
    "no_mass": (
        "no mass lesion",
        "no focal abnormality",
        "no abnormal enhancement",
        "absence of any space occupying lesion",
        "intact parenchyma without any tumour",
        "unremarkable anatomy and no lesion",
        "healthy appearance without any mass or oedema",
    ),
    "small": ("a small nodule", "a tiny focal lesion", "a small rounded focus", "a small well seen lesion"),
    "large": ("a large mass", "a bulky lesion", "an extensive lesion occupying a big area", "a big expansile tumour"),
    "ring": (
        "ring enhancement around a dark centre",
        "a thick bright rim with a hypointense core",
        "peripheral rim enhancement",
        "a ring enhancing lesion with central necrosis",
        "a dark necrotic core",
        "cystic breakdown in the middle of the mass",
    ),
    "patchy": (
        "heterogeneous patchy enhancement",
        "mixed bright and dark signal inside the lesion",
        "uneven internal signal intensity",
        "a heterogeneous mass of mixed intensity",
    ),
    "homogeneous": (
        "homogeneous bright enhancement",
        "uniform intense signal",
        "an evenly bright solid mass",
        "intense homogeneous contrast enhancement",
        "solid homogeneous hyperintensity",
        "strong uniform avid enhancement",
    ),
    "irregular": (
        "irregular infiltrative margins",
        "an ill-defined mass blending into white matter",
        "poorly demarcated edges",
        "a lobulated invasive outline",
        "infiltrating diffuse borders",
    ),
    "smooth": (
        "smooth well circumscribed borders",
        "a sharply defined round outline",
        "clear demarcation from brain tissue",
        "a rounded mass with a regular contour",
        "well-defined smooth margins",
    ),
    "oedema": (
        "surrounding vasogenic oedema",
        "a halo of edema around the mass",
        "swelling of the adjacent brain",
        "a broad zone of perilesional signal change",
        "extensive peritumoral edema",
    ),
    "shift": (
        "midline shift",
        "mass effect displacing the midline",
        "ventricles pushed to one side",
        "compression of the lateral ventricle",
        "marked mass effect with asymmetry of the hemispheres",
    ),
    "tail": (
        "a dural tail",
        "tapering thickening of the adjacent dura",
        "linear enhancement along the meninges",
        "the dural tail sign",
    ),
    "symmetric": (
        "symmetric hemispheres",
        "both sides looking alike",
        "preserved left right symmetry",
        "symmetrical ventricles of normal size",
        "a midline in its normal position",
    ),
    "folds": (
        "preserved sulci and gyri",
        "normal cortical folds",
        "regular grey white matter differentiation",
        "intact cortex with distinct grey and white matter",
    ),
    "atrophy": ("enlarged ventricles", "wide ventricles and sulci", "mild atrophy", "dilated lateral ventricles"),
    "spots": ("a few bright white matter spots", "scattered small hyperintense foci", "punctate bright spots"),
}


def draw(rng: Generator, attributes: frozenset[str]) -> np.ndarray:
    """Grey picture [64, 64] of a head with these attributes."""
    plane = next(plane for plane in PLANES if plane in attributes)
    side = int(rng.choice((-1, 1)))
    push = -side * rng.uniform(0.1, 0.18) if "shift" in attributes else rng.uniform(-0.02, 0.02)
    head = draw_head(rng, plane, "stripped" in attributes, "folds" in attributes, "atrophy" in attributes, push)
    if "spots" in attributes:
        spots = dots(rng, scatter(rng, head.white, int(rng.integers(4, 9))), 0.04)
        head.image = paint(head.image, spots * 0.8, rng.uniform(0.75, 0.95))
    if "no_mass" not in attributes:
        head.image = _mass(rng, attributes, head, _site(rng, attributes, head, side))
    return head.image


def _site(rng: Generator, attributes: frozenset[str], head: Head, side: int) -> tuple[float, float, float]:
    """Where the mass is, and its radius."""
    (cx, cy), (rx, ry) = head.centre, head.axes
    low, high = (0.16, 0.22) if "small" in attributes else (0.34, 0.44) if "large" in attributes else (0.22, 0.32)
    radius, above = rng.uniform(low, high), 0.35 if head.plane == "axial" else 0.05
    if "sellar" in attributes:  # in the midline at the base; before the brainstem in a side view
        ahead = 0.25 * head.facing * rx if head.plane == "sagittal" else 0.0
        return cx + ahead + rng.uniform(-0.06, 0.06), cy + rng.uniform(0.38, 0.6) * ry, radius * 0.85
    if "dural" in attributes:
        around, reach = rng.uniform(-1.2, above * 3.4), 1.03 - radius * 0.5
        return cx + side * np.cos(around) * rx * reach, cy + np.sin(around) * ry * reach, radius
    return cx + side * rng.uniform(0.23, 0.5) * rx, cy + rng.uniform(-0.55, above) * ry, radius


def _mass(
    rng: Generator,
    attributes: frozenset[str],
    head: Head,
    site: tuple[float, float, float],
) -> np.ndarray:
    """Oedema, then the mass with its signal pattern, then the dural tail."""
    x, y, radius = site
    image, brain = head.image, head.brain
    if "oedema" in attributes:
        halo = radius * rng.uniform(1.5, 2.0)
        zone, _ = blob(rng, x, y, halo, halo, rng.uniform(0, 3), 0.25, 0.3)
        image = paint(image, zone * brain * 0.85, head.base + (0.22 if head.bright_fluid else -0.2))
    warp, soft = (0.28, 0.12) if "irregular" in attributes else (0.03, 0.05)
    rx, ry = radius * rng.uniform(0.85, 1.15, 2)
    mass, inner = blob(rng, x, y, rx, ry, rng.uniform(0, 3), warp, soft)
    bright = rng.uniform(0.88, 1.0)
    if "ring" in attributes:
        signal = np.where(inner < rng.uniform(0.42, 0.6), rng.uniform(0.08, 0.2), bright)
    elif "patchy" in attributes:
        signal = bright - 0.2 + noise(rng, 16) * 0.2
    else:
        signal = bright + noise(rng, 8) * 0.02
    image = paint(image, mass * np.maximum(brain, 0.15), signal)
    if "tail" in attributes:
        near = np.exp(-((((X - x) ** 2 + (Y - y) ** 2) / (radius * 2.1) ** 2) ** 2))
        image = paint(image, np.exp(-(((head.depth - 0.95) / 0.06) ** 2)) * near, bright)
    return image


PHANTOM = Phantom("BTMRI", CLASSES, MODALITY, PHRASES, draw)
