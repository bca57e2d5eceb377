"""Endoscopy: a piece of the digestive tract with its landmarks, lesions, inflammation and blue dye."""

from __future__ import annotations

import numpy as np
from numpy.random import Generator

from . import gut
from .canvas import SIZE, X, Y, blob, dots, noise, paint, rgb, scatter, sigmoid
from .spec import Phantom

CLASSES = {
    "dyed lifted polyps": {
        "view": {"close": 0.62, "haustra": 0.38},
        "dye": 0.93,
        "relief": {"mound": 0.8, "flat_defect": 0.08, "": 0.12},
        "coagulation": 0.1,
        "bleeding": 0.08,
        "stool": 0.12,
    },
    "dyed resection margins": {
        "view": {"close": 0.72, "haustra": 0.28},
        "dye": 0.93,
        "relief": {"flat_defect": 0.78, "mound": 0.1, "": 0.12},
        "coagulation": 0.55,
        "bleeding": 0.35,
        "stool": 0.1,
    },
    "esophagitis": {
        "view": {"two_tone": 1.0},
        "line": {"ragged_line": 0.66, "sharp_line": 0.22, "": 0.12},
        "erosions": 0.8,
        "exudate": 0.42,
        "bleeding": 0.1,
    },
    "normal cecum": {
        "view": {"blind_pouch": 0.68, "haustra": 0.24, "close": 0.08},
        "crescent": 0.66,
        "valve": 0.45,
        "vessels": 0.64,
        "stool": 0.4,
        "relief": {"": 0.9, "mound": 0.1},
    },
    "normal pylorus": {
        "view": {"antrum": 0.92, "two_tone": 0.08},
        "opening": {"round_opening": 0.86, "": 0.14},
        "bile": 0.25,
        "erythema": 0.1,
    },
    "normal z line": {
        "view": {"two_tone": 1.0},
        "line": {"sharp_line": 0.76, "ragged_line": 0.16, "": 0.08},
        "opening": {"": 0.9, "round_opening": 0.1},
        "erosions": 0.1,
        "exudate": 0.06,
    },
    "polyps": {
        "view": {"close": 0.52, "haustra": 0.4, "blind_pouch": 0.08},
        "relief": {"mound": 0.68, "stalk": 0.32},
        "vessels": 0.5,
        "lobulated": 0.42,
        "stool": 0.15,
        "dye": 0.03,
    },
    "ulcerative colitis": {
        "view": {"haustra": 0.56, "close": 0.44},
        "erythema": 0.8,
        "granular": 0.74,
        "exudate": 0.56,
        "bleeding": 0.46,
        "vessels": 0.06,
        "relief": {"": 0.88, "mound": 0.12},
    },
}

MODALITY = (
    "endoscopy image",
    "endoscopic view of the gastrointestinal tract",
    "GI endoscopy frame",
    "white light endoscopic picture",
    "endoscopic photograph",
    "videoendoscopy still",
)

