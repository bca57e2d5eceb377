"""Cardiac cine MRI: a heart in short-axis or four-chamber view, with given walls, cavities and atria."""

from __future__ import annotations

import numpy as np
from numpy.random import Generator

from .canvas import noise, paint, sigmoid
from .heart import Sizes, draw_heart
from .spec import Phantom

# The view says nothing about the class.
ANY = {"view": {"short_axis": 0.5, "four_chamber": 0.5}}

CLASSES = {
    "normal heart": {
        **ANY,
        "wall": {"even_wall": 0.97, "thick": 0.02, "thin_segment": 0.01},
        "cavity": {"normal_cavity": 0.94, "wide": 0.03, "small": 0.03},
        "atria": {"normal_atria": 0.95, "big_left": 0.04, "big_both": 0.01},
        "ghosts": 0.03,
        "fluid": 0.02,
        "wide_right": 0.03,
    },
    "atrial fibrillation": {
        **ANY,
        "wall": {"even_wall": 0.88, "thick": 0.07, "thin_wall": 0.03, "thin_segment": 0.02},
        "cavity": {"normal_cavity": 0.92, "wide": 0.05, "small": 0.03},
        "atria": {"big_left": 0.55, "big_both": 0.4, "normal_atria": 0.05},
        "ghosts": 0.83,
        "fluid": 0.04,
        "wide_right": 0.13,
    },
    "ischemic heart disease": {
        **ANY,
        "wall": {"thin_segment": 0.87, "even_wall": 0.09, "thin_wall": 0.02, "thick": 0.02},
        "cavity": {"normal_cavity": 0.59, "wide": 0.4, "small": 0.01},
        "atria": {"normal_atria": 0.78, "big_left": 0.21, "big_both": 0.01},
        "scar": 0.73,
        "thrombus": 0.15,
        "ghosts": 0.04,
        "fluid": 0.04,
        "wide_right": 0.03,
    },
    "heart failure": {
        **ANY,
        "wall": {"thin_wall": 0.77, "even_wall": 0.14, "thin_segment": 0.04, "thick": 0.05},
        "cavity": {"wide": 0.94, "normal_cavity": 0.05, "small": 0.01},
        "atria": {"big_both": 0.65, "big_left": 0.21, "normal_atria": 0.14},
        "scar": 0.04,
        "ghosts": 0.08,
        "fluid": 0.68,
        "wide_right": 0.53,
    },
    "cardiomyopathy": {
        **ANY,
        "wall": {"septal": 0.63, "thick": 0.28, "even_wall": 0.04, "thin_wall": 0.05},
        "cavity": {"small": 0.59, "normal_cavity": 0.24, "wide": 0.17},
        "atria": {"normal_atria": 0.61, "big_left": 0.34, "big_both": 0.05},
        "trabeculae": 0.35,
        "scar": 0.06,
        "ghosts": 0.04,
        "fluid": 0.05,
        "wide_right": 0.05,
    },
}

MODALITY = (
    "cardiac cine MRI",
    "cardiac MR image",
    "cine frame of the beating heart",
    "steady-state free precession cardiac MRI",
    "cardiovascular magnetic resonance frame",
    "bright-blood cine MRI",
)

