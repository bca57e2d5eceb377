"""Do jobs on this machine: each device has an executor with one process."""

import contextlib
import multiprocessing
import os
import signal
from collections.abc import Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import connection
from multiprocessing.process import BaseProcess
from unittest.mock import patch

from grid.plan import take
from grid.process import Answers, Work, do_job, give_up, prepare
from grid.worker import work
from runs.outcome import Outcome
from runs.spec import RunSpec

PATIENCE = 10  # seconds that a worker has to end


def run(jobs: Sequence[RunSpec], devices: Sequence[str], work: Work = work) -> Answers:
    """Yield each job with the outcomes of its runs, in the order in which the jobs end.

    A job whose process dies is tried once more. A process whose job failed with a bug is replaced: it may be spoiled,
    as by a CUDA error. All processes end with this generator.

    Args:
        jobs: the runs.
        devices: "cpu" or "cuda:N", a process for each.
        work: does one job in a worker's process.
    """
    waiting, tried, devices = list(jobs), set(), devices[: len(jobs)]
    threads = threads_each(len(devices))
    workers = [Worker(device, threads) for device in devices]
    asked: dict[Future, tuple[Worker, RunSpec]] = {}
    try:
        while waiting or asked:
            busy = [worker for worker, _ in asked.values()]
            for worker in workers:
                if waiting and worker not in busy:
                    job = take(waiting, worker.dataset, [other.dataset for other in workers])
                    asked[worker.submit(work, job)] = worker, job
            for future in wait(asked, return_when=FIRST_COMPLETED).done:
                worker, job = asked.pop(future)
                outcomes, death = _answer(worker, job, future)
                if death and job not in tried:
                    tried.add(job)
                    waiting.insert(0, job)
                    continue
                if not death and any(outcome.unforeseen for outcome in outcomes):
                    worker.end()
                yield job, outcomes
    finally:
        for worker in workers:
            worker.stop()
        for worker in workers:
            worker.end()


def _answer(worker: "Worker", job: RunSpec, future: Future) -> tuple[list[Outcome], bool]:
    """Return what became of a job, and whether its process died."""
    error = future.exception()
    if isinstance(error, BrokenProcessPool):
        return give_up(job, f"its worker process ended, twice, {how_it_ended(worker.end())}"), True
    if isinstance(error, Exception):
        return [Outcome.failed(seed, None, error) for seed in job.seeds], False
    return future.result(), False


class Worker:
    """A process for one device; it starts with its first job, and again after it ended.

    Attributes:
        dataset: that of its last job.
    """

    def __init__(self, device: str, threads: int | None = None):
        self.dataset = ""
        self._environment = {"CUDA_VISIBLE_DEVICES": visible_devices(device)}
        if threads and "OMP_NUM_THREADS" not in os.environ:
            self._environment["OMP_NUM_THREADS"] = str(threads)
        self._executor: ProcessPoolExecutor | None = None
        self._process: BaseProcess | None = None

    def submit(self, work: Work, job: RunSpec) -> Future:
        """Begin a job."""
        self.dataset = job.dataset
        if self._executor:
            try:
                return self._executor.submit(do_job, work, job)
            except BrokenProcessPool:  # it died between two jobs
                self.end()
        context = multiprocessing.get_context("spawn")  # CUDA cannot be used after a fork
        self._executor = ProcessPoolExecutor(1, context, prepare)
        before = set(multiprocessing.active_children())
        with sigint_ignored(), patch.dict(os.environ, self._environment):
            future = self._executor.submit(do_job, work, job)
        (self._process,) = set(multiprocessing.active_children()) - before
        return future

    def stop(self) -> None:
        """Ask the process to end."""
        if self._process:
            self._process.terminate()

    def end(self) -> int | None:
        """End the process, by force if it does not obey, and return its exit status; None if there is none."""
        if not (self._process and self._executor):
            return None
        self.stop()
        if not connection.wait([self._process.sentinel], PATIENCE):
            self._process.kill()
        self._executor.shutdown()
        code = self._process.exitcode
        self._process = self._executor = None
        return code


def how_it_ended(code: int | None) -> str:
    """Return the exit status of a process in words.

    >>> how_it_ended(-9), how_it_ended(3)
    ('by SIGKILL (often a lack of memory)', 'with exit status 3')
    """
    if code is None or code >= 0:
        return f"with exit status {code}"
    hint = " (often a lack of memory)" if code == -signal.SIGKILL else ""
    return f"by {signal.Signals(-code).name}{hint}"


def visible_devices(device: str) -> str:
    """Return the value of CUDA_VISIBLE_DEVICES that shows `device` alone, of those that this process sees."""
    if device == "cpu":
        return ""
    index, names = int(device.removeprefix("cuda:")), os.environ.get("CUDA_VISIBLE_DEVICES")
    return names.split(",")[index] if names else str(index)


def threads_each(workers: int) -> int | None:
    """Return the CPU threads of each of several workers, which share the cores; None leaves one worker all of them.

    Workers of GPUs count too: they decode images on the CPU.
    """
    return max(1, (os.cpu_count() or 1) // workers) if workers > 1 else None


@contextlib.contextmanager
def sigint_ignored() -> Iterator[None]:
    """Start processes that ignore SIGINT: on Ctrl-C only the parent reacts, and ends its workers."""
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
