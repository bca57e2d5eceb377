"""Processes on this machine: real runs, killed workers, Ctrl-C."""

import contextlib
import functools
import os
import signal
import subprocess
import sys
import time

import pytest

import train
from grid import __main__ as command
from grid import local
from grid.devices import devices
from grid.plan import Job, plan
from grid.worker import DONE, FAILED
from tests.grid import doings
from tests.run_folders import alike, record, run_folder
from trainers.base.checkpoints import epochs


def test_a_grid_runs_what_is_missing_and_the_job_of_a_killed_worker_again(line, tmp_path, capfd, monkeypatch):
    monkeypatch.setattr(local, "run", functools.partial(local.run, perform=doings.die_once))
    assert command.main(line("coop", "zeroshot", devices="cpu")) == 0
    output = capfd.readouterr()
    assert "4 runs done, 0 finished before, 0 failed." in output.out and output.out.count("\n") == 1
    assert output.err.split("\r")[-1].startswith("Grid: 100%") and " 4/4 " in output.err
    assert "epoch [" not in output.err and (tmp_path / "died").exists()
    for trainer, resumed in (("CoOp", True), ("ZeroshotCLIP", False)):
        for seed in (1, 2):
            folder = run_folder(tmp_path, trainer, seed=seed)
            log = (folder / "log.txt").read_text()
            assert f"* accuracy: {record(folder)['metrics']['accuracy']:.2f}%" in log
            assert ("Resuming from epoch" in log) is resumed
    coop, zeroshot = doings.notes(tmp_path)
    assert coop[0] == zeroshot[0] and zeroshot[2] == "1"  # one process, one loaded backbone

    (job,), _ = plan(command.parse(line("coop", seeds=2, output=tmp_path / "alone")))
    words = ["--trainer", "CoOp", "--dataset", "btmri", "--shots", "2", *job.flags, "--seed", "2", *job.opts]
    assert train.main(words) == 0
    assert alike(run_folder(tmp_path, "CoOp", seed=2), run_folder(tmp_path / "alone", "CoOp", seed=2))
    capfd.readouterr()

    monkeypatch.setattr(local, "run", None)  # nothing is left that it could be asked for
    assert command.main(line("coop", "zeroshot", devices="cpu")) == 0
    assert "0 runs done, 4 finished before, 0 failed." in capfd.readouterr().out


def test_a_job_that_kills_its_workers_is_given_up_and_a_spoiled_worker_replaced(args, tmp_path):
    (job,), _ = plan(args("coop"))
    jobs = [Job(name, "btmri", 2, (1, 2), flags=job.flags) for name in ("CoOp", "CoCoOp", "KgCoOp", "vMFCoOp")]
    answers = {job.trainer: outcomes for job, outcomes in local.run(jobs, ["cpu"], doings.note)}
    assert [o.state for o in answers["CoOp"] + answers["vMFCoOp"]] == [DONE] * 4
    for outcome in answers["CoCoOp"]:
        assert outcome.state == FAILED
        assert "its worker process ended, twice, by SIGKILL (often a lack of memory)" in outcome.reason
    notes = doings.notes(tmp_path)
    assert [name for _, name, *_ in notes] == ["CoOp", "CoCoOp", "CoCoOp", "KgCoOp", "vMFCoOp"]
    coop, first, second, spoiled, last = (pid for pid, *_ in notes)
    assert coop == first and len({first, second, spoiled, last}) == 4


def test_each_worker_has_its_device_and_a_data_set_of_its_own(args, tmp_path, monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "4,7")
    (job,), _ = plan(args("coop"))
    jobs = [Job(name, dataset, 2, (1,), flags=job.flags) for dataset in ("btmri", "busi") for name in ("CoOp", "LPpp")]
    assert len(list(local.run(jobs, ["cuda:0", "cuda:1"], doings.note))) == 4
    seen = {(pid, device) for pid, _, _, device in doings.notes(tmp_path)}
    assert {device for _, device in seen} == {"'4'", "'7'"} and len(seen) == 2
    first = {dataset: pid for pid, trainer, dataset, _ in doings.notes(tmp_path) if trainer == "CoOp"}
    assert first["btmri"] != first["busi"]
    assert devices(["cpu", "cpu"]) == ["cpu", "cpu"]


def test_ctrl_c_ends_the_workers_and_keeps_what_is_done(line, tmp_path):
    words = line("coop", opts=("FEATURES.VIEWS", 1, "OPTIM.MAX_EPOCH", 9999))
    process = subprocess.Popen(
        [sys.executable, "-m", "grid", *words],
        cwd=CONFIGS.parent,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # as in a terminal: background jobs ignore it
    )
    learned = run_folder(tmp_path, "CoOp", seed=2) / "prompt_learner"
    deadline = time.time() + 600  # a busy machine takes its time
    try:
        while max(epochs(learned), default=0) < 2:
            assert process.poll() is None and time.time() < deadline
            time.sleep(0.05)
        os.killpg(process.pid, signal.SIGINT)  # a terminal sends it to all
        _, err = process.communicate(timeout=300)
        assert process.returncode == 130
        assert "Interrupted: what is done stays" in err and "Traceback" not in err
        assert max(epochs(learned)) >= 2
        with pytest.raises(ProcessLookupError):  # nobody outlives it
            while time.time() < deadline:
                os.killpg(process.pid, 0)
                time.sleep(0.1)
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
