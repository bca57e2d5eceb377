"""A test of a trainer on the images of a split."""

import csv
from pathlib import Path

import pytest
import torch

from dassl.errors import UserError
from tests.run_folders import record
from tests.trainers.helpers import replaced
from trainers.base import feature_trainer

pytestmark = pytest.mark.usefixtures("tiny")


def test_a_test_predicts_every_image_of_the_split_without_augmentation(build, capsys):
    trainer = build("CoOp")
    items, grads = trainer.dm.dataset.test, []
    real = trainer.logits
    trainer.logits = lambda features: grads.append(torch.is_grad_enabled()) or real(features)
    trainer.prompt_learner.train()
    trainer.evaluator.process(torch.tensor([[1.0, 0, 0, 0]]), torch.tensor([3]))  # left from another test
    accuracy = trainer.test()
    assert grads == [False] and not trainer.prompt_learner.training
    predicted = real(trainer.plain_features(items)).argmax(dim=1).tolist()
    right = sum(guess == item.label for guess, item in zip(predicted, items, strict=True))
    assert accuracy == pytest.approx(100 * right / 20)
    log = capsys.readouterr().out
    assert "Evaluate on the *test* set\n" in log and "* total: 20\n" in log
    rows = list(csv.DictReader((Path(trainer.output_dir) / "predictions.csv").open()))
    assert [str(trainer.dm.dataset.images / row["path"]) for row in rows] == [item.impath for item in items]
    assert [row["predicted"] for row in rows] == [trainer.dm.dataset.classnames[i] for i in predicted]
    assert record(Path(trainer.output_dir))["metrics"]["accuracy"] == pytest.approx(accuracy)


def test_validation_images_are_tested_where_that_is_asked_for(build, capsys):
    trainer = build("CoOp", "TEST.SPLIT", "val")
    trainer.test()
    assert "Evaluate on the *val* set\n" in capsys.readouterr().out
    assert record(Path(trainer.output_dir))["total"] == len(trainer.dm.dataset.val) == 8
    trainer.test("test")
    assert record(Path(trainer.output_dir))["total"] == 20
    trainer.dm.dataset = replaced(trainer, val=[])
    with pytest.raises(UserError, match="images in the val split of BTMRI, but it has none"):
        trainer.test()


def test_time_of_a_test_and_further_figures_are_in_the_record(build, monkeypatch):
    trainer = build("CoOp")
    clock = iter(range(100, 200, 7))
    monkeypatch.setattr(feature_trainer.time, "time", lambda: float(next(clock)))
    items = trainer.dm.dataset.test
    trainer.extra_metrics = lambda features, labels: {"mine": float(features.shape[0] + labels.sum())}
    trainer.test()
    found = record(Path(trainer.output_dir))
    assert found["seconds"]["test"] == 7.0
    assert found["metrics"]["mine"] == 20 + sum(item.label for item in items)
