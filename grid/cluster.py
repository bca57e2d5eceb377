"""Workers on a Ray cluster, whose nodes find this folder, the images and the runs under the same paths."""

import contextlib
import importlib.util
import logging
import os
import secrets
import signal
import socket
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from unittest.mock import patch

from dassl.console import without_password
from dassl.errors import UserError
from grid.local import Answer
from grid.plan import take
from grid.worker import work
from runs.outcome import FAILED, Outcome
from runs.spec import RunSpec

ROOT = Path(__file__).parents[1]
# Where models and features lie, and whether to ask the network for them. What is handed to a cluster can be read there
# by all its users: no token, no key.
SHARED = ("VMFCOOP_CACHE", "VMFCOOP_WEIGHTS", "HF_HOME", "HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE", "HF_HUB_OFFLINE")
SHARED += ("HF_ENDPOINT", "HF_HUB_DISABLE_IMPLICIT_TOKEN", "HF_HUB_DOWNLOAD_TIMEOUT", "HF_HUB_ETAG_TIMEOUT")
SHARED += ("TRANSFORMERS_OFFLINE", "XDG_CACHE_HOME")
SECRET = ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN")
LOOPBACK = "127.0.0.1"


def run(jobs: Sequence[RunSpec], address: str, cpus: int = 1, perform: Callable = work) -> Iterator[Answer]:
    """Each job with what became of its runs, in the order in which they end; the workers end with this generator.

    Args:
        jobs: what is to be done; Ray tries one whose worker dies once more.
        address: "local" for a new cluster, which listens on this machine alone and obeys this process alone; "auto"
            for the one that this machine is part of, or HOST:PORT. Who reaches one of these runs code on its nodes,
            and here: answers are unpickled.
        cpus: CPU cores of each worker, which has a GPU too where the cluster has any.
        perform: what a worker does with a job.

    Raises:
        UserError: Ray is not installed, or the cluster has no room for a worker.
        UserError: there is no cluster at this address.
    """
    if not importlib.util.find_spec("ray"):
        raise UserError('Expected Ray for --ray, but it is not installed: pip install -e ".[ray]".')
    _reach(address)
    terminated = signal.getsignal(signal.SIGTERM)
    with _own() if address == "local" else _foreign(address) as options:
        import ray

        ray.init(
            address,
            runtime_env={"env_vars": _shared()},
            log_to_driver=False,
            logging_level=logging.ERROR,
            **options,
        )
        signal.signal(signal.SIGTERM, terminated or signal.SIG_DFL)  # Ray's own handler would abort
        try:
            if options and (found := ray.util.get_node_ip_address()) != LOOPBACK:
                _say(f"Ray listens on {found}, for want of {LOOPBACK} alone; a token of this process guards it.")
            yield from _run(ray, list(jobs), cpus, perform)
        finally:
            ray.shutdown()


@contextlib.contextmanager
def _own() -> Iterator[dict]:
    """Options of a cluster that obeys this process alone; the environment is as before in the end.

    Ray opens its folder to all users of the machine, so that it lies in one that is closed to them.
    """
    environment = {
        "RAY_AUTH_MODE": "token",
        "RAY_AUTH_TOKEN": secrets.token_hex(32),
        "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",  # Ray's name for: listen on the loopback address, as on these systems
    }
    with (
        tempfile.TemporaryDirectory(prefix="vmf_", dir=_short(), ignore_cleanup_errors=True) as folder,
        patch.dict(os.environ, environment),
    ):
        yield {"include_dashboard": False, "_temp_dir": str(Path(folder) / "ray")}


def _short() -> str:
    """The folder of temporary files, or /tmp where the names of Ray's sockets, of 107 bytes at most, would not fit."""
    folder = tempfile.gettempdir()
    return folder if len(os.fsencode(folder)) <= 24 else "/tmp"


@contextlib.contextmanager
def _foreign(address: str) -> Iterator[dict]:
    """No options for a cluster that is there; what it may do is said."""
    guard = "" if os.environ.get("RAY_AUTH_MODE") == "token" else "; RAY_AUTH_MODE=token on all its nodes guards it"
    _say(f"Ray at {address}: whoever reaches it runs code on its nodes, and on this machine by its answers{guard}.")
    if kept := [name for name in SECRET if os.environ.get(name)]:
        _say(f"{' and '.join(kept)} stay here: a worker that needs one has it from its node, such as by hf auth login.")
    yield {}


def _shared() -> dict[str, str]:
    """The environment variables that workers get, without any password."""
    paths = [str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]
    found = {name: os.environ[name] for name in SHARED if name in os.environ}
    if hidden := [name for name, value in found.items() if without_password(value) != value]:
        _say(f"{' and '.join(hidden)} stay here: what is in their URL is not for all users of the cluster.")
    return {"PYTHONPATH": os.pathsep.join(paths)} | {n: value for n, value in found.items() if n not in hidden}


def _say(line: str) -> None:
    print(line, file=sys.stderr)


def _run(ray, waiting: list[RunSpec], cpus: int, perform: Callable) -> Iterator[Answer]:
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
            death = f"its worker ended, twice: {problem}"
            yield job, outcomes or [Outcome(seed, FAILED, reason=death) for seed in job.seeds]
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

    def perform(self, job: RunSpec) -> list[Outcome]:
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
