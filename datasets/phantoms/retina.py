"""Fundus photography: disc, vessels and macula in a round field, with lesions, a wider cup, or a veil before it all."""

from __future__ import annotations

import numpy as np
from numpy.random import Generator

from .canvas import X, Y, blob, dots, noise, paint, rgb, scatter, stroke
from .fundus import Fundus, add_defect, add_disc, add_reflex, add_vessels, draw_fundus
from .spec import Phantom

# What the photograph is centred on says nothing about the class.
ANY = {"view": {"macula_view": 0.55, "disc_view": 0.45}}

CLASSES = {
    "diabetic retinopathy": {
        **ANY,
        "dots": 0.65,
        "blots": 0.47,
        "exudates": 0.47,
        "cotton_wool": 0.23,
        "new_vessels": 0.12,
        "cup": {"small_cup": 0.53, "": 0.4, "large_cup": 0.07},
        "reflex": 0.14,
        "clarity": {"": 0.68, "clear": 0.2, "haze": 0.12},
    },
    "glaucoma": {
        **ANY,
        "cup": {"large_cup": 0.76, "": 0.18, "small_cup": 0.06},
        "pale_disc": 0.45,
        "atrophy": 0.45,
        "nerve_defect": 0.32,
        "reflex": 0.18,
        "dots": 0.02,
        "clarity": {"": 0.65, "clear": 0.23, "haze": 0.12},
    },
    "cataract": {
        **ANY,
        "clarity": {"dense_haze": 0.44, "haze": 0.44, "": 0.12},
        "amber": 0.53,
        "lens_shadows": 0.32,
        "cup": {"": 0.67, "small_cup": 0.27, "large_cup": 0.06},
        "dots": 0.03,
        "reflex": 0.03,
    },
    "normal retina": {
        **ANY,
        "cup": {"small_cup": 0.69, "": 0.25, "large_cup": 0.06},
        "reflex": 0.63,
        "clarity": {"clear": 0.65, "": 0.27, "haze": 0.08},
        "amber": 0.04,
        "atrophy": 0.05,
        "pale_disc": 0.02,
        "dots": 0.03,
    },
}

MODALITY = (
    "fundus photograph",
    "color fundus image",
    "retinal fundus photography",
    "ophthalmoscopic image of the eye",
    "photograph of the posterior pole",
    "retinal photograph",
)

PHRASES = {
    "macula_view": (
        "a field centred on the macula",
        "the optic disc at one side of the picture",
        "the fovea in the middle of the photograph",
        "a macula-centred posterior pole",
        "the nerve head near the edge of the field",
    ),
    "disc_view": (
        "a field centred on the optic disc",
        "a close view of the optic nerve head",
        "the disc in the middle of the photograph",
        "vessels radiating from a central disc",
        "a disc-centred picture",
    ),
    "dots": (
        "pinpoint red microaneurysms",
        "scattered tiny red dots",
        "many small dot hemorrhages",
        "microaneurysms near the macula",
        "punctate red spots over the posterior pole",
        "small red dots along venules",
    ),
    "blots": (
        "dark blot hemorrhages",
        "flame-shaped retinal haemorrhages",
        "large dark red patches of blood",
        "intraretinal bleeding in several quadrants",
        "deep round blots with smudged borders",
        "streaks and blotches of retinal hemorrhage",
    ),
    "exudates": (
        "yellow hard exudates",
        "waxy yellow lipid deposits",
        "a ring of bright yellow flecks",
        "hard exudates clustered near the macula",
        "a star of yellow plaques",
        "sharp-edged lipid exudates from leaking vessels",
    ),
    "cotton_wool": (
        "fluffy white cotton-wool spots",
        "soft exudates along the arcade",
        "pale feathery nerve fiber infarcts",
        "fuzzy white patches hiding small vessels",
        "cotton wool patches of ischemia",
    ),
    "new_vessels": (
        "neovascularization on the disc",
        "fine lacy new vessels",
        "fronds of abnormal vessels",
        "a tangle of fragile red vessels",
        "proliferating tortuous capillaries",
    ),
    "small_cup": (
        "a small central cup",
        "a cup-to-disc ratio of about three tenths",
        "a pink even neuroretinal rim",
        "a healthy optic disc with a small physiologic cup",
        "an intact rim of normal width on every side",
        "a pink-orange disc with a normal cup",
    ),
    "large_cup": (
        "an enlarged optic cup",
        "an increased cup-to-disc ratio",
        "a deep excavation of the optic disc",
        "a thin neuroretinal rim around an excavated hollow",
        "vertical elongation of the cup with rim thinning",
        "a cup occupying most of the disc",
        "optic nerve head cupping",
    ),
    "pale_disc": (
        "a pale optic disc",
        "a chalk-white nerve head",
        "disc pallor from loss of nerve tissue",
        "a whitish atrophic optic nerve",
        "a bright yellow-white disc",
    ),
    "atrophy": (
        "peripapillary atrophy",
        "a pale crescent beside the disc",
        "a beta zone of bare sclera around the nerve head",
        "a light halo bordering the optic disc",
        "a broad temporal crescent with visible choroid",
    ),
    "nerve_defect": (
        "a dark wedge-shaped nerve fiber layer defect",
        "loss of nerve fiber striations",
        "an arcuate defect extending from the disc",
        "thinning of the retinal nerve fiber layer",
        "a dark arcuate band towards the arcade",
    ),
    "reflex": (
        "a bright foveal reflex",
        "an evenly pigmented macula",
        "a pinpoint of light in a darker oval macula",
        "a normal macula with a healthy glint",
        "a uniform dark foveal spot free of lesions",
    ),
    "clear": (
        "clear media with sharp vessels",
        "crisp vessels down to the third branches",
        "a sharply focused fundus",
        "well-defined smooth vessels on a uniform reddish orange background",
        "a clear view of all retinal details",
        "arteries and veins branching smoothly",
    ),
    "haze": (
        "a mild milky haze",
        "slightly blurred vessels",
        "reduced contrast between vessels and background",
        "a soft-focus washed-out fundus",
        "details dimmed as if seen through mist",
    ),
    "dense_haze": (
        "a dense fog veiling the fundus",
        "a milky veil that obscures the whole retina",
        "severe blur with hardly visible disc and vessels",
        "a featureless hazy gray view",
        "lens opacity hiding all retinal landmarks",
        "an opaque lens scattering the light",
    ),
    "amber": (
        "a yellow-brown tint",
        "an amber color from nuclear sclerosis",
        "a brownish yellow discolored view",
        "a tea-colored fundus",
        "a brunescent yellowed lens",
    ),
    "lens_shadows": (
        "spoke-like dark shadows from the rim",
        "cortical opacities reaching inward",
        "a dark smudge of lens opacity before the retina",
        "patchy shadows of irregular outline",
        "wedge-shaped lens opacities",
    ),
}


