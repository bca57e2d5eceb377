"""Sets of classes: against a search by hand, and by the coverage that exchangeable data must have."""

import itertools
import json
import math
import shutil

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import train
from dassl.errors import UserError
from runs import calibration, conformal
from runs.predictor import Predictor
from tests.gpu.sides import options
from tests.run_folders import run_folder

COVERAGES = st.sampled_from([0.05, 0.3, 0.5, 0.55, 0.8, 0.9, 0.95, 0.99])


@given(st.lists(st.integers(0, 100), min_size=1, max_size=40), COVERAGES)
def test_the_threshold_is_the_smallest_that_covers_enough(counted, coverage):
    """Of all scores, the smallest q with at least (n + 1) coverage scores at or below it."""
    scores = torch.tensor(counted) / 128
    enough = [
        q
        for q in sorted(scores.tolist())
        if sum(s <= q for s in scores.tolist()) >= round((len(counted) + 1) * coverage, 9)
    ]
    assert conformal.threshold(scores, coverage) == (enough[0] if enough else math.inf)
    assert math.isinf(conformal.threshold(scores, coverage)) == (len(counted) < conformal.least(coverage))


@given(st.integers(1, 6), COVERAGES)
def test_over_all_orders_of_exchangeable_images_the_coverage_holds(n, coverage):
    """Each of n + 1 distinct scores is the new one equally often."""
    values = torch.arange(1.0, n + 2) / 16
    hits = []
    for new in range(n + 1):
        rest = torch.cat([values[:new], values[new + 1 :]])
        hits.append(values[new].item() <= conformal.threshold(rest, coverage))
    reached = sum(hits) / (n + 1)
    assert reached >= coverage - 1e-9
    assert reached < coverage + 1 / (n + 1) or n < conformal.least(coverage)


def test_simulated_images_are_covered_as_asked():
    generator = torch.Generator().manual_seed(0)
    shares = []
    for _ in range(300):
        logits = 2 * torch.randn(150, 4, generator=generator)
        labels = torch.multinomial((0.7 * logits).softmax(dim=1), 1, generator=generator).squeeze(1)  # overconfident
        p = logits.softmax(dim=1)
        q = conformal.threshold(conformal.scores(p[:50], labels[:50]), 0.9)
        shares.append(conformal.covered(conformal.sets(p[50:], q), labels[50:]))
    mean = sum(shares) / len(shares)
    assert 0.9 - 0.01 < mean < 0.9 + 1 / 51 + 0.01
    naive = [p.topk(1, dim=1).indices.squeeze(1) == labels]
    assert naive[0].double().mean() < 0.85  # so that one class alone would not do


def test_sets_and_figures_by_hand():
    p = torch.tensor([[0.5, 0.3, 0.2], [0.1, 0.8, 0.1], [0.25, 0.25, 0.5]])
    members = conformal.sets(p, 0.75)
    assert members.tolist() == [[True, True, False], [False, True, False], [True, True, True]]
    for labels in itertools.product(range(3), repeat=3):
        expected = sum(members[i][y].item() for i, y in enumerate(labels)) / 3
        assert conformal.covered(members, torch.tensor(labels)) == pytest.approx(expected)
    assert conformal.mean_size(members) == 2.0 and conformal.sets(p, math.inf).all()


@pytest.fixture
def predictor(flags, tmp_path, tiny):
    assert train.main(flags("CoOp", "OPTIM.LR", 0.05)) == 0
    return Predictor.from_run(run_folder(tmp_path, "CoOp"))


def test_a_run_is_calibrated_on_validation_images_and_told_on_test_images(predictor):
    found = calibration.calibrate(predictor, 0.7)
    data = predictor.trainer
    features = {part: data.plain_features(predictor.dataset().records(part)) for part in ("val", "test")}
    labels = {part: torch.tensor(predictor.dataset().labels(part)) for part in ("val", "test")}
    p = {part: predictor.probabilities(x) for part, x in features.items()}
    held = sorted(1 - p["val"][i, y].item() for i, y in enumerate(labels["val"]))
    assert predictor.dataset("another part") is predictor.dataset()
    assert (found.images, found.tested) == (8, 20) and found.threshold == pytest.approx(held[6])  # ceil(9 * 0.7) = 7th
    members = 1 - p["test"] <= held[6]
    assert found.reached == pytest.approx(sum(members[i, y].item() for i, y in enumerate(labels["test"])) / 20)
    assert found.mean_size == pytest.approx(members.sum().item() / 20)
    before = (predictor.folder / "metrics.json").read_bytes()
    calibration.write(found, predictor.folder)
    assert json.loads((predictor.folder / "conformal.json").read_text()) == {"method": "LAC", **found._asdict()}
    assert (predictor.folder / "metrics.json").read_bytes() == before
    assert calibration.caution(predictor) == "" and len(found.lines(4)) == 1


def test_too_few_images_put_every_class_in_every_set_and_say_so(predictor):
    found = calibration.calibrate(predictor, 0.9)
    assert math.isinf(found.threshold) and (found.reached, found.mean_size) == (1.0, 4.0)
    assert found.lines(4)[1] == (
        "Too few validation images for a coverage of 0.9, which needs 9: every class is in every set"
    )
    calibration.write(found, predictor.folder)
    assert json.loads((predictor.folder / "conformal.json").read_text())["threshold"] is None


@pytest.mark.parametrize(
    ("method", "opts", "told"),
    [
        ("LinearProbe", (), True),
        ("CoOp", ("TRAINER.COOP.INFERENCE", "posterior"), False),
        ("CoOp", ("TRAINER.COOP.INFERENCE", "posterior", "TRAINER.COOP.N_0", 0), True),
        ("ZeroshotCLIP", (), False),
    ],
)
def test_images_that_chose_a_setting_are_told(flags, tmp_path, tiny, method, opts, told):
    assert train.main(flags(method, *options(method), *opts)) == 0
    predictor = Predictor.from_run(run_folder(tmp_path, method, reads="posterior" in opts))
    assert ("not strictly exchangeable" in calibration.caution(predictor)) is told


def test_novel_classes_have_no_images_to_calibrate_on(flags, tmp_path, tiny):
    protocol = ("--setting", "base2new", "--subsample")
    assert train.main(flags("ZeroshotCLIP", "OPTIM.MAX_EPOCH", 0, more=(*protocol, "new", "--eval-only"))) == 0
    predictor = Predictor.from_run(run_folder(tmp_path / "base2new" / "test_new", "ZeroshotCLIP"))
    with pytest.raises(UserError, match="novel classes, which have none"):
        calibration.calibrate(predictor, 0.9)


def test_a_data_set_that_is_gone_is_told(flags, tmp_path, data_root, tiny):
    shutil.copytree(data_root, tmp_path / "moved")
    assert train.main(flags("CoOp", root=tmp_path / "moved")) == 0
    predictor = Predictor.from_run(run_folder(tmp_path, "CoOp"))
    shutil.rmtree(tmp_path / "moved")
    with pytest.raises(
        UserError, match=r"because a coverage of 0\.9 needs its images \(--root says where they lie now\)"
    ):
        calibration.calibrate(predictor, 0.9)
