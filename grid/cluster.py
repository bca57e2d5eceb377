"""Workers on a Ray cluster, whose nodes find this folder, the images and the runs under the same paths."""

import contextlib
import logging
import os
import signal
import socket
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from dassl.errors import UserError
from grid.local import Answer
from grid.plan import Job, take
from grid.worker import FAILED, Outcome, perform

ROOT = Path(__file__).parents[1]


def run(jobs: Sequence[Job], address: str, cpus: int = 1, perform: Callable = perform) -> Iterator[Answer]:
    """Each job with what became of its runs, in the order in which they end; the workers end with this generator.

    Args:
        jobs: what is to be done; Ray tries one whose worker dies once more.
        address: "auto" for the cluster that this machine is part of, "local" for a new one, or HOST:PORT.
        cpus: CPU cores of each worker, which has a GPU too where the cluster has any.
        perform: what a worker does with a job.

    Raises:
        UserError: Ray is not installed, or the cluster has no room for a worker.
        UserError: there is no cluster at this address.
    """
    try:
        import ray
    except ImportError as error:
        raise UserError('Expected Ray for --ray, but it is not installed: pip install -e ".[ray]".') from error
    _reach(address)
    paths = [str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]
    shared = {"PYTHONPATH": os.pathsep.join(paths)}
    shared |= {name: value for name, value in os.environ.items() if name.startswith("VMFCOOP_")}
    terminated = signal.getsignal(signal.SIGTERM)
    ray.init(address, runtime_env={"env_vars": shared}, log_to_driver=False, logging_level=logging.ERROR)
    signal.signal(signal.SIGTERM, terminated or signal.SIG_DFL)  # Ray's own handler would abort
    try:
        yield from _run(ray, list(jobs), cpus, perform)
    finally:
        ray.shutdown()


def _run(ray, waiting: list[Job], cpus: int, perform: Callable) -> Iterator[Answer]:
    options, places = _places(ray.nodes(), cpus)
    actor = ray.remote(_Worker).options(**options, max_restarts=-1, max_task_retries=1)
    asked = {}  # an answer to come -> the worker and its job; None: whether it is there
    at = {}  # worker -> the data set that it is on

    def hire() -> None:
        worker = actor.remote(str(Path.cwd()), perform)
        at[worker] = ""
        asked[worker.__ray_ready__.remote()] = worker, None

    for _ in range(min(places, len(waiting))):
        hire()
    problem = ""
    while waiting or any(job for _, job in asked.values()):
        if not asked:
            raise UserError(f"Expected the cluster's workers to start in {Path.cwd()}, but none did: {problem}")
        (answer,), _ = ray.wait(list(asked))
        worker, job = asked.pop(answer)
        outcomes = None
        try:
            outcomes, problem = ray.get(answer), ""
        except ray.exceptions.RayError as error:
            problem = str(error).strip().splitlines()[-1]
        if job:
            yield job, outcomes or [Outcome(seed, FAILED, f"its worker ended, twice: {problem}") for seed in job.seeds]
        if job and outcomes and any(outcome.unforeseen for outcome in outcomes):
            hire()
        elif waiting and (job or not problem):
            job = take(waiting, at[worker], at.values())
            at[worker] = job.dataset
            asked[worker.perform.remote(job)] = worker, job
            continue
        ray.kill(worker)  # its place is another's, which may have lost its node
        del at[worker]


class _Worker:
    """A process on a node of the cluster."""

    def __init__(self, folder: str, perform: Callable):
        os.chdir(folder)
        self.perform_job = perform

    def perform(self, job: Job) -> list[Outcome]:
        return self.perform_job(job)


def _reach(address: str) -> None:
    """Ray itself would wait for minutes for a machine that does not answer."""
    host, _, port = address.rpartition(":")
    if address in ("auto", "local"):
        return
    try:
        if not (host and port.isdigit()):
            raise UserError(f'Expected "auto", "local" or HOST:PORT for --ray, but got "{address}".')
        with contextlib.closing(socket.create_connection((host, int(port)), timeout=10)):
            pass
    except OSError as error:
        raise UserError(f"Expected a Ray cluster at {address}, but got: {error}.") from error


def _places(nodes: Sequence[dict], cpus: int) -> tuple[dict[str, int], int]:
    """What a worker takes, and how many of them the cluster has room for."""
    alive = [node["Resources"] for node in nodes if node["Alive"]]
    gpus = any(node.get("GPU") for node in alive)
    taken = {"num_cpus": cpus} | ({"num_gpus": 1} if gpus else {})
    places = sum(int(min(node.get("CPU", 0) // cpus, node.get("GPU", 0) if gpus else float("inf"))) for node in alive)
    if not places:
        raise UserError(f"Expected a node with {cpus} CPU cores for a worker on the cluster, but it has {alive}.")
    return taken, places
