"""Build a trainer as a run has it, ready for single steps."""

from dataclasses import replace
from typing import Any

from dassl.engine import build_trainer
from runs.config import configure
from runs.spec import RunSpec


def ready(spec: RunSpec, device: str) -> Any:
    """Return the trainer of a specification of one seed, at the start of its first epoch."""
    options = (*spec.options, ("USE_CUDA", device == "cuda"), ("DATALOADER.NUM_WORKERS", 0))
    trainer = build_trainer(configure(replace(spec, options=options), spec.seeds[0], complete=True))
    trainer.epoch = trainer.batch_idx = 0
    trainer.seed_epoch()
    trainer.num_batches = len(trainer.train_loader_x) + 1  # the schedule stays where it is
    return trainer