PHRASES = {
    "close": (
        "a close view of the mucosal surface",
        "mucosa seen face on",
        "the wall of the bowel filling the whole frame",
        "a close-up of pink mucosa without a visible lumen",
        "an en face view of the lining",
    ),
    "haustra": (
        "haustral folds around the colonic lumen",
        "semilunar folds receding into a dark lumen",
        "a tunnel-like view along the bowel",
        "a triangular lumen of the transverse colon",
        "crescent-shaped folds of the large bowel",
        "a tubular colonic segment with concentric folds",
    ),
    "two_tone": (
        "pale pink squamous mucosa meeting salmon-red columnar mucosa",
        "the squamocolumnar junction of the distal esophagus",
        "two colors of mucosa at the gastroesophageal junction",
        "a change from pearly white to reddish lining",
        "the lower esophagus with its tubular lumen opening into the stomach",
        "a color change at the cardia between esophageal and gastric epithelium",
    ),
    "antrum": (
        "smooth antral mucosa converging on one point",
        "the distal gastric antrum",
        "a funnel of smooth stomach wall",
        "smooth glistening gastric folds radiating towards an outlet",
        "circular peristaltic folds of the stomach",
        "a muscular ring at the gastric outlet",
    ),
    "blind_pouch": (
        "the blind end of the large bowel",
        "a sac-like pouch with no lumen beyond",
        "converging tri-radiate folds like a crow's foot",
        "the fused taeniae coli meeting at one point",
        "a wide blind pouch of the proximal colon",
        "the caput of the ascending colon with three muscle bands",
    ),
    "crescent": (
        "the appendiceal orifice",
        "a crescent-shaped slit at the base",
        "a small curved opening of the appendix",
        "a semilunar dimple in the wall",
        "the opening of the appendix in the centre of whorled folds",
    ),
    "valve": (
        "the ileocecal valve",
        "a yellowish lip-like thickened fold",
        "the bilabial valve of the terminal ileum",
        "a fatty bulging fold at the side",
        "a prominent valve with two lips",
    ),
    "round_opening": (
        "a round central opening",
        "a circular dark aperture leading into the duodenum",
        "a symmetric ring-shaped orifice",
        "a short round canal into the duodenal bulb",
        "a central black circular hole with an even muscular rim",
        "a patent sphincter",
    ),
    "bile": (
        "a pool of yellow bile",
        "bile-stained fluid",
        "yellow-green foamy secretions",
        "clear yellowish gastric juice with bubbles",
        "refluxed bile",
    ),
    "sharp_line": (
        "a sharp regular circumferential border",
        "a well defined smooth demarcation line",
        "a serrated but even contour",
        "a complete crisp boundary without breaks",
        "a thin continuous circular line",
    ),
    "ragged_line": (
        "an irregular blurred border",
        "an indistinct ragged junction",
        "tongues of red mucosa extending upwards",
        "a jagged flame-shaped margin",
        "a disrupted uneven transition",
    ),
    "erosions": (
        "linear mucosal breaks",
        "red longitudinal erosions",
        "streaks of erythema running up the folds",
        "reddened linear ulcerations above the junction",
        "inflamed red streaks from acid reflux",
        "friable erosive lesions of the distal mucosa",
    ),
    "exudate": (
        "whitish exudate",
        "yellow-white fibrin coated ulcers",
        "patches of mucopurulent material",
        "shallow ulcers with a pale base",
        "white slough covering the inflamed surface",
        "creamy fibrinous plaques",
    ),
    "dye": (
        "blue dye staining",
        "indigo carmine coloring the submucosa blue",
        "methylene blue on the mucosa",
        "blue fluid injected beneath the mucosa",
        "blue stained tissue",
        "a blue-green halo of chromoendoscopy",
    ),
    "mound": (
        "a raised sessile lesion",
        "a dome-shaped bump protruding from the mucosa",
        "a rounded bulging protrusion",
        "a broad-based mucosal elevation",
        "a nodular swelling raised from the wall",
        "a smooth round mass protruding into the lumen",
    ),
    "stalk": (
        "a pedunculated growth",
        "a round head hanging on a stalk",
        "a mushroom-like protrusion on a pedicle",
        "a lesion attached by a narrow neck",
        "a long stalk with a red head",
    ),
    "flat_defect": (
        "a flat mucosal defect with exposed submucosa",
        "a clean floor where the lesion was excised",
        "a crater left after endoscopic removal",
        "a post-mucosectomy wound bed",
        "a sharply cut edge around a raw surface",
        "an ulcer-like hole where tissue has been cut away",
    ),
    "coagulation": (
        "whitish coagulated edges",
        "a cautery burn along the rim",
        "brown diathermy marks",
        "a white rim of thermal injury",
        "charred cut edges after snare excision",
    ),
    "bleeding": (
        "spots of fresh blood",
        "contact bleeding",
        "oozing blood",
        "bright red haemorrhagic points",
        "streaks of blood on a friable surface",
    ),
    "stool": (
        "residual stool",
        "brown-yellow faecal remnants",
        "turbid liquid residue",
        "flecks of faeces on the wall",
        "incomplete bowel preparation",
    ),
    "vessels": (
        "a clearly visible vascular pattern",
        "fine branching submucosal vessels",
        "a regular network of thin red vessels",
        "preserved vascular markings of healthy mucosa",
        "arborising capillaries shining through the surface",
    ),
    "lobulated": (
        "a lobulated surface",
        "a cerebriform pit pattern",
        "a nodular adenomatous texture",
        "a villous irregular surface",
        "a cobbled reddish head",
    ),
    "erythema": (
        "diffuse erythema",
        "intensely reddened mucosa",
        "continuous red inflammation",
        "a hyperaemic swollen wall",
        "diffusely inflamed red lining",
    ),
    "granular": (
        "a granular mucosa",
        "a sandpaper-like rough texture",
        "coarse granularity with loss of the vascular pattern",
        "a friable oedematous surface",
        "fine nodularity of the inflamed mucosa",
        "loss of normal vessels and a grainy surface",
    ),
}

