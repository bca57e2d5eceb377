"""Runs that differ in their seed alone, a step of each at a time: the text tower is called once for all of them."""

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import Protocol

from trainers.feature_trainer import FeatureTrainer


class Run(Protocol):
    """A run whose `speaking()` sends what is printed to its log, and an error of its own into `failed`."""

    trainer: FeatureTrainer
    failed: bool

    def speaking(self) -> AbstractContextManager: ...


def train(runs: Sequence[Run]) -> None:
    """Train and test every run, each as `trainer.train()` would by itself: the same random numbers, and the same sums
    but for their rounding.

    A run whose loss is not finite, or that cannot be resumed, drops out; the others go on.
    """
    for run in runs:
        run.trainer.together, run.trainer.random_state = len(runs), run.trainer.built_state
        with _turn(run):
            run.trainer.before_train()
    last = max(run.trainer.max_epoch for run in runs)
    for epoch in range(last):
        _epoch([run for run in runs if not run.failed and run.trainer.start_epoch <= epoch], epoch)
    for run in runs:
        if not run.failed:
            with _turn(run):
                run.trainer.after_train()


@contextmanager
def _turn(run: Run) -> Iterator[None]:
    """What a run does between two steps: it speaks, and draws its own random numbers."""
    with run.speaking(), run.trainer.drawing():
        yield


def _epoch(runs: list[Run], epoch: int) -> None:
    for run in runs:
        with _turn(run):
            run.trainer.epoch = epoch
            run.trainer.seed_epoch()
            run.trainer.before_epoch()
            run.trainer.begin_steps()
    for index, batches in enumerate(zip(*(run.trainer.train_loader_x for run in runs), strict=True)):
        _step([(run, batch) for run, batch in zip(runs, batches, strict=True) if not run.failed], index)
    for run in runs:
        if not run.failed:
            with _turn(run):
                run.trainer.after_epoch()


def _step(members: list[tuple[Run, dict]], index: int) -> None:
    if not members:
        return
    trainers = [run.trainer for run, _ in members]
    batches = [trainer.parse_batch_train(batch) for trainer, (_, batch) in zip(trainers, members, strict=True)]
    for trainer in trainers:
        trainer.batch_idx = index
        trainer.model_zero_grad()
    steps, summaries = trainers[0].losses(trainers, batches), {}
    for (run, _), step, (_, labels) in zip(members, steps, batches, strict=True):
        with run.speaking():
            summaries[run.trainer] = run.trainer.summary(step, labels)
    finite = [(trainer, step) for trainer, step in zip(trainers, steps, strict=True) if trainer in summaries]
    if finite:
        trainers[0].backward(*map(list, zip(*finite, strict=True)))
    for run, _ in members:
        if not run.failed:
            with run.speaking():
                run.trainer.update()
                run.trainer.end_step(summaries[run.trainer])
