"""The same grid on a Ray cluster of two nodes, which are processes of this machine."""

import functools
import json
import os
import re
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from grid import __main__ as command
from grid import cluster
from runs.outcome import DONE
from tests.grid import worker_stubs
from tests.run_folders import record, run_folder

NEEDS = 'Ray is not installed (pip install -e ".[ray]")'


@pytest.fixture
def address(monkeypatch, own_store):
    """A cluster of two nodes with a CPU core each, that use this process's feature store."""
    pytest.importorskip("ray", reason=NEEDS)
    from ray.cluster_utils import Cluster

    node = {"num_cpus": 1, "object_store_memory": 80 * 2**20}
    nodes = Cluster(initialize_head=True, head_node_args={**node, "include_dashboard": False})
    nodes.add_node(**node)
    yield nodes.address
    nodes.shutdown()


@pytest.mark.slow
def test_two_nodes_share_the_jobs_and_a_killed_workers_job_is_done_again(job, tmp_path, address):
    jobs = [job(name) for name in ("CoOp", "ZeroshotCLIP", "LPpp")]
    found = cluster.run(jobs, address, 1, worker_stubs.note_after_a_death)
    answers = {each.trainer: outcomes for each, outcomes in found}
    assert answers.keys() == {"CoOp", "ZeroshotCLIP", "LPpp"}
    assert all(outcome.state == DONE for outcomes in answers.values() for outcome in outcomes)
    notes = worker_stubs.notes(tmp_path)
    assert [name for _, name, *_ in notes].count("CoOp") == 2 and len(notes) == 4
    assert len({pid for pid, *_ in notes}) >= 3  # a worker on each node, and the one in the dead one's place


@pytest.mark.slow  # Ray's workers take long to start and to import PyTorch
def test_a_cluster_does_a_grid_and_does_the_runs_of_a_killed_worker_again(line, tmp_path, address, capfd, monkeypatch):
    monkeypatch.setattr(cluster, "run", functools.partial(cluster.run, work=worker_stubs.die_once))
    assert command.main(line("coop", "zeroshot", ray=address)) == 0
    output = capfd.readouterr()
    assert "4 runs done, 0 finished before, 0 failed." in output.out
    assert "Grid: 100%" not in output.err  # no bar, as this is no terminal
    assert (tmp_path / "died").exists()
    for seed in (1, 2):
        coop, zeroshot = (run_folder(tmp_path, trainer, seed=seed) for trainer in ("CoOp", "ZeroshotCLIP"))
        assert record(coop)["seed"] == record(zeroshot)["seed"] == seed
        assert "Resuming from epoch" in (coop / "log.txt").read_text()
    assert len({pid for pid, *_ in worker_stubs.notes(tmp_path)}) == 2
    monkeypatch.setattr(cluster, "run", None)  # nothing is left that it could be asked for
    assert command.main(line("coop", "zeroshot", ray=address)) == 0


def test_a_worker_for_each_gpu_or_else_for_each_share_of_cores():
    def node(**resources) -> dict:
        return {"Alive": resources.pop("alive", True), "Resources": resources}

    cores, gpus = node(CPU=5.0), node(CPU=8.0, GPU=2.0)
    assert cluster.find_places([cores, cores], 2) == ({"num_cpus": 2}, 4)
    assert cluster.find_places([cores, gpus], 1) == ({"num_cpus": 1, "num_gpus": 1}, 2)
    assert cluster.find_places([gpus, gpus], 8) == ({"num_cpus": 8, "num_gpus": 1}, 2)
    assert cluster.find_places([cores, node(CPU=64.0, alive=False)], 1) == ({"num_cpus": 1}, 5)
    with pytest.raises(ValueError, match="Expected a node with 6 CPU cores"):
        cluster.find_places([cores, cores], 6)


@pytest.mark.parametrize(
    ("address", "sentence"),
    [
        ("127.0.0.1:1", r"error: Expected a Ray cluster at 127.0.0.1:1, but got: .*refused"),
        ("here", r'error: Expected "auto", "local" or HOST:PORT for --ray, but got "here"'),
    ],
)
def test_an_address_without_a_cluster(line, capsys, address, sentence):
    pytest.importorskip("ray", reason=NEEDS)
    assert command.main(line("coop", ray=address)) == 1
    assert re.search(sentence, capsys.readouterr().err)


