"""A run that was interrupted goes on to the numbers of one that was not, for every module that epochs teach."""

import pytest
import torch

import train
from tests.run_folders import learned, record, run_folder
from trainers.base.feature_trainer import FeatureTrainer

PUBLISHED = ("PROTOCOL", "published", "DATALOADER.TRAIN_X.BATCH_SIZE", 3)
RUNS = [
    ("prompt_learner", "CoOp"),
    ("prompt_learner", "CoCoOp"),
    ("prompt_learner", "KgCoOp"),
    ("prompt_learner", "KgCoOpLLM"),
    ("prompt_learner", "ProGrad"),
    ("prompt_learner", "PromptSRCText"),
    ("prompt_learner", "SCD"),
    ("prompt_learner", "vMFPosterior"),
    ("adapters", "CLIPAdapter"),
    ("adapters", "CLIPAdapter", *PUBLISHED),
    ("cache", "TipAdapterF"),
    ("cache", "TipAdapterF", *PUBLISHED, "OPTIM.MAX_EPOCH", 6, "TRAINER.TIPADAPTERF.ALPHAS", [1.0, 2.0]),
]


@pytest.mark.parametrize("run", RUNS, ids=lambda run: f"{run[1]}{':published' if len(run) > 2 else ''}")
def test_an_interrupted_run_resumes_to_the_same_numbers(flags, tmp_path, monkeypatch, run):
    module, trainer, *opts = run
    real = FeatureTrainer.before_epoch

    def broken(self):
        if self.epoch == 2:
            raise OSError("the disk is full")
        real(self)

    monkeypatch.setattr(FeatureTrainer, "before_epoch", broken)
    assert train.main(flags(trainer, *opts)) == 1
    monkeypatch.undo()
    assert train.main(flags(trainer, *opts)) == 0
    assert train.main(flags(trainer, *opts, output=tmp_path / "whole")) == 0
    resumed, whole = (
        run_folder(output, trainer, published="published" in opts) for output in (tmp_path, tmp_path / "whole")
    )
    assert "Resuming from epoch 2 of" in (resumed / "log.txt").read_text()
    states = [learned(folder, module) for folder in (resumed, whole)]
    assert all(torch.equal(value, states[1][name]) for name, value in states[0].items())
    assert record(resumed)["metrics"] == record(whole)["metrics"]
