"""Every method's run is predicted with, by what its folder holds."""

import csv
import json
import shutil
from pathlib import Path

import pytest
import torch

import train
from dassl.data.datasets import DATASET_REGISTRY
from dassl.errors import UserError
from runs.predictor import Predictor
from tests.gpu.sides import METHODS, OPEN, options
from tests.run_folders import probabilities, run_folder

# Methods that keep no features of the support images that they look at.
LOOK_AGAIN = {"TipAdapter", "SSText", "SSTextU", "ZeroshotDN", "ZeroshotSelectiveEnsemble"}
NOVEL = ("--setting", "base2new", "--subsample")


def images_of(folder: Path, root: Path) -> list[Path]:
    """The images of predictions.csv."""
    with (folder / "predictions.csv").open(newline="") as file:
        return [root / "BTMRI" / "BTMRI" / row["path"] for row in csv.DictReader(file)]


def check(folder: Path, root: Path, **kwargs) -> Predictor:
    """Check that a run predicts again what it predicted."""
    predictor = Predictor.from_run(folder, **kwargs)
    found = predictor.predict(images_of(folder, root))
    given = torch.tensor([each.probabilities for each in found])
    torch.testing.assert_close(given, probabilities(folder), atol=1e-4, rtol=0)
    rows = list(csv.DictReader((folder / "predictions.csv").open(newline="")))
    ties = [each.margin < 1e-3 for each in found]
    assert all(tie or each.predicted == row["predicted"] for tie, each, row in zip(ties, found, rows, strict=True))
    assert not any(each.error for each in found)
    return predictor


@pytest.fixture
def no_data(monkeypatch):
    """no_data(): from now on no data set can be read."""

    def forbid():
        def refused(self, cfg):
            raise AssertionError("a data set was read")

        monkeypatch.setattr(DATASET_REGISTRY.get("BTMRI"), "__init__", refused)

    return forbid


@pytest.mark.parametrize("method", METHODS)
def test_a_run_predicts_what_it_predicted(method, flags, tmp_path, data_root, tiny, no_data, capsys):
    assert train.main(flags(method, *options(method), "OPTIM.LR", 0.05)) == 0
    if method not in LOOK_AGAIN:
        no_data()
    tiny.calls.clear()
    check(run_folder(tmp_path, method), data_root)


@pytest.mark.parametrize("method", OPEN)
def test_the_runs_of_base_to_novel_predict_what_they_predicted(method, flags, tmp_path, data_root, tiny, no_data):
    for part, more in (("base", ()), ("new", ("--eval-only",))):
        assert train.main(flags(method, *options(method), "OPTIM.LR", 0.05, more=(*NOVEL, part, *more))) == 0
    if method not in LOOK_AGAIN:
        no_data()
    base = check(run_folder(tmp_path / "base2new" / "train_base", method), data_root)
    new = check(run_folder(tmp_path / "base2new" / "test_new", method), data_root)
    assert base.classnames == ["glioma tumor", "meningioma tumor"]
    assert new.classnames == ["pituitary tumor", "normal brain"]


SENTENCES = ("TRAINER.COOP.INFERENCE", "posterior")


def test_the_evidence_of_a_posterior_is_read_and_no_image(flags, tmp_path, data_root, tiny, no_data):
    assert train.main(flags("CoOp", *SENTENCES, "OPTIM.LR", 0.05)) == 0
    no_data()
    predictor = check(run_folder(tmp_path, "CoOp", reads=True), data_root)
    assert predictor.trainer.get_model_names() == ["prompt_learner", "evidence"]


@pytest.mark.parametrize("method", ["vMFCoOp", "BiomedCoOp", "KgCoOpLLM", "PromptSRCText"])
def test_learned_prompts_need_neither_sentences_nor_vocabulary(method, flags, tmp_path, data_root, tiny, monkeypatch):
    assert train.main(flags(method, *options(method))) == 0

    def refused(*args):
        raise AssertionError("what only training needs was asked for")

    monkeypatch.setattr("trainers.base.text_features.load_prompts", refused)
    monkeypatch.setattr("clip.FeatureStore.vocabulary", refused)
    check(run_folder(tmp_path, method), data_root)


def test_a_method_without_validation_images(flags, tmp_path, data_root, tiny, no_data):
    shutil.copytree(data_root / "BTMRI" / "BTMRI", tmp_path / "data" / "BTMRI" / "BTMRI")
    split = json.loads((data_root / "BTMRI" / "split_BTMRI.json").read_text())
    (tmp_path / "data" / "BTMRI" / "split_BTMRI.json").write_text(json.dumps(split | {"val": []}))
    assert train.main(flags("CLIPAdapter", *options("CLIPAdapter"), root=tmp_path / "data")) == 0
    no_data()
    predictor = check(run_folder(tmp_path, "CLIPAdapter"), tmp_path / "data")
    assert predictor.trainer.adapters.ratios.tolist() == pytest.approx([0.2])


def test_gradients_reach_the_features_and_no_learned_tensor(flags, tmp_path, data_root, tiny):
    assert train.main(flags("CoOp")) == 0
    predictor = Predictor.from_run(run_folder(tmp_path, "CoOp"))
    found = predictor.features(images_of(predictor.folder, data_root)[:3])
    features = found.features.requires_grad_()
    predictor.logits(features).sum().backward()
    assert features.grad.abs().sum() > 0
    assert not any(parameter.requires_grad for parameter in predictor.trainer.learned_parameters())
    assert predictor.pixels(found.paths[0]).shape == (3, 8, 8) and predictor.phantom


def test_a_bad_picture_does_not_stop_the_others(flags, tmp_path, data_root, tiny):
    assert train.main(flags("ZeroshotCLIP", "OPTIM.MAX_EPOCH", 0)) == 0
    predictor = Predictor.from_run(run_folder(tmp_path, "ZeroshotCLIP"))
    good = images_of(predictor.folder, data_root)[:2]
    (tmp_path / "text.png").write_text("no picture")
    found = predictor.predict([tmp_path / "text.png", good[0], tmp_path / "gone.png", good[1], good[0]])
    assert [bool(each.error) for each in found] == [True, False, True, False, False]
    assert found[1] == found[4] and found[0].probabilities == [] and found[0].predicted == ""
    assert "text.png is not" in found[0].error and "gone.png" in found[2].error
    assert predictor.predict([]) == [] and predictor.predict([tmp_path / "gone.png"])[0].error
    with pytest.raises(UserError, match="a list of paths"):
        predictor.predict(str(good[0]))
    best, second = sorted(found[1].probabilities)[:-3:-1]
    assert found[1].margin == pytest.approx(best - second)
    assert found[1].probabilities[predictor.classnames.index(found[1].runner_up)] == second


def test_random_numbers_of_the_caller_are_left_alone(flags, tmp_path, tiny):
    noise = ("TRAINER.COOP.CTX_INIT", "")
    assert train.main(flags("CoOp", *noise)) == 0
    torch.manual_seed(3)
    expected = torch.rand(2)
    torch.manual_seed(3)
    Predictor.from_run(run_folder(tmp_path, "CoOp"))
    assert torch.equal(torch.rand(2), expected)
