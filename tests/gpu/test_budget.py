"""What a training step may cost a GPU: while the CPU waits for it or copies to it, it stands idle."""

from contextlib import nullcontext
from types import SimpleNamespace

import pytest

import train
from dassl.engine import build_trainer
from runs import lockstep
from runs.config import configure
from tests.gpu.sides import GPU, METHODS, options
from tests.pretended_gpu import TO_GPU
from trainers.base.prompt_trainer import PromptTrainer

LEARNING = [method for method in METHODS if options(method)[1]]
FIGURES = 1  # a wait of each seed: the figures of the log come to the CPU in one go
MASK = 1  # of each call of a text tower, which all seeds share: transformers asks whether there is padding at all
OWN = {"BiomedCoOp": 1}  # of each seed: how many sentences are kept follows from the images


@pytest.mark.parametrize("seeds", [1, 3])
@pytest.mark.parametrize("method", LEARNING)
def test_a_step_waits_no_more_than_it_must_and_copies_nothing_to_the_gpu(method, seeds, flags, gpu):
    spec = train.parse(flags(method, *options(method), *GPU, more=("--seed", *range(1, seeds + 1))))
    members = []
    for seed in spec.seeds:
        trainer = build_trainer(configure(spec, seed))
        trainer.epoch = 0
        trainer.before_epoch()
        trainer.begin_steps()
        batch = next(iter(trainer.train_loader_x))
        members.append((SimpleNamespace(trainer=trainer, failed=False, logged=nullcontext), batch))
    gpu.forget()
    lockstep.step(members, 0)
    towers = MASK * isinstance(trainer, PromptTrainer)
    assert gpu.kernels and gpu.waits.total() <= seeds * (FIGURES + OWN.get(method, 0)) + towers, gpu.waits
    assert TO_GPU not in gpu.copies
