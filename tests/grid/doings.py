"""What workers are told to do with a job in the tests; a worker finds it by its name."""

import os
import signal
from contextlib import contextmanager
from pathlib import Path

from grid import worker
from grid.plan import Job
from grid.worker import DONE, FAILED, Outcome


def output(job: Job) -> Path:
    return Path(job.flags[job.flags.index("--output") + 1])


def note(job: Job) -> list[Outcome]:
    """Nothing, but note who was asked for what; CoCoOp kills its process, and KgCoOp spoils it."""
    with (output(job) / "notes.txt").open("a") as file:
        file.write(f"{os.getpid()} {job.trainer} {job.dataset} {os.environ.get('CUDA_VISIBLE_DEVICES')!r}\n")
    if job.trainer == "CoCoOp":
        os.kill(os.getpid(), signal.SIGKILL)
    if job.trainer == "KgCoOp":
        return [Outcome(seed, FAILED, "RuntimeError: CUDA error", unforeseen=True) for seed in job.seeds]
    return [Outcome(seed, DONE) for seed in job.seeds]


def notes(folder: Path) -> list[list[str]]:
    return [line.split() for line in (folder / "notes.txt").read_text().splitlines()]


def note_after_a_death(job: Job) -> list[Outcome]:
    """As `note`; but the first process that is asked for CoOp is killed before it answers."""
    died = output(job) / "died"
    outcomes = note(job)
    if job.trainer == "CoOp" and not died.exists():
        died.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return outcomes


def die_once(job: Job) -> list[Outcome]:
    """The job; but the first process to come to the end of a second epoch is killed there."""
    from trainers.feature_trainer import frozen

    with _mortal(output(job) / "died"):
        outcomes = worker.perform(job)
    with (output(job) / "notes.txt").open("a") as file:
        file.write(f"{os.getpid()} {job.trainer} {frozen.cache_info().misses}\n")
    return outcomes


@contextmanager
def _mortal(died: Path):
    from trainers.feature_trainer import FeatureTrainer

    real = FeatureTrainer.after_epoch

    def after_epoch(self):
        real(self)
        if self.epoch == 1 and not died.exists():
            died.touch()
            os.kill(os.getpid(), signal.SIGKILL)

    FeatureTrainer.after_epoch = after_epoch
    yield
    FeatureTrainer.after_epoch = real
