"""What the base promises of a run, for the methods that adapt image features."""

import pytest
import torch

import train
from tests.run_folders import learned, record, run_folder

EPOCHS = {"CLIPAdapter": 3, "TipAdapter": 0, "TipAdapterF": 3, "SSText": 0}
MODULE = {"CLIPAdapter": "adapters", "TipAdapterF": "cache"}


@pytest.mark.parametrize("trainer", EPOCHS)
def test_seeds_together_give_what_they_give_alone_and_differ(flags, tmp_path, trainer):
    opts = ("OPTIM.MAX_EPOCH", EPOCHS[trainer])
    assert train.main(flags(trainer, *opts, output=tmp_path / "together", more=("--seed", 1, 2, 3))) == 0
    assert train.main(flags(trainer, *opts, output=tmp_path / "alone", seed=2)) == 0
    together = [run_folder(tmp_path / "together", trainer, seed=seed) for seed in (1, 2, 3)]
    alone = run_folder(tmp_path / "alone", trainer, seed=2)
    assert record(together[1])["metrics"] == record(alone)["metrics"]
    assert len({(folder / "predictions.csv").read_text() for folder in together}) == 3
    if trainer in MODULE:
        states = [learned(folder, MODULE[trainer]) for folder in (together[1], alone)]
        assert all(torch.equal(value, states[1][name]) for name, value in states[0].items())


@pytest.mark.parametrize("trainer", EPOCHS)
def test_each_seed_draws_its_own_images(build, trainer):
    drawn = [build(trainer, "OPTIM.MAX_EPOCH", EPOCHS[trainer], seed=seed).train_items for seed in (1, 2, 3)]
    assert len({tuple(item.impath for item in items) for items in drawn}) == 3


@pytest.mark.parametrize("trainer", EPOCHS)
def test_fitting_looks_at_no_test_image(build, monkeypatch, trainer):
    from clip import FeatureStore

    real, seen = FeatureStore.images, set()
    monkeypatch.setattr(
        FeatureStore, "images", lambda self, paths, *rest: seen.update(paths) or real(self, paths, *rest)
    )
    built = build(trainer, "OPTIM.MAX_EPOCH", EPOCHS[trainer], "TEST.NO_TEST", True)
    built.train()
    assert {item.impath for item in built.train_items} <= seen
    assert not {item.impath for item in built.dm.dataset.test} & seen


def test_an_adapter_meets_novel_classes(flags, tmp_path):
    protocol = ("--setting", "base2new", "--subsample")
    assert train.main(flags("CLIPAdapter", more=(*protocol, "base"))) == 0
    assert train.main(flags("CLIPAdapter", more=(*protocol, "new", "--eval-only"))) == 0
    new = record(run_folder(tmp_path / "base2new" / "test_new", "CLIPAdapter"))
    assert list(new["metrics"]["per_class"]) == ["pituitary tumor", "normal brain"] and new["total"] == 10


@pytest.mark.parametrize("trainer", ["TipAdapter", "TipAdapterF", "SSText"])
def test_a_closed_set_method_refuses_novel_classes(flags, capsys, trainer):
    assert train.main(flags(trainer, more=("--setting", "base2new", "--subsample", "new", "--eval-only"))) == 1
    err = capsys.readouterr().err
    assert f'got "new": {trainer} knows no classes but those of its labelled images' in err and err.count("\n") == 1
