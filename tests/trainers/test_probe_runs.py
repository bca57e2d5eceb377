"""What the base promises of a run, for the methods that are fitted in one go."""

import pytest
import torch

import train
from tests.run_folders import learned, record, run_folder
from trainers.base.fitted_trainer import FittedTrainer

MODULE = {"LinearProbe": "linear_probe", "LPpp": "blended_probe"}
KEPT = {"LinearProbe": {"weight", "bias"}, "LPpp": {"w", "alpha"}}
OPTS = ("OPTIM.MAX_EPOCH", 0)

pytestmark = pytest.mark.parametrize("trainer", MODULE)


def test_seeds_together_give_what_they_give_alone_and_differ(flags, tmp_path, trainer):
    assert train.main(flags(trainer, *OPTS, output=tmp_path / "together", more=("--seed", 1, 2, 3))) == 0
    assert train.main(flags(trainer, *OPTS, output=tmp_path / "alone", seed=2)) == 0
    together = [run_folder(tmp_path / "together", trainer, seed=seed) for seed in (1, 2, 3)]
    alone = run_folder(tmp_path / "alone", trainer, seed=2)
    assert record(together[1])["metrics"] == record(alone)["metrics"]
    states = [learned(folder, MODULE[trainer]) for folder in (*together, alone)]
    assert states[0].keys() == KEPT[trainer]
    for name in KEPT[trainer]:
        assert torch.equal(states[1][name], states[3][name])
        assert not torch.equal(states[0][name], states[1][name])
        assert not torch.equal(states[0][name], states[2][name])


def test_what_was_kept_is_tested_without_another_fit(flags, tmp_path, monkeypatch, trainer):
    assert train.main(flags(trainer, *OPTS)) == 0
    whole = record(run_folder(tmp_path, trainer))["metrics"]
    folder = run_folder(tmp_path, trainer)
    monkeypatch.delattr(FittedTrainer, "fit")
    monkeypatch.delattr(train_class(trainer), "fit")
    more = ("--eval-only", "--model-dir", folder)
    assert train.main(flags(trainer, *OPTS, output=tmp_path / "again", more=more)) == 0
    assert record(run_folder(tmp_path / "again", trainer))["metrics"] == whole
    (folder / "metrics.json").unlink()  # as if killed while testing
    assert train.main(flags(trainer, *OPTS)) == 0
    assert record(folder)["metrics"] == whole


def train_class(trainer: str) -> type:
    from dassl.engine import TRAINER_REGISTRY

    return TRAINER_REGISTRY.get(trainer)


def test_fitting_looks_at_no_test_image(build, monkeypatch, trainer):
    from clip import FeatureStore

    real, seen = FeatureStore.images, set()
    monkeypatch.setattr(
        FeatureStore, "images", lambda self, paths, *rest: seen.update(paths) or real(self, paths, *rest)
    )
    built = build(trainer, *OPTS, "TEST.NO_TEST", True)
    built.train()
    items = built.dm.dataset
    assert {item.impath for item in [*built.train_items, *items.val]} == seen
    assert not {item.impath for item in items.test} & seen


def test_novel_classes_are_refused(flags, capsys, trainer):
    assert train.main(flags(trainer, *OPTS, more=("--subsample", "new", "--eval-only"))) == 1
    assert f"{trainer} knows no classes but those of its labelled images" in capsys.readouterr().err
