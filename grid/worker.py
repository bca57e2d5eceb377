"""One job in this process: the loaded backbone and the stored features stay for the next one."""

import contextlib
import os
import traceback
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from filelock import Timeout

import train
from dassl.errors import sentence
from grid.plan import Job

DONE, FAILED, LEFT = "done", "failed", "left"


class Outcome(NamedTuple):
    """What became of one run."""

    seed: int
    state: str  # DONE, FAILED, or LEFT to another process
    reason: str = ""  # a sentence, where it is not done
    log: str = ""
    unforeseen: bool = False  # nothing that a user can mend: the process may be spoiled


class Run(train.Run):
    """A run that remembers its error."""

    error: Exception | None = None

    @contextlib.contextmanager
    def speaking(self) -> Iterator[None]:
        with super().speaking():
            try:
                yield
            except Exception as error:
                self.error = error
                raise


def perform(job: Job) -> list[Outcome]:
    """Do what is missing of a job; what its runs print goes to their logs alone, and their errors are told here."""
    found: dict[int, Outcome] = {}
    with contextlib.ExitStack() as stack:
        nowhere = stack.enter_context(Path(os.devnull).open("w"))
        stack.enter_context(contextlib.redirect_stdout(nowhere))
        stack.enter_context(contextlib.redirect_stderr(nowhere))
        for part in job.parts:
            seeds = [seed for seed in job.seeds if seed not in found or found[seed].state == DONE]
            if seeds:
                found |= {outcome.seed: outcome for outcome in _perform(job, part, seeds)}
    return list(found.values())


def _perform(job: Job, part: Sequence[str], seeds: Sequence[int]) -> list[Outcome]:
    args, runs, outcomes = job.args(part, seeds), [], []
    with contextlib.ExitStack() as stack:
        for seed in args.seed:
            run = None
            try:
                run = Run(args, train.setup_cfg(args, seed))
                stack.enter_context(run.open())
                if train.finished(run.cfg, args):
                    outcomes.append(Outcome(seed, DONE))
                else:
                    runs.append(run)
            except Timeout:
                outcomes.append(Outcome(seed, LEFT, f"another process is working on {run.folder}"))
            except Exception as error:
                outcomes.append(_outcome(seed, error, run))
        try:
            train.work(args, runs)
        except Exception as error:  # it may be any run's: none of them goes on
            for run in runs:
                if not (run.error or (run.folder / "metrics.json").is_file()):
                    traceback.print_exc(file=run.log.file)
                    run.error = error
        outcomes += [_outcome(run.cfg.SEED, run.error, run) for run in runs]
    return outcomes


def _outcome(seed: int, error: Exception | None, run: Run | None) -> Outcome:
    if not error:
        return Outcome(seed, DONE)
    words = sentence(error)
    reason = words or f"{type(error).__name__}: {error}"
    log = run.folder / "log.txt" if run else Path()
    return Outcome(seed, FAILED, " ".join(reason.split()), str(log) if log.is_file() else "", not words)
