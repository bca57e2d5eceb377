"""Workers on this machine: a process for each device."""

import contextlib
import multiprocessing
import os
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from multiprocessing.connection import Connection, wait

from grid.plan import take
from grid.worker import work
from runs.outcome import FAILED, Outcome
from runs.spec import RunSpec

PATIENCE = 10  # seconds that a worker has to end
Answer = tuple[RunSpec, list[Outcome]]


def run(jobs: Sequence[RunSpec], devices: Sequence[str], perform: Callable = work) -> Iterator[Answer]:
    """Each job with what became of its runs, in the order in which they end; the workers end with this generator.

    Args:
        jobs: what is to be done; one whose worker dies is tried once more.
        devices: "cpu" or "cuda:N", a worker for each.
        perform: what a worker does with a job.
    """
    waiting, tried, devices = list(jobs), set(), devices[: len(jobs)]
    workers = [Worker(device, perform, threads=_threads(len(devices))) for device in devices]
    try:
        while True:
            for worker in workers:
                if waiting and not worker.job:
                    worker.give(take(waiting, worker.dataset, [other.dataset for other in workers]))
            busy = [worker for worker in workers if worker.job]
            if not busy:
                return
            ready = wait([worker.pipe for worker in busy], timeout=1)
            for worker in busy:
                if worker.pipe not in ready and worker.process.is_alive():
                    continue
                job, outcomes = worker.answer()
                if outcomes is None or any(outcome.unforeseen for outcome in outcomes):
                    worker.end()
                if outcomes is None and job not in tried:
                    tried.add(job)
                    waiting.insert(0, job)
                else:
                    yield job, outcomes or [Outcome(seed, FAILED, reason=worker.death) for seed in job.seeds]
    finally:
        for worker in workers:
            worker.stop()
        for worker in workers:
            worker.end()


class Worker:
    """A process that does one job after the other; it starts with the first one, and anew after it has ended."""

    process: multiprocessing.Process | None = None
    pipe: Connection
    job: RunSpec | None = None  # at work
    dataset = ""  # of its last job
    death = ""  # how its last process ended

    def __init__(self, device: str, perform: Callable, threads: int | None = None):
        self.task = perform, device, threads

    def give(self, job: RunSpec) -> None:
        if not self.process:
            context = multiprocessing.get_context("spawn")  # a device is not to be shared with a fork
            self.pipe, theirs = context.Pipe()
            self.process = context.Process(target=_serve, args=(theirs, *self.task))
            with _deaf():
                self.process.start()
            theirs.close()
        self.job, self.dataset = job, job.dataset
        with contextlib.suppress(OSError):  # it has died: so will its answer say
            self.pipe.send(job)

    def answer(self) -> tuple[RunSpec, list[Outcome] | None]:
        """The job, and what became of its runs: None if the process died over it."""
        job, self.job = self.job, None
        try:
            return job, self.pipe.recv() if self.pipe.poll() else None
        except (EOFError, OSError):
            return job, None

    def stop(self) -> None:
        """Ask the process to end."""
        if self.process:
            self.process.terminate()

    def end(self) -> None:
        """See to it that the process has ended."""
        if not self.process:
            return
        self.stop()
        self.process.join(PATIENCE)
        if self.process.is_alive():
            self.process.kill()
            self.process.join()
        code = self.process.exitcode
        how = f"by {signal.Signals(-code).name}" if code < 0 else f"with exit status {code}"
        hint = " (often a lack of memory)" if code == -signal.SIGKILL else ""
        self.death = f"its worker process ended, twice, {how}{hint}"
        self.process = None
        self.pipe.close()


def _serve(pipe: Connection, perform: Callable, device: str, threads: int | None) -> None:
    """Do one job after the other, until the other end of the pipe is closed."""
    signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))  # close what is open
    os.environ["CUDA_VISIBLE_DEVICES"] = _visible(device)  # before PyTorch is imported
    if threads:
        os.environ.setdefault("OMP_NUM_THREADS", str(threads))
    with contextlib.suppress(EOFError, OSError):
        while True:
            pipe.send(perform(pipe.recv()))


def _visible(device: str) -> str:
    """`device` of those that this process sees, as CUDA_VISIBLE_DEVICES has it."""
    if device == "cpu":
        return ""
    index, names = int(device.removeprefix("cuda:")), os.environ.get("CUDA_VISIBLE_DEVICES")
    return names.split(",")[index] if names else str(index)


def _threads(workers: int) -> int | None:
    """CPU threads of each worker where several share the processor; those of GPUs decode images on it."""
    return max(1, (os.cpu_count() or 1) // workers) if workers > 1 else None


@contextlib.contextmanager
def _deaf() -> Iterator[None]:
    """Processes that start meanwhile do not hear Ctrl-C: it reaches all at once, and the parent is to end them."""
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
