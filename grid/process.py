"""The process of a worker: how it does a job, and how it ends.

It imports little: what a job needs is imported by the function that does it.
"""

import multiprocessing
import os
import signal
import sys
import threading
from collections.abc import Callable, Generator

from runs.outcome import FAILED, Outcome
from runs.spec import RunSpec

Answer = tuple[RunSpec, list[Outcome]]  # a job, and the outcome of each of its seeds
Answers = Generator[Answer, None, None]  # as they come; closing it ends the workers
Work = Callable[[RunSpec], list[Outcome]]


def prepare() -> None:
    """Let this process end on SIGTERM, and with its parent."""
    signal.signal(signal.SIGTERM, _end)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end(number: int, _: object) -> None:
    """End this process, which closes what is open; a second signal must not interrupt that."""
    signal.signal(number, signal.SIG_IGN)
    sys.exit(128 + number)


def _end_with_parent() -> None:
    if parent := multiprocessing.parent_process():
        parent.join()
        os.kill(os.getpid(), signal.SIGTERM)


def do_job(work: Work, job: RunSpec) -> list[Outcome]:
    """Do a job. On SIGTERM the process ends, which its executor would keep for another job."""
    try:
        return work(job)
    except SystemExit as ended:
        os._exit(ended.code if isinstance(ended.code, int) else 1)


def give_up(job: RunSpec, reason: str) -> list[Outcome]:
    """Return the outcomes of a job that cannot be done."""
    return [Outcome(seed, FAILED, reason=reason) for seed in job.seeds]
