"""A run that was interrupted goes on to the numbers of one that was not, for every module that epochs teach."""

import pytest
import torch

import train
from tests.run_folders import learned, record, run_folder
from trainers.base.feature_trainer import FeatureTrainer

MODULE = {
    "CoOp": "prompt_learner",
    "CoCoOp": "prompt_learner",
    "KgCoOp": "prompt_learner",
    "ProGrad": "prompt_learner",
    "CLIPAdapter": "adapters",
    "TipAdapterF": "cache",
}


@pytest.mark.parametrize("trainer", MODULE)
def test_an_interrupted_run_resumes_to_the_same_numbers(flags, tmp_path, monkeypatch, trainer):
    real = FeatureTrainer.before_epoch

    def broken(self):
        if self.epoch == 2:
            raise OSError("the disk is full")
        real(self)

    monkeypatch.setattr(FeatureTrainer, "before_epoch", broken)
    assert train.main(flags(trainer)) == 1
    monkeypatch.undo()
    assert train.main(flags(trainer)) == 0
    assert train.main(flags(trainer, output=tmp_path / "whole")) == 0
    resumed, whole = run_folder(tmp_path, trainer), run_folder(tmp_path / "whole", trainer)
    assert "Resuming from epoch 2 of 3" in (resumed / "log.txt").read_text()
    states = [learned(folder, MODULE[trainer]) for folder in (resumed, whole)]
    assert all(torch.equal(value, states[1][name]) for name, value in states[0].items())
    assert record(resumed)["metrics"] == record(whole)["metrics"]
