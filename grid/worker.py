"""Do one job in this process: the loaded backbone and the stored features stay for the next one."""

import contextlib
import os
from dataclasses import replace
from pathlib import Path

from grid.plan import parts
from runs.outcome import Outcome
from runs.run import perform
from runs.spec import RunSpec


def work(job: RunSpec) -> list[Outcome]:
    """Do the missing runs of a job; they print to their logs only."""
    found: dict[int, Outcome] = {}
    with contextlib.ExitStack() as stack:
        nowhere = stack.enter_context(Path(os.devnull).open("w"))
        stack.enter_context(contextlib.redirect_stdout(nowhere))
        stack.enter_context(contextlib.redirect_stderr(nowhere))
        for part in parts(job):
            seeds = tuple(seed for seed in job.seeds if seed not in found or found[seed].done)
            if seeds:
                found |= {outcome.seed: outcome for outcome in perform(replace(part, seeds=seeds))}
    return list(found.values())