def test_without_ray_the_extra_is_named(line, capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    assert command.main(line("coop", ray="auto")) == 1
    assert 'Ray for --ray, but it is not installed: pip install -e ".[ray]".' in capsys.readouterr().err


@pytest.mark.slow
def test_our_own_cluster_obeys_this_process_alone(tmp_path):
    """In a process of its own: Ray reads its token once."""
    pytest.importorskip("ray", reason=NEEDS)
    code = f"""
from grid import cluster
from runs.spec import RunSpec
from tests.grid import worker_stubs
job = RunSpec("CoOp", "btmri", 1, (1,), output={str(tmp_path)!r})
print(list(cluster.run([job], "local", 1, worker_stubs.look_around)))
"""
    env = os.environ | {"HF_TOKEN": "hf_of_the_user", "VMFCOOP_CACHE": str(tmp_path / "cache")}
    done = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, timeout=500)
    assert "'done'" in done.stdout, done.stdout + done.stderr
    assert "Ray listens on" not in done.stderr
    seen = json.loads((tmp_path / "seen.json").read_text())
    assert seen["address"].startswith("127.0.0.1:") and not seen["outside"] and seen["closed"]
    out, last = seen["stranger"]
    assert "came in" in seen["friend"]
    assert "came in" not in out and "Failed to connect" in last


@pytest.fixture
def named(monkeypatch):
    """named(NAME=value, ...): an environment of these variables of models, hubs and keys alone."""

    def make(**values: str) -> None:
        for name in list(os.environ):
            if re.match(r"VMFCOOP_|BIOMEDCOOP_|HF_|HUGG|OPENAI|TRANSFORMERS|XDG_CACHE|RAY_", name):
                monkeypatch.delenv(name)
        for name, value in values.items():
            monkeypatch.setenv(name, value)

    return make


def test_workers_get_where_models_lie_and_no_secret(named, capsys):
    places = {
        "HF_HOME": "/h",
        "HF_HUB_CACHE": "/c",
        "HF_HUB_OFFLINE": "1",
        "VMFCOOP_CACHE": "/v",
        "VMFCOOP_WEIGHTS": "/w",
        "BIOMEDCOOP_CHECKOUT": "/b",
    }
    places |= {"HF_ENDPOINT": "https://mirror/", "HF_HUB_DISABLE_IMPLICIT_TOKEN": "1"}
    secrets = ("HF_TOKEN", "OPENAI_API_KEY", "RAY_AUTH_TOKEN", "HUGGING_FACE_HUB_TOKEN", "VMFCOOP_SALT")
    named(**places, **dict.fromkeys(secrets, "secret"))
    given = cluster.shared_environment()
    assert given.pop("PYTHONPATH").split(os.pathsep)[0] == str(cluster.ROOT)
    assert given == places and capsys.readouterr().err == ""
    named(HF_ENDPOINT="https://alice:pw@mirror/")
    assert cluster.shared_environment().keys() == {"PYTHONPATH"}
    err = capsys.readouterr().err
    assert err.startswith("HF_ENDPOINT stay here") and "pw" not in err


@pytest.mark.parametrize("temporary", ["", "a" * 60])
def test_a_cluster_of_our_own_leaves_the_environment_as_it_was(tmp_path, named, monkeypatch, temporary):
    named(RAY_AUTH_MODE="disabled")
    (tmp_path / temporary).mkdir(exist_ok=True)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / temporary) if temporary else None)
    before, tokens = dict(os.environ), set()
    for _ in range(2):
        with pytest.raises(KeyboardInterrupt), cluster.own_cluster() as options:
            folder = Path(options["_temp_dir"]).parent
            assert stat.S_IMODE(folder.stat().st_mode) == 0o700
            # what Ray puts below it: the longest name of a socket has 107 bytes
            assert len(options["_temp_dir"] + "/session_2026-11-28_06-33-20_431936_1234567/sockets/plasma_store") <= 107
            assert os.environ["RAY_AUTH_MODE"] == "token" and options["include_dashboard"] is False
            tokens.add(os.environ["RAY_AUTH_TOKEN"])
            raise KeyboardInterrupt
        assert dict(os.environ) == before and not folder.exists()
    assert len(tokens) == 2 and min(map(len, tokens)) >= 32


def test_what_a_cluster_of_others_may_do_is_said(named, capsys):
    named(HF_TOKEN="hf_of_the_user")
    with cluster.cluster_of_others("head:6379") as options:
        assert options == {}
    said, token = capsys.readouterr().err.splitlines()
    assert said.startswith("Ray at head:6379: whoever reaches it runs code on its nodes, and on this machine")
    assert "RAY_AUTH_MODE=token" in said and token.startswith("HF_TOKEN stay here") and "hf_of" not in token
    named(RAY_AUTH_MODE="token")
    with cluster.cluster_of_others("auto"):
        assert "RAY_AUTH_MODE" not in capsys.readouterr().err
