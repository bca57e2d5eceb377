"""Run a grid: find what is missing, do it on devices or on a Ray cluster, and count how the runs ended."""

import contextlib
import sys
from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

from dassl.progress import Progress, print_above
from grid import cluster, local
from grid.devices import devices
from grid.plan import Grid, plan
from grid.process import Answers
from runs.outcome import BEFORE, DONE, FAILED, LEFT, failure_lines
from runs.spec import PHANTOMS, RunSpec


class Summary(NamedTuple):
    """Numbers of runs by their end.

    Attributes:
        done: run now, or by another process meanwhile.
        finished: were finished before.
        left: to other processes.
        failed: with an error.

    >>> print(Summary(3, 1, 0, 2))
    3 runs done, 1 finished before, 2 failed; the same command runs them again.
    """

    done: int = 0
    finished: int = 0
    left: int = 0
    failed: int = 0

    def __str__(self) -> str:
        left = f", {self.left} left to other processes" if self.left else ""
        again = "; the same command runs them again" if self.failed else ""
        return f"{self.done} runs done, {self.finished} finished before{left}, {self.failed} failed{again}."


def run_grid(grid: Grid, on: Sequence[str] | None = None, ray: str = "", cpus: int = 1) -> Summary:
    """Run the missing runs of a grid, with a progress bar and a line for each failure on stderr.

    Args:
        grid: the runs.
        on: devices, such as "cpu" or "cuda:0"; by default all GPUs, or the CPU.
        ray: address of a Ray cluster that does the work instead: "auto", "local" or HOST:PORT.
        cpus: CPU cores of each worker on the cluster.

    Raises:
        UserError: a name, a setting or a device that is not known, or no cluster.
    """
    print_phantom_notice(grid)
    jobs, finished = plan(grid)
    if not jobs:
        return Summary(finished=finished)
    answers = cluster.run(jobs, ray, cpus) if ray else local.run(jobs, devices(on, grid.template.options))
    states = count_states(jobs, answers)
    return Summary(states[DONE] + states[BEFORE], finished, states[LEFT], states[FAILED])


def print_phantom_notice(grid: Grid) -> None:
    """Say that images are rendered, if they are."""
    if grid.template.root == PHANTOMS:
        print("The embedded phantoms (rendered, no medical data); --root FOLDER for real images.")


def count_states(jobs: Sequence[RunSpec], answers: Answers) -> Counter[str]:
    """Take the answers to all jobs as they come, and return the number of runs in each state."""
    states: Counter[str] = Counter()
    runs = sum(len(job.seeds) for job in jobs)
    with contextlib.closing(answers), Progress(runs, "Grid", "run", smoothing=0) as progress:
        for job, outcomes in answers:
            for line in failure_lines(job, outcomes):
                print_above(line, sys.stderr)
            states.update(outcome.state for outcome in outcomes)
            progress.update(len(outcomes), f"{states[FAILED]} failed" if states[FAILED] else "")
    return states
