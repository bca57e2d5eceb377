"""The pictures of the phantoms."""

from __future__ import annotations

import numpy as np
import pytest

from datasets.phantoms import PHANTOMS, VERSION, sample
from datasets.phantoms.canvas import SIZE, blob, dots, noise, paint, spread, stroke
from datasets.phantoms.sheet import LABEL, draw_sheet

CASES = [(key, name) for key, phantom in PHANTOMS.items() for name in phantom.classes]

# Mean grey value of one picture per data set and the attributes it shows, of this version of the renderer.
GOLDEN_VERSION = 5
GOLDEN = {
    ("btmri", "pituitary tumor"): (53.346, {"atrophy", "axial", "patchy", "sellar", "small", "smooth"}),
    ("busi", "malignant tumor"): (59.055, {"fatty", "homogeneous", "mass", "shadowing", "spiculated", "tall"}),
    ("chmnist", "immune cells"): (128.838, {"dense_small", "fibres"}),
    ("cmri", "atrial fibrillation"): (72.784, {"even_wall", "four_chamber", "ghosts", "normal_atria", "normal_cavity"}),
    ("covid", "viral pneumonia lungs"): (111.264, {"bilateral", "ground_glass", "perihilar"}),
    ("ctkidney", "kidney stone"): (96.083, {"coronal", "no_mass", "stone"}),
    ("dermamnist", "dermatofibroma"): (143.180, {"blurred", "scar", "small", "tan"}),
    ("kneexray", "doubtful osteoarthritis"): (89.083, {"lipping", "plain", "preserved"}),
    ("kvasir", "dyed resection margins"): (101.203, {"close", "coagulation", "dye", "flat_defect"}),
    ("lmri", "fatty liver disease"): (91.570, {"no_lesion", "signal_loss", "smooth", "t2", "thick_fat"}),
    ("lungcolon", "colon benign tissue"): (166.931, {"bland", "crypts"}),
    ("octmnist", "diabetic macular edema"): (49.454, {"broken_bands", "bulge", "cysts", "foci", "smooth_rpe"}),
    ("pmri", "type 2 diabetes"): (
        93.776,
        {"atrophic", "fatty_liver", "lobulated", "marbled", "no_lesion", "t2", "visceral_fat"},
    ),
    ("retina", "glaucoma"): (79.797, {"disc_view", "haze", "large_cup", "pale_disc"}),
}


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


@pytest.mark.parametrize(("key", "classname"), CASES)
def test_pictures_are_reproducible_and_fill_the_range(key, classname):
    picture, attributes = sample(key, classname, (7, 1))
    again, same = sample(key, classname, (7, 1))
    other, _ = sample(key, classname, (7, 2))
    assert picture.shape == (SIZE, SIZE, 3) and picture.dtype == np.uint8
    assert np.array_equal(picture, again) and attributes == same
    assert not np.array_equal(picture, other)
    assert picture.std() > 2


def test_styles_show_the_same_case_and_differ_systematically():
    for key, phantom in PHANTOMS.items():
        classname = next(iter(phantom.classes))
        pairs = [(sample(key, classname, i, "atlas"), sample(key, classname, i, "clinic")) for i in range(12)]
        assert all(atlas[1] == clinic[1] for atlas, clinic in pairs)
        blue = [[picture[..., 2].mean() for picture, _ in pair] for pair in pairs]
        assert np.mean(blue, 0)[1] < 0.95 * np.mean(blue, 0)[0], "clinic pictures are darker and less blue"


def test_golden_pictures_belong_to_this_version():
    assert GOLDEN_VERSION == VERSION, "the renderer's version changed: renew the golden values"
    for (key, classname), (mean, attributes) in GOLDEN.items():
        picture, drawn = sample(key, classname, 5)
        assert drawn == attributes
        assert picture.mean() == pytest.approx(mean, abs=0.05), "pictures changed: count VERSION up in registry.py"
    assert {key for key, _ in GOLDEN} == set(PHANTOMS)


def test_canvas_shapes_have_the_geometry_they_are_asked_for():
    mask, radius = blob(rng(), 0.25, -0.25, 0.4, 0.2)
    assert mask[24, 40] > 0.99 and mask[0, 0] < 1e-3  # pixel (24, 40) lies at (0.27, -0.23)
    assert mask.sum() * (2 / SIZE) ** 2 == pytest.approx(np.pi * 0.4 * 0.2, rel=0.05)
    assert radius.min() < 0.2
    field = noise(rng(), 8)
    assert field.mean() == pytest.approx(0, abs=1e-5) and field.std() == pytest.approx(1, abs=1e-3)
    line = stroke(-0.5, 0.0, 0.0, 1.0, 0.05)
    assert line[32, 32] > 0.8 and line[32, 2] < 0.05 and line[60, 32] < 1e-6
    spots = dots(rng(), np.array([[0.0, 0.0]]), 0.1, vary=0, oval=0)
    assert spots[32, 32] > 0.9 and spots[32, 45] < 1e-3
    assert len(spread(rng(), 0.5)) > len(spread(rng(), 1.0)) >= 4
    assert np.allclose(paint(np.zeros((SIZE, SIZE, 3)), mask, (1, 0.5, 0))[24, 40], (1, 0.5, 0), atol=0.02)


def test_contact_sheet_has_a_row_per_class():
    sheet = draw_sheet(PHANTOMS["btmri"], columns=2)
    assert sheet.size == (LABEL + 4 * SIZE, 4 * SIZE)