BLOOD, SLOUGH, BLUE, RESIDUE = (0.5, 0.0, 0.03), (0.96, 0.92, 0.76), (0.16, 0.32, 0.7), (0.55, 0.4, 0.1)


def draw(rng: Generator, attributes: frozenset[str]) -> np.ndarray:
    """Colour picture [64, 64, 3] of a piece of the digestive tract with these attributes."""
    image = np.ones((SIZE, SIZE, 3), np.float32) * rgb(rng, (0.84, 0.95), (0.5, 0.64), (0.4, 0.52))
    if "erythema" in attributes:
        red = rgb(rng, (0.74, 0.86), (0.2, 0.3), (0.17, 0.26))
        image = paint(image, np.clip(0.8 + 0.2 * noise(rng, 3), 0, 1), red)
    if "granular" in attributes:
        image = image * (1 + 0.16 * noise(rng, 26) + 0.06 * noise(rng, 14))[..., None]
    if "vessels" in attributes:
        image = gut.vessels(rng, image)
    image = _view(rng, attributes, image)
    dye = "dye" in attributes
    if dye:
        image = paint(image, sigmoid((noise(rng, 3) - 0.2) / 0.3) * rng.uniform(0.4, 0.65), BLUE)
    if "erosions" in attributes:
        image = gut.erosions(rng, image)
    if {"flat_defect", "coagulation"} & attributes:
        image = gut.wound(rng, image, "flat_defect" in attributes, "coagulation" in attributes)
    if {"mound", "stalk"} & attributes:
        image = gut.growth(rng, image, "stalk" in attributes, "lobulated" in attributes, BLUE if dye else None)
    anywhere = np.hypot(X, Y) < 0.85
    if "exudate" in attributes:
        slough = np.clip(noise(rng, 7) + 0.5 * noise(rng, 16) - 1.1, 0, 0.5) * 2
        image = paint(image, slough * 0.95, SLOUGH)
    if "bleeding" in attributes:
        for x, y in scatter(rng, anywhere, int(rng.integers(3, 6))):
            drop, _ = blob(rng, x, y, *rng.uniform(0.08, 0.18, 2), rng.uniform(0, 3), 0.15, 0.2)
            image = paint(image, drop * 0.9, BLOOD)
    if "stool" in attributes:
        image = paint(image, np.clip(noise(rng, 9) - 1.0, 0, 0.5) * 1.9, RESIDUE)
    if "bile" in attributes:
        pool, _ = blob(rng, rng.uniform(-0.7, 0.7), rng.uniform(0.55, 0.8), 0.6, 0.28, 0, 0.15, 0.15)
        image = paint(image, pool * 0.8, (0.85, 0.68, 0.12))
        image = paint(image, dots(rng, scatter(rng, pool, 8), 0.06) * 0.6, (0.97, 0.92, 0.6))
    return gut.film(rng, image)


def _view(rng: Generator, attributes: frozenset[str], image: np.ndarray) -> np.ndarray:
    """The wall as it lies before the lens, with its landmarks."""
    opened, crescent = "round_opening" in attributes, "crescent" in attributes
    if "two_tone" in attributes:
        line = next((line for line in ("sharp_line", "ragged_line") if line in attributes), "")
        image = gut.junction(rng, image, line, opened)
    elif "antrum" in attributes:
        image = gut.antrum(rng, image, opened)
    elif "blind_pouch" in attributes:
        image = gut.blind_pouch(rng, image, crescent)
    else:
        image = (gut.haustra if "haustra" in attributes else gut.close_up)(rng, image)
        if crescent:
            image = gut.slit(rng, image, tuple(rng.uniform(-0.5, 0.5, 2)), 0.25)
    if "valve" in attributes:
        image = gut.valve(rng, image)
    return image


PHANTOM = Phantom("Kvasir", CLASSES, MODALITY, PHRASES, draw)
