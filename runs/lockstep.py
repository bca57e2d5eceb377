"""Train several runs side by side, one step of each in turn, with one call of the text tower for all of them."""

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import Protocol

from trainers.base.feature_trainer import FeatureTrainer
from trainers.base.step import backpropagate, compute_losses


class Member(Protocol):
    """A run: its trainer, whether it has failed, and a context manager that logs what is printed and keeps errors."""

    trainer: FeatureTrainer

    @property
    def failed(self) -> bool: ...

    def logged(self) -> AbstractContextManager: ...


def train(runs: Sequence[Member]) -> None:
    """Train and test all runs with the random numbers that each has alone; sums differ by rounding.

    A run that fails, because its loss is not finite or because it cannot be resumed, drops out; the others go on.
    """
    for run in runs:
        run.trainer.together, run.trainer.random_state = len(runs), run.trainer.built_state
        with _turn(run):
            run.trainer.before_train()
    last = max(run.trainer.max_epoch for run in runs)
    for epoch in range(last):
        _epoch([run for run in runs if not run.failed and run.trainer.start_epoch <= epoch], epoch)
    trained = [run for run in runs if not run.failed]
    for run in trained:  # before the first test, which is no part of the others' training
        run.trainer.end_part("train", len(runs))
    for run in trained:
        with _turn(run):
            run.trainer.after_train()


@contextmanager
def _turn(run: Member) -> Iterator[None]:
    """Log what one run prints, and draw its own random numbers."""
    with run.logged(), run.trainer.own_random_numbers():
        yield


def _epoch(runs: list[Member], epoch: int) -> None:
    """Train all runs for one epoch."""
    for run in runs:
        with _turn(run):
            run.trainer.epoch = epoch
            run.trainer.seed_epoch()
            run.trainer.before_epoch()
    for run in runs:  # after images were encoded for all: this is no part of the time of a step
        run.trainer.begin_steps()
    for index, batches in enumerate(zip(*(run.trainer.train_loader_x for run in runs), strict=True)):
        step([(run, batch) for run, batch in zip(runs, batches, strict=True) if not run.failed], index)
    for run in runs:
        if not run.failed:
            with _turn(run):
                run.trainer.after_epoch()


def step(members: list[tuple[Member, dict]], index: int) -> None:
    """Take step `index` of an epoch with each run, on its own batch."""
    if not members:
        return
    trainers = [run.trainer for run, _ in members]
    batches = [trainer.parse_batch_train(batch) for trainer, (_, batch) in zip(trainers, members, strict=True)]
    for trainer in trainers:
        trainer.batch_idx = index
        trainer.model_zero_grad()
    finite = []
    for (run, _), found, (_, labels) in zip(members, compute_losses(trainers, batches), batches, strict=True):
        with run.logged():
            finite.append((run, found, run.trainer.summary(found, labels)))
    if finite:
        backpropagate([run.trainer for run, _, _ in finite], [found for _, found, _ in finite])
    for run, _, summary in finite:
        with run.logged():
            run.trainer.update()
            run.trainer.end_step(summary)