def draw(rng: Generator, attributes: frozenset[str]) -> np.ndarray:
    """Colour picture [64, 64, 3] of a fundus with these attributes."""
    fundus = draw_fundus(rng, "disc_view" in attributes)
    if "reflex" in attributes:
        add_reflex(rng, fundus)
    if "nerve_defect" in attributes:
        add_defect(rng, fundus)
    cup = next((cup for cup in ("small_cup", "large_cup") if cup in attributes), "")
    add_disc(rng, fundus, cup, "pale_disc" in attributes, "atrophy" in attributes)
    add_vessels(rng, fundus, "clear" in attributes)
    _lesions(rng, attributes, fundus)
    return _media(rng, attributes, fundus.image) * fundus.field[..., None]


def _lesions(rng: Generator, attributes: frozenset[str], fundus: Fundus) -> None:
    """What leaks from the vessels, and new vessels."""
    image = fundus.image
    retina = (fundus.field > 0.5) & (np.hypot(X - fundus.disc[0], Y - fundus.disc[1]) > fundus.radius * 1.2)
    if "cotton_wool" in attributes:
        for x, y in scatter(rng, retina, int(rng.integers(2, 5))):
            patch, _ = blob(rng, x, y, *rng.uniform(0.08, 0.15, 2), rng.uniform(0, 3), 0.2, 0.5)
            image = paint(image, patch * 0.9, (0.97, 0.9, 0.78))
    if "blots" in attributes:
        for x, y in scatter(rng, retina, int(rng.integers(4, 9))):
            patch, _ = blob(rng, x, y, *rng.uniform(0.06, 0.15, 2), rng.uniform(0, 3), 0.2, 0.15)
            image = paint(image, patch * 0.92, (0.36, 0.03, 0.03))
    if "exudates" in attributes:
        centres = scatter(rng, retina & (np.hypot(X, Y) < 0.6), 2)
        where = np.repeat(centres, 9, 0) + rng.normal(0, rng.uniform(0.1, 0.2), (18, 2))
        image = paint(image, dots(rng, where, 0.045, 0.4, 0.4), (1.0, 0.92, 0.3))
    if "dots" in attributes:
        where = scatter(rng, retina, int(rng.integers(14, 28)))
        image = paint(image, dots(rng, where, 0.047, 0.2) * 0.95, (0.4, 0.0, 0.02))
    if "new_vessels" in attributes:
        x, y = fundus.disc if rng.random() < 0.5 else rng.uniform(-0.5, 0.5, 2)
        tangle = np.zeros_like(X)
        for _ in range(12):
            bend = rng.choice((-1, 1)) * rng.uniform(2, 5)
            tangle = np.maximum(tangle, stroke(x, y, rng.uniform(0, 6.3), rng.uniform(0.24, 0.4), 0.026, bend))
        image = paint(image, tangle * 0.9, (0.72, 0.02, 0.06))
    fundus.image = image


def _media(rng: Generator, attributes: frozenset[str], image: np.ndarray) -> np.ndarray:
    """The lens before the retina: blur and veil, tint, shadows."""
    veil = rgb(rng, (0.68, 0.8), (0.5, 0.6), (0.34, 0.46))
    if {"haze", "dense_haze"} & attributes:
        passes, strength = (6, rng.uniform(0.56, 0.72)) if "dense_haze" in attributes else (2, rng.uniform(0.3, 0.45))
        for _ in range(passes):
            image = sum(np.roll(image, shift, axis) for shift in (-1, 1) for axis in (0, 1)) / 4
        image = image * (1 - strength) + veil * strength * (1 + 0.05 * noise(rng, 3))[..., None]
    if "amber" in attributes:
        image = image * (rng.uniform(0.8, 0.88), rng.uniform(0.78, 0.88), rng.uniform(0.15, 0.3))
    if "lens_shadows" in attributes:
        start, count = rng.uniform(0, 6.3), int(rng.integers(3, 6))
        for i in range(count):
            angle = start + i * 6.28 / count + rng.uniform(-0.4, 0.4)
            x, y = 0.9 * np.cos(angle), 0.9 * np.sin(angle)
            wedge, _ = blob(rng, x, y, rng.uniform(0.35, 0.6), 0.13, angle, 0.12, 0.25)
            image = image * (1 - 0.6 * wedge)[..., None]
    return image


PHANTOM = Phantom("RETINA", CLASSES, MODALITY, PHRASES, draw)
