"""Fixtures of the tests of trainers."""

import itertools
from pathlib import Path

import pytest
import torch

from tests.trainers.helpers import BATCHES, ctx


@pytest.fixture
def build(build):
    """`build(trainer, key, value, ...)` as in the other tests, with the run's folder."""

    def make(*args, **kwargs):
        trainer = build(*args, **kwargs)
        Path(trainer.output_dir).mkdir(parents=True, exist_ok=True)
        return trainer

    return make


@pytest.fixture
def learned_ctx(build, tmp_path):
    """`learned_ctx(trainer, key, value, ...)`: what three epochs of two steps, all with one recipe, teach a context."""
    counter = itertools.count()

    def learn(trainer: str, *opts) -> torch.Tensor:
        recipe = (*BATCHES, "OPTIM.LR", 0.05, "OPTIM.WARMUP_EPOCH", 0, f"TRAINER.{trainer.upper()}.VIEWS", "none")
        found = build(trainer, *recipe, "TEST.NO_TEST", True, *opts, output=tmp_path / f"recipe{next(counter)}")
        found.train()
        return ctx(found)

    return learn
