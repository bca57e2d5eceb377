"""Functions that workers do in the place of a job; a worker process finds them by their names."""

import json
import os
import signal
import socket
import stat
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path
from unittest.mock import patch

from runs.outcome import DONE, FAILED, Outcome
from runs.spec import RunSpec


def note(job: RunSpec) -> list[Outcome]:
    """Note process, job and environment; then CoCoOp kills its process, and KgCoOp and ProGrad fail with a bug."""
    seen = [os.environ.get("CUDA_VISIBLE_DEVICES"), os.environ.get("OMP_NUM_THREADS")]
    with (Path(job.output) / "notes.txt").open("a") as file:
        file.write(f"{os.getpid()} {job.trainer} {job.dataset} {seen[0]!r} {seen[1]}\n")
    if job.trainer == "CoCoOp":
        os.kill(os.getpid(), signal.SIGKILL)
    if job.trainer == "KgCoOp":
        return [Outcome(seed, FAILED, reason="RuntimeError: CUDA error", unforeseen=True) for seed in job.seeds]
    if job.trainer == "ProGrad":
        raise RuntimeError("nobody foresaw this")
    return [Outcome(seed, DONE) for seed in job.seeds]


def notes(folder: Path) -> list[list[str]]:
    return [line.split() for line in (folder / "notes.txt").read_text().splitlines()]


def note_and_wait(job: RunSpec) -> list[Outcome]:
    """Note as `note`, then work for ever."""
    note(job)
    while True:
        time.sleep(1)


def note_after_a_death(job: RunSpec) -> list[Outcome]:
    """Note as `note`; but the first process that is asked for CoOp is killed before it answers."""
    died = Path(job.output) / "died"
    outcomes = note(job)
    if job.trainer == "CoOp" and not died.exists():
        died.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return outcomes


def die_once(job: RunSpec) -> list[Outcome]:
    """Do the job; but the first process to come to the end of a second epoch is killed there."""
    from grid.worker import work
    from trainers.base.backbones import load_backbone

    with _mortal(Path(job.output) / "died"):
        outcomes = work(job)
    with (Path(job.output) / "notes.txt").open("a") as file:
        file.write(f"{os.getpid()} {job.trainer} {load_backbone.cache_info().misses}\n")
    return outcomes


@contextmanager
def _mortal(died: Path):
    from trainers.base.feature_trainer import FeatureTrainer

    real = FeatureTrainer.after_epoch

    def after_epoch(self):
        real(self)
        if self.epoch == 1 and not died.exists():
            died.touch()
            os.kill(os.getpid(), signal.SIGKILL)

    with patch.object(FeatureTrainer, "after_epoch", after_epoch):
        yield


STRANGER = "import sys, ray; ray.init(sys.argv[1], log_to_driver=False); print('came in')"


def look_around(job: RunSpec) -> list[Outcome]:
    """Write what this worker sees, and whether others reach its cluster with and without a token."""
    import ray

    address = ray.get_runtime_context().gcs_address
    without = {name: value for name, value in os.environ.items() if not name.startswith("RAY_")}
    without |= {"HOME": job.output, "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0"}  # no token there
    token = {name: os.environ[name] for name in ("RAY_AUTH_MODE", "RAY_AUTH_TOKEN")}
    line = [sys.executable, "-c", STRANGER, address]
    friend, stranger = (
        subprocess.run(line, env=env, capture_output=True, text=True, timeout=200) for env in (without | token, without)
    )
    seen = {"address": address, "outside": reached_from_outside(int(address.rpartition(":")[2]))}
    seen |= {"friend": friend.stdout, "stranger": [stranger.stdout, stranger.stderr.splitlines()[-1]]}
    folders = Path(ray._private.worker._global_node.get_session_dir_path()).parents
    seen |= {"closed": any(stat.S_IMODE(folder.stat().st_mode) == 0o700 for folder in folders)}
    Path(job.output, "seen.json").write_text(json.dumps(seen))
    return [Outcome(seed, DONE) for seed in job.seeds]


def reached_from_outside(port: int) -> bool:
    """Whether `port` answers at the address that other machines know this one by; False where there is none."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))  # sends nothing
        except OSError:
            return False
        own = probe.getsockname()[0]
    with socket.socket() as caller:
        return not own.startswith("127.") and caller.connect_ex((own, port)) == 0