PHRASES = {
    "short_axis": (
        "a short-axis slice",
        "a mid-ventricular short-axis frame",
        "a short-axis view with the muscular ring and its papillary muscles",
        "a cross-section through both ventricles",
        "a round left ventricle beside a crescent-shaped right ventricle",
    ),
    "four_chamber": (
        "a four-chamber view",
        "a long-axis four-chamber frame",
        "a long-axis slice through both atria and both ventricles",
        "a horizontal long-axis view with mitral and tricuspid valves",
        "a long-axis image from base to apex",
    ),
    "even_wall": (
        "an even myocardial wall of normal thickness",
        "uniform wall thickness in all segments",
        "walls that thicken evenly in systole",
        "no regional wall motion abnormality",
        "a regular gray muscular ring without thinning",
        "symmetric wall thickening of every segment",
    ),
    "thin_wall": (
        "diffusely thin ventricular walls",
        "global hypokinesia of slender walls",
        "a stretched thin myocardium around a large blood pool",
        "thin walls with poor contraction",
        "globally reduced ejection fraction and thinned walls",
        "a slender ring of weakly contracting muscle",
    ),
    "thick": (
        "concentric wall thickening",
        "concentric hypertrophy of the left ventricle",
        "massively thick ventricular walls",
        "symmetric hypertrophy with increased muscle mass",
        "thickened stiff walls all around",
    ),
    "septal": (
        "asymmetric septal hypertrophy",
        "a markedly thickened interventricular septum",
        "a bulging basal septum narrowing the outflow tract",
        "a septum much thicker than the lateral wall",
        "hypertrophy confined to the septum",
        "septal thickening above fifteen millimeters",
    ),
    "thin_segment": (
        "regional wall thinning in a coronary territory",
        "a thin akinetic segment",
        "one thinned segment that does not move inward",
        "an aneurysmal bulge of the infarcted wall",
        "a regional wall motion abnormality",
        "segmental thinning of the anterior or inferior wall after infarction",
        "a dyskinetic aneurysm of the apex",
    ),
    "normal_cavity": (
        "a left ventricle of normal size",
        "normal chamber dimensions",
        "a ventricular cavity of normal volume",
        "normal end-diastolic volume and ejection fraction",
        "balanced chamber proportions",
    ),
    "wide": (
        "a dilated left ventricle",
        "a globular enlarged left ventricular cavity",
        "an increased end-diastolic volume",
        "a spherical dilated chamber",
        "marked left ventricular dilatation",
        "a large bright blood pool that hardly empties",
    ),
    "small": (
        "a small left ventricular cavity",
        "a slit-like cavity between thick walls",
        "near obliteration of the cavity in systole",
        "a narrow small chamber",
        "a crowded small ventricular lumen",
    ),
    "normal_atria": (
        "atria of normal size",
        "a small normal left atrium",
        "both atria within normal limits",
        "no atrial enlargement",
        "slim atria behind the valves",
    ),
    "big_left": (
        "an enlarged left atrium",
        "left atrial dilatation",
        "a ballooned spherical left atrium",
        "a large left atrium behind a ventricle",
        "a strikingly distended left atrium",
        "increased left atrial volume",
    ),
    "big_both": (
        "biatrial enlargement",
        "both atria markedly dilated",
        "enlarged right and left atrium",
        "distended atria on both sides",
        "dilatation of both atria",
        "huge atria dwarfing the ventricles",
    ),
    "scar": (
        "a dark scar within the wall",
        "a black fibrotic or calcified scar line in the myocardium",
        "an infarct scar of one coronary segment",
        "India-ink black lines in an old infarct",
        "scarred myocardium replacing part of the wall",
    ),
    "thrombus": (
        "a dark apical thrombus",
        "a mural thrombus adherent to the wall",
        "a rounded dark clot in the bright cavity",
        "a dark filling defect within the blood pool",
        "a laminated clot lining the infarcted wall",
    ),
    "trabeculae": (
        "prominent trabeculation",
        "deep spongy trabeculae with a noncompacted layer",
        "coarse trabeculae and deep recesses filled with blood",
        "a noncompaction pattern of the inner wall",
        "bulky papillary muscles and spongy trabeculations",
    ),
    "ghosts": (
        "ghosting from an irregular rhythm",
        "motion artifacts due to irregular beats",
        "blurred frames from variable cycle length",
        "smeared edges because of arrhythmia",
        "gating artifacts from an irregular heartbeat",
        "beat-to-beat variation blurring the cine",
    ),
    "fluid": (
        "pleural effusion",
        "bright fluid behind the lungs on both sides",
        "a pericardial effusion",
        "bilateral pleural effusions as bright crescents",
        "congestion with pleural and pericardial fluid",
    ),
    "wide_right": (
        "a dilated right ventricle",
        "right ventricular enlargement",
        "an enlarged right heart pressing on the septum",
        "biventricular enlargement",
        "a wide right ventricular cavity",
    ),
}


def draw(rng: Generator, attributes: frozenset[str]) -> np.ndarray:
    """Grey picture [64, 64] of a chest with a heart of these attributes."""
    heart = draw_heart(rng, "short_axis" in attributes, _sizes(rng, attributes), "fluid" in attributes)
    u, v, rx, ry = heart.left
    if "trabeculae" in attributes:  # a spongy layer of muscle and blood inside the compact wall
        sponge = sigmoid((noise(rng, 24) + 0.15) / 0.2) * heart.cavity
        sponge = sponge * sigmoid((heart.blob(rng, heart.left)[1] - 0.5) / 0.08)
        heart.image = paint(heart.image, sponge * 0.95, heart.muscle)
    if "scar" in attributes:
        heart.image = paint(heart.image, heart.wall * heart.sector(0.55), 0.0)
    if "thrombus" in attributes:
        clot = (u + rx * 0.75 * np.cos(heart.towards), v + ry * 0.75 * np.sin(heart.towards), 0.1, 0.1)
        heart.image = paint(heart.image, heart.blob(rng, clot, 0, 0.15)[0] * heart.cavity, 0.12)
    if "ghosts" in attributes:  # copies along the direction of phase encoding
        step = int(rng.integers(7, 13))
        return heart.image * 0.62 + sum(np.roll(heart.image, k, 0) * 0.24 for k in (-step, step))
    return heart.image


def _sizes(rng: Generator, attributes: frozenset[str]) -> Sizes:
    """How large the chambers and how thick the walls are."""
    wide, small, both = (name in attributes for name in ("wide", "small", "big_both"))
    low, high = (0.31, 0.36) if wide else (0.1, 0.13) if small else (0.2, 0.24)
    wall = rng.uniform(0.09, 0.11)
    if "thin_wall" in attributes:
        wall = rng.uniform(0.04, 0.05)
    elif "thick" in attributes:
        wall = rng.uniform(0.18, 0.21)
    return Sizes(
        cavity=rng.uniform(low, high),
        wall=wall,
        septum=rng.uniform(0.24, 0.28) if "septal" in attributes else wall,
        bulge=rng.uniform(1.1, 1.4) if "thin_segment" in attributes else 0.0,
        left_atrium=rng.uniform(0.24, 0.29) if both or "big_left" in attributes else rng.uniform(0.12, 0.15),
        right_atrium=rng.uniform(0.24, 0.29) if both else rng.uniform(0.13, 0.16),
        right_ventricle=rng.uniform(0.3, 0.34) if "wide_right" in attributes else rng.uniform(0.19, 0.23),
    )


PHANTOM = Phantom("CMRI", CLASSES, MODALITY, PHRASES, draw)
