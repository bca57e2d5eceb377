"""Runs of the methods that the paper compares with: seeds, images that are read, novel classes, checkpoints."""

from typing import NamedTuple

import pytest
import torch

import train
from clip import FeatureStore
from dassl.engine import TRAINER_REGISTRY
from tests.run_folders import alike, learned, record, run_folder
from trainers.base.fitted_trainer import FittedTrainer
from trainers.base.unlabelled import unlabelled_images


class Kind(NamedTuple):
    """How a method learns: number of epochs, name of its learned module, and names of the tensors in a checkpoint."""

    epochs: int
    module: str = ""
    tensors: set[str] = set()  # noqa: RUF012 - never changed


METHODS = {
    "CoCoOp": Kind(3, "prompt_learner"),
    "KgCoOp": Kind(3, "prompt_learner"),
    "KgCoOpLLM": Kind(3, "prompt_learner"),
    "ProGrad": Kind(3, "prompt_learner"),
    "PromptSRCText": Kind(3, "prompt_learner"),
    "SCD": Kind(3, "prompt_learner"),
    "vMFPosterior": Kind(3, "prompt_learner"),
    "vMFPrototypes": Kind(0, "evidence"),
    "CLIPAdapter": Kind(3, "adapters"),
    "TipAdapter": Kind(0),
    "TipAdapterF": Kind(3, "cache"),
    "SSText": Kind(0),
    "SSTextU": Kind(0),
    "ZeroshotDN": Kind(0),
    "GDAText": Kind(0, "gaussians", {"weight", "bias"}),
    "LinearProbe": Kind(0, "linear_probe", {"weight", "bias"}),
    "LPpp": Kind(0, "blended_probe", {"w", "alpha"}),
}
CLOSED_SET = {"TipAdapter", "TipAdapterF", "SSText", "SSTextU", "GDAText", "LinearProbe", "LPpp"}


def options(method: str) -> tuple:
    return ("OPTIM.MAX_EPOCH", METHODS[method].epochs)


@pytest.mark.parametrize("method", METHODS)
def test_seeds_together_give_what_they_give_alone_and_differ(flags, tmp_path, method):
    opts, kind = options(method), METHODS[method]
    assert train.main(flags(method, *opts, output=tmp_path / "together", more=("--seed", 1, 2, 3))) == 0
    assert train.main(flags(method, *opts, output=tmp_path / "alone", seed=2)) == 0
    first, second, third = (run_folder(tmp_path / "together", method, seed=seed) for seed in (1, 2, 3))
    alone = run_folder(tmp_path / "alone", method, seed=2)
    if kind.module == "prompt_learner":  # their text tower is called once for all seeds, which changes the rounding
        assert alike(second, alone) and not alike(first, alone) and not alike(third, alone)
        return
    assert record(second)["metrics"] == record(alone)["metrics"]
    assert len({(folder / "predictions.csv").read_text() for folder in (first, second, third)}) == 3
    if kind.module:
        states = [learned(folder, kind.module) for folder in (first, second, third, alone)]
        assert not kind.tensors or states[0].keys() == kind.tensors
        assert all(torch.equal(value, states[3][name]) for name, value in states[1].items())
        for other in (states[0], states[2]):
            assert not any(torch.equal(other[name], states[1][name]) for name in kind.tensors)


@pytest.mark.parametrize("method", METHODS)
def test_each_seed_draws_its_own_images(build, tiny, method):
    drawn = [build(method, *options(method), seed=seed).train_items for seed in (1, 2, 3)]
    assert len({tuple(item.impath for item in items) for items in drawn}) == 3


@pytest.mark.parametrize("method", METHODS)
def test_training_looks_at_no_test_image(build, tiny, monkeypatch, method):
    real, seen = FeatureStore.images, set()
    monkeypatch.setattr(
        FeatureStore, "images", lambda self, paths, *rest: seen.update(paths) or real(self, paths, *rest)
    )
    trainer = build(method, *options(method), "TEST.NO_TEST", True)
    trainer.train()
    data = trainer.dm.dataset
    parts = (trainer.train_items, unlabelled_images(trainer.cfg, data), data.val, data.test)
    support, others, val, test = ({item.impath for item in items} for items in parts)
    assert support | others <= seen <= support | others | val and not seen & test
    assert bool(others) == (method == "SSTextU")


@pytest.mark.parametrize("method", sorted(METHODS.keys() - CLOSED_SET))
def test_what_is_learned_on_base_classes_is_tested_on_novel_ones(flags, tmp_path, method):
    protocol = ("--setting", "base2new", "--subsample")
    opts = options(method)
    assert train.main(flags(method, *opts, more=(*protocol, "base"))) == 0
    assert train.main(flags(method, *opts, more=(*protocol, "new", "--eval-only"))) == 0
    base = record(run_folder(tmp_path / "base2new" / "train_base", method))
    new = record(run_folder(tmp_path / "base2new" / "test_new", method))
    assert list(base["metrics"]["per_class"]) == ["glioma tumor", "meningioma tumor"]
    assert list(new["metrics"]["per_class"]) == ["pituitary tumor", "normal brain"] and new["total"] == 10


@pytest.mark.parametrize("method", sorted(CLOSED_SET))
def test_a_closed_set_method_refuses_novel_classes(flags, capsys, method):
    assert train.main(flags(method, more=("--setting", "base2new", "--subsample", "new", "--eval-only"))) == 1
    err = capsys.readouterr().err
    assert f'got "new": {method} knows no classes but those of its labelled images' in err and err.count("\n") == 1


@pytest.mark.parametrize("method", ["LinearProbe", "LPpp", "GDAText"])
def test_a_fitted_method_is_tested_without_another_fit(flags, tmp_path, monkeypatch, method):
    opts = options(method)
    assert train.main(flags(method, *opts)) == 0
    folder = run_folder(tmp_path, method)
    whole = record(folder)["metrics"]
    monkeypatch.delattr(FittedTrainer, "fit")
    monkeypatch.delattr(TRAINER_REGISTRY.get(method), "fit")
    assert train.main(flags(method, *opts, output=tmp_path / "again", more=("--eval-only", "--model-dir", folder))) == 0
    assert record(run_folder(tmp_path / "again", method))["metrics"] == whole
    (folder / "metrics.json").unlink()  # as if killed while testing
    assert train.main(flags(method, *opts)) == 0
    assert record(folder)["metrics"] == whole
