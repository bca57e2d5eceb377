"""Which pixels of a phantom belong to a lesion: held against the same pictures drawn without their lesions."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import pytest
from scipy.ndimage import binary_dilation

from datasets.phantoms import PHANTOMS, coverage, gut, octmnist, sample, sample_with_lesion
from datasets.phantoms.canvas import SIZE, Y, blob, paint
from datasets.phantoms.folder import Counts
from datasets.phantoms.lesion import cover_lesion, note_lesion, noting_lesions, paint_lesion
from datasets.phantoms.sheet import YELLOW, draw_lesions

LESIONS = [key for key, phantom in PHANTOMS.items() if phantom.lesion]
EXPECTED = {  # classes of which most pictures show what is counted
    "btmri": ["glioma tumor", "meningioma tumor", "pituitary tumor"],
    "busi": ["benign tumor", "malignant tumor"],
    "covid": ["covid lungs", "lung opacity lungs"],
    "ctkidney": ["cyst kidney", "kidney stone", "kidney tumor"],
    "dermamnist": list(PHANTOMS["dermamnist"].classes),
    "kvasir": ["dyed lifted polyps", "dyed resection margins", "esophagitis", "polyps"],
    "lmri": ["liver neoplasm"],
    "octmnist": ["choroidal neovascularization", "diabetic macular edema", "drusen"],
    "pmri": ["pancreatic cyst", "pancreatic neoplasm"],
    "retina": ["diabetic retinopathy"],
}
# Attributes that draw what is counted. A picture without any of them has no mask; nearly every other has one.
DRAWN = {
    "covid": {"ground_glass", "consolidation", "effusion"},
    "kvasir": {"mound", "stalk", "flat_defect", "coagulation", "erosions"},
    "octmnist": {"bumps", "irregular_rpe", "material", "subretinal_fluid", "cysts", "foci"},
    "retina": {"dots", "blots", "exudates", "cotton_wool", "new_vessels"},
    "ctkidney": {"water", "solid", "necrotic", "stone", "staghorn"},
    "pmri": {"one_cyst", "cyst_cluster", "solid"},
    "lmri": {"single", "target", "metastases"},
    "busi": {"mass", "faint_nodule"},
    "btmri": {"hemispheric", "dural", "sellar"},
}
# What carries a lesion beyond its outline: a blur; an outline drawn tighter than the paint; a boundary that moves.
WIDER = {"retina": {"haze", "dense_haze", "new_vessels"}, "covid": {"effusion"}, "octmnist": {"bumps", "irregular_rpe"}}


class Case(NamedTuple):
    """A picture before its acquisition, the same without its lesions, and what was noted while they were drawn."""

    picture: np.ndarray
    without: np.ndarray
    region: np.ndarray
    mask: np.ndarray


def cases(key: str, classname: str, count: int, leave_out: set[str] = frozenset()) -> Iterator[Case]:
    phantom = PHANTOMS[key]
    for seed in range(count):
        attributes = phantom.draw_attributes(np.random.default_rng([seed, 1]), classname) - leave_out
        with noting_lesions() as lesions:
            picture = phantom.draw(np.random.default_rng(seed), attributes)
        with noting_lesions(painted=False) as again:
            without = phantom.draw(np.random.default_rng(seed), attributes)
        assert np.array_equal(lesions.region, again.region)
        yield Case(picture, without, lesions.region, lesions.mask)


def difference(case: Case) -> np.ndarray:
    """The largest difference of a channel at each pixel, [64, 64]."""
    found = np.abs(np.clip(case.picture, 0, 1) - np.clip(case.without, 0, 1))
    return found if found.ndim == 2 else found.max(2)


@pytest.fixture
def steady_lamp(monkeypatch):
    """The lamp is reflected where an endoscopic picture is brightest, and so elsewhere without the lesion."""
    monkeypatch.setattr(gut, "add_camera_traces", lambda rng, image: image)


@pytest.mark.parametrize("key", LESIONS)
@pytest.mark.usefixtures("steady_lamp")
def test_pictures_with_and_without_the_lesion_differ_within_its_outline_alone(key):
    changed, shown = [], 0
    for classname in PHANTOMS[key].classes:
        for case in cases(key, classname, 30, WIDER.get(key, set())):
            away = ~binary_dilation(case.region > 0.03, iterations=1)
            assert difference(case)[away].max(initial=0) < 0.03
            if case.mask.any():
                shown += 1
                changed.append((difference(case)[case.mask] > 0.02).mean())
    assert shown > 20 and np.median(changed) > 0.8 and np.mean(np.array(changed) > 0.5) > 0.85


def test_a_faint_opacity_is_outlined_where_it_is_half_as_strong_as_in_its_middle():
    faint = frozenset({"ground_glass", "unilateral"})
    within = []
    for seed in range(30):
        with noting_lesions() as lesions:
            picture = PHANTOMS["covid"].draw(np.random.default_rng(seed), faint)
        with noting_lesions(painted=False):
            without = PHANTOMS["covid"].draw(np.random.default_rng(seed), faint)
        changed = np.abs(picture - without)
        within.append(lesions.mask[changed > 0.6 * changed.max()].mean())
    assert np.mean(within) > 0.9 and min(within) > 0.7


@pytest.mark.parametrize("key", sorted(set(PHANTOMS) - set(LESIONS)))
def test_data_sets_without_lesions_note_none(key):
    for classname in PHANTOMS[key].classes:
        for case in cases(key, classname, 5):
            assert not case.region.any() and np.array_equal(case.picture, case.without)


@pytest.mark.parametrize("key", DRAWN)
def test_pictures_whose_attributes_name_no_lesion_have_no_mask(key):
    empty, shown = [], []
    for classname in PHANTOMS[key].classes:
        for seed in range(40):
            _, attributes, mask = sample_with_lesion(key, classname, (7, seed))
            (shown if attributes & DRAWN[key] else empty).append(mask.any())
    assert len(empty) > 5 and not any(empty)
    assert len(shown) > 20 and np.mean(shown) > 0.97


@pytest.mark.parametrize("key", LESIONS)
def test_classes_that_show_a_lesion_mostly_have_one_of_a_sensible_size(key):
    found = coverage.measure(PHANTOMS[key], Counts(test_total=40 * len(PHANTOMS[key].classes)))
    assert found.mostly == EXPECTED[key]
    assert 0.02 < found.size < 0.25
    for classname in EXPECTED[key]:
        sizes = [sample_with_lesion(key, classname, (8, seed))[2].mean() for seed in range(30)]
        assert max(sizes) < 0.6, "a mask covers nearly all of the picture"


def test_the_picture_is_that_of_sample():
    for key in LESIONS:
        classname = next(iter(PHANTOMS[key].classes))
        picture, attributes, mask = sample_with_lesion(key, classname, 3, "atlas")
        same, drawn = sample(key, classname, 3, "atlas")
        assert np.array_equal(picture, same) and attributes == drawn
        assert mask.shape == (SIZE, SIZE) and mask.dtype == bool


def test_drusen_are_what_the_lifted_boundary_encloses():
    for seed in range(20):
        attributes = frozenset({"bumps" if seed % 2 else "irregular_rpe", "pit"})
        scan = octmnist._draw_boundaries(np.random.default_rng(seed), attributes)
        with noting_lesions() as lesions:
            octmnist.draw(np.random.default_rng(seed), attributes)
        inside = (scan.rpe < Y) & (scan.bruch > Y)
        assert inside.sum() > 30 and (inside != lesions.mask).sum() <= 0.1 * inside.sum() + 4


def test_a_lesion_is_noted_by_the_shape_that_it_is_given():
    disc, _ = blob(np.random.default_rng(0), 0, 0, 0.4, 0.4)
    with noting_lesions() as lesions:
        picture = paint_lesion(np.zeros((SIZE, SIZE)), disc * 0.3, 1.0, shape=disc)
    assert np.array_equal(lesions.mask, disc > 0.5) and picture.max() == pytest.approx(0.3, abs=0.01)
    assert np.array_equal(picture, paint(np.zeros((SIZE, SIZE)), disc * 0.3, 1.0))
    with noting_lesions() as other:
        note_lesion(disc * 0.4)
    assert not other.mask.any()


def test_rings_are_filled_and_what_is_covered_is_cut_out():
    _, radius = blob(np.random.default_rng(0), 0, 0, 0.5, 0.5)
    with noting_lesions() as lesions:
        note_lesion((np.abs(radius - 0.8) < 0.2).astype(float))
        assert np.array_equal(lesions.mask, radius < 1)
        cover_lesion(Y > 0)
    assert np.array_equal(lesions.region > 0, (np.abs(radius - 0.8) < 0.2) & (Y < 0))


def test_nothing_is_noted_outside_the_block_or_in_another():
    with noting_lesions() as outer:
        with noting_lesions() as inner:
            note_lesion(np.ones((SIZE, SIZE)))
        assert inner.mask.all() and not outer.mask.any()
    note_lesion(np.ones((SIZE, SIZE)))
    assert not outer.mask.any()


def test_the_sheet_has_a_row_per_data_set_with_yellow_outlines():
    sheet = draw_lesions(columns=2).convert("RGB")
    side = 2 * SIZE
    assert sheet.height == side * len(LESIONS)
    for row in range(len(LESIONS)):
        cells = np.asarray(sheet.crop((sheet.width - 2 * side, row * side, sheet.width, (row + 1) * side)))
        for cell in np.split(cells, 2, axis=1):
            yellow = np.abs(cell.astype(int) - YELLOW).max(2) < 12
            assert 10 < yellow.sum() < cell[..., 0].size / 3
