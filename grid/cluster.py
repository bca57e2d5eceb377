"""Do jobs on a Ray cluster, whose nodes find this folder, the images and the runs under the same paths.

The loop is not that of `grid.local`: a worker here gets a job only when its node has started it, a node that cannot is
left out, and Ray itself repeats the job of a worker that died, perhaps on another node.
"""

import contextlib
import importlib.util
import logging
import os
import secrets
import signal
import socket
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any
from unittest.mock import patch

from dassl.console import without_password
from dassl.errors import UserError
from grid.plan import take
from grid.process import Answers, Work, give_up
from grid.worker import work
from runs.outcome import Outcome
from runs.spec import RunSpec

ROOT = Path(__file__).parents[1]
# Environment variables that workers get: where models and features lie, and whether to ask the network for them. All
# users of a cluster can read them: no token, no key.
SHARED = (
    "VMFCOOP_CACHE",
    "VMFCOOP_WEIGHTS",
    "BIOMEDCOOP_CHECKOUT",  # its clip/checkpoints holds weights
    "HF_HOME",
    "HF_HUB_CACHE",
    "HUGGINGFACE_HUB_CACHE",
    "HF_HUB_OFFLINE",
    "HF_ENDPOINT",
    "HF_HUB_DISABLE_IMPLICIT_TOKEN",
    "HF_HUB_DOWNLOAD_TIMEOUT",
    "HF_HUB_ETAG_TIMEOUT",
    "TRANSFORMERS_OFFLINE",
    "XDG_CACHE_HOME",
)
SECRET = ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN")
LOOPBACK = "127.0.0.1"


def run(jobs: Sequence[RunSpec], address: str, cpus: int = 1, work: Work = work) -> Answers:
    """Yield each job with the outcomes of its runs, in the order in which the jobs end.

    The workers end with this generator.

    Args:
        jobs: the runs; Ray repeats a job whose worker dies, once.
        address: "local" for a new cluster, which listens on this machine alone and obeys this process alone; "auto"
            for the one that this machine is part of, or HOST:PORT. Whoever reaches one of these runs code on its
            nodes, and here: answers are unpickled.
        cpus: CPU cores of each worker, which also has a GPU if the cluster has any.
        work: does one job in a worker's process.

    Raises:
        UserError: Ray is not installed, or the cluster has no room for a worker.
        UserError: there is no cluster at this address.
    """
    if not importlib.util.find_spec("ray"):
        raise UserError('Expected Ray for --ray, but it is not installed: pip install -e ".[ray]".')
    check_address(address)
    terminated = signal.getsignal(signal.SIGTERM)
    with own_cluster() if address == "local" else cluster_of_others(address) as options:
        import ray

        ray.init(
            address,
            runtime_env={"env_vars": shared_environment()},
            log_to_driver=False,
            logging_level=logging.ERROR,
            **options,
        )
        signal.signal(signal.SIGTERM, terminated or signal.SIG_DFL)  # Ray's own handler would abort
        try:
            if options and (found := ray.util.get_node_ip_address()) != LOOPBACK:
                print_note(f"Ray listens on {found}, for want of {LOOPBACK} alone; a token of this process guards it.")
            yield from _run(ray, list(jobs), cpus, work)
        finally:
            ray.shutdown()


@contextlib.contextmanager
def own_cluster() -> Iterator[dict]:
    """Give the options of a cluster that obeys this process alone; the environment is restored at the end.

    Ray opens its folder to all users of the machine; so it lies in a folder that is closed to them.
    """
    environment = {
        "RAY_AUTH_MODE": "token",
        "RAY_AUTH_TOKEN": secrets.token_hex(32),
        "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",  # Ray's name for: listen on the loopback address, as on these systems
    }
    with (
        tempfile.TemporaryDirectory(prefix="vmf_", dir=short_folder(), ignore_cleanup_errors=True) as folder,
        patch.dict(os.environ, environment),
    ):
        yield {"include_dashboard": False, "_temp_dir": str(Path(folder) / "ray")}


def short_folder() -> str:
    """Return the folder of temporary files, or /tmp if Ray's sockets there had names of more than 107 bytes."""
    folder = tempfile.gettempdir()
    return folder if len(os.fsencode(folder)) <= 24 else "/tmp"


@contextlib.contextmanager
def cluster_of_others(address: str) -> Iterator[dict]:
    """Give no options for a cluster that exists; print what its users may do."""
    guard = "" if os.environ.get("RAY_AUTH_MODE") == "token" else "; RAY_AUTH_MODE=token on all its nodes guards it"
    print_note(
        f"Ray at {address}: whoever reaches it runs code on its nodes, and on this machine by its answers{guard}."
    )
    if kept := [name for name in SECRET if os.environ.get(name)]:
        names = " and ".join(kept)
        print_note(f"{names} stay here: a worker that needs one has it from its node, such as by hf auth login.")
    yield {}


def shared_environment() -> dict[str, str]:
    """Return the environment variables that workers get, without any password."""
    paths = [str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]
    found = {name: os.environ[name] for name in SHARED if name in os.environ}
    if hidden := [name for name, value in found.items() if without_password(value) != value]:
        print_note(f"{' and '.join(hidden)} stay here: what is in their URL is not for all users of the cluster.")
    return {"PYTHONPATH": os.pathsep.join(paths)} | {n: value for n, value in found.items() if n not in hidden}


def print_note(line: str) -> None:
    print(line, file=sys.stderr)


def _run(ray: Any, waiting: list[RunSpec], cpus: int, work: Work) -> Answers:
    options, places = find_places(ray.nodes(), cpus)
    actor = ray.remote(_Worker).options(**options, max_restarts=-1, max_task_retries=1)
    asked: dict[Any, tuple[Any, RunSpec | None]] = {}  # future -> worker and job; no job: the worker has started
    at: dict[Any, str] = {}  # worker -> data set of its last job

    def hire() -> None:
        worker = actor.remote(str(Path.cwd()), work)
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
            yield job, outcomes or give_up(job, f"its worker ended, twice: {problem}")
        if job and outcomes and any(outcome.unforeseen for outcome in outcomes):
            hire()
        elif waiting and (job or not problem):
            job = take(waiting, at[worker], at.values())
            at[worker] = job.dataset
            asked[worker.perform.remote(job)] = worker, job
            continue
        ray.kill(worker)  # makes room for a worker whose node was lost
        del at[worker]


class _Worker:
    """A process on a node of the cluster."""

    def __init__(self, folder: str, work: Work):
        os.chdir(folder)
        self.work = work

    def perform(self, job: RunSpec) -> list[Outcome]:
        return self.work(job)


def check_address(address: str) -> None:
    """Raise a UserError unless a machine answers at `address`; Ray itself would wait for minutes."""
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


def find_places(nodes: Sequence[dict], cpus: int) -> tuple[dict[str, int], int]:
    """Return what a worker takes, and how many workers the cluster has room for.

    >>> find_places([{"Alive": True, "Resources": {"CPU": 5.0}}], cpus=2)
    ({'num_cpus': 2}, 2)
    """
    alive = [node["Resources"] for node in nodes if node["Alive"]]
    gpus = any(node.get("GPU") for node in alive)
    taken = {"num_cpus": cpus} | ({"num_gpus": 1} if gpus else {})
    places = sum(int(min(node.get("CPU", 0) // cpus, node.get("GPU", 0) if gpus else float("inf"))) for node in alive)
    if not places:
        raise UserError(f"Expected a node with {cpus} CPU cores for a worker on the cluster, but it has {alive}.")
    return taken, places
