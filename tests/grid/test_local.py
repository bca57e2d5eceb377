"""Processes on this machine: real runs, killed workers, Ctrl-C."""

import contextlib
import functools
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from grid import __main__ as command
from grid import local
from grid.devices import devices
from grid.plan import plan
from runs.outcome import DONE, FAILED
from runs.run import run
from tests.grid import worker_stubs
from tests.run_folders import alike, record, run_folder
from trainers.base.checkpoints import epochs

ROOT = Path(__file__).parents[2]
PATIENCE = 600  # seconds: a busy machine takes its time


@pytest.mark.slow
def test_a_grid_runs_what_is_missing_and_the_job_of_a_killed_worker_again(line, grid, tmp_path, capfd, monkeypatch):
    monkeypatch.setattr(local, "run", functools.partial(local.run, work=worker_stubs.die_once))
    assert command.main(line("coop", "zeroshot", devices="cpu")) == 0
    output = capfd.readouterr()
    assert "4 runs done, 0 finished before, 0 failed." in output.out and output.out.count("\n") == 1
    assert "\r" not in output.err  # no bar, as this is no terminal
    assert "epoch [" not in output.err and (tmp_path / "died").exists()
    for trainer, resumed in (("CoOp", True), ("ZeroshotCLIP", False)):
        for seed in (1, 2):
            folder = run_folder(tmp_path, trainer, seed=seed)
            log = (folder / "log.txt").read_text()
            assert f"* accuracy: {record(folder)['metrics']['accuracy']:.2f}%" in log
            assert ("Resuming from epoch" in log) is resumed
    coop, zeroshot = worker_stubs.notes(tmp_path)
    assert coop[0] == zeroshot[0] and zeroshot[2] == "1"  # one process, one loaded backbone

    (job,), _ = plan(grid("coop", seeds=2, output=tmp_path / "alone"))
    run(job)
    assert alike(run_folder(tmp_path, "CoOp", seed=2), run_folder(tmp_path / "alone", "CoOp", seed=2))
    capfd.readouterr()

    monkeypatch.setattr(local, "run", None)  # nothing is left that it could be asked for
    assert command.main(line("coop", "zeroshot", devices="cpu")) == 0
    assert "0 runs done, 4 finished before, 0 failed." in capfd.readouterr().out


@pytest.mark.slow
def test_a_job_that_kills_its_workers_is_given_up_and_a_spoiled_worker_replaced(job, tmp_path):
    names = ["CoOp", "CoCoOp", "KgCoOp", "ProGrad", "vMFCoOp"]
    found = local.run([job(name) for name in names], ["cpu"], worker_stubs.note)
    answers = {each.trainer: outcomes for each, outcomes in found}
    assert [outcome.state for name in ("CoOp", "vMFCoOp") for outcome in answers[name]] == [DONE] * 4
    for outcome in answers["CoCoOp"]:
        assert outcome.state == FAILED
        assert "its worker process ended, twice, by SIGKILL (often a lack of memory)" in outcome.reason
    assert {outcome.reason for outcome in answers["ProGrad"]} == {"RuntimeError: nobody foresaw this"}
    notes = worker_stubs.notes(tmp_path)
    assert [name for _, name, *_ in notes] == ["CoOp", "CoCoOp", "CoCoOp", "KgCoOp", "ProGrad", "vMFCoOp"]
    coop, first, second, spoiled, buggy, last = (pid for pid, *_ in notes)
    assert coop == first and len({first, second, spoiled, buggy, last}) == 5


def test_each_worker_has_its_device_its_threads_and_a_data_set_of_its_own(job, tmp_path, monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "4,7")
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    monkeypatch.setattr("os.cpu_count", lambda: 6)
    jobs = [job(name, dataset) for dataset in ("btmri", "busi") for name in ("CoOp", "LPpp")]
    assert len(list(local.run(jobs, ["cuda:0", "cuda:1"], worker_stubs.note))) == 4
    notes = worker_stubs.notes(tmp_path)
    assert {(device, threads) for *_, device, threads in notes} == {("'4'", "3"), ("'7'", "3")}
    assert len({pid for pid, *_ in notes}) == 2
    first = {dataset: pid for pid, trainer, dataset, *_ in notes if trainer == "CoOp"}
    assert first["btmri"] != first["busi"]
    assert os.environ["CUDA_VISIBLE_DEVICES"] == "4,7" and "OMP_NUM_THREADS" not in os.environ
    assert devices(["cpu", "cpu"]) == ["cpu", "cpu"]


def ended(pid: int) -> bool:
    """Return whether a process ends in time."""
    deadline = time.time() + PATIENCE
    while time.time() < deadline:
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return True
        time.sleep(0.1)
    return False


def worker_of(folder: Path, alive) -> int:
    """Return the process of the first worker that has noted its job."""
    deadline = time.time() + PATIENCE
    while not (folder / "notes.txt").is_file():
        assert alive() and time.time() < deadline
        time.sleep(0.05)
    return int(worker_stubs.notes(folder)[0][0])


def test_workers_end_with_the_generator(job, tmp_path):
    jobs = [job("CoOp"), job("vMFCoOp"), job("LPpp")]
    answers = local.run(jobs, ["cpu"], worker_stubs.note)
    next(answers)
    answers.close()
    assert ended(worker_of(tmp_path, lambda: True))


@pytest.mark.slow
def test_workers_end_with_a_parent_that_is_killed(tmp_path):
    code = f"""
if __name__ == "__main__":
    from grid import local
    from runs.spec import RunSpec
    from tests.grid import worker_stubs

    list(local.run([RunSpec("CoOp", "btmri", 1, 1, output={str(tmp_path)!r})], ["cpu"], worker_stubs.note_and_wait))
"""
    (tmp_path / "code.py").write_text(code)
    with subprocess.Popen([sys.executable, str(tmp_path / "code.py")], cwd=ROOT) as parent:
        worker = worker_of(tmp_path, lambda: parent.poll() is None)
        parent.kill()
    assert ended(worker)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.slow
def test_an_interrupted_grid_ends_its_workers_and_keeps_what_is_done(line, tmp_path, number):
    words = line("coop", opts=("FEATURES.VIEWS", 1, "OPTIM.MAX_EPOCH", 9999))
    process = subprocess.Popen(
        [sys.executable, "-m", "grid", *words],
        cwd=ROOT,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # as in a terminal: background jobs ignore it
    )
    changed = "FEATURES.VIEWS=1,OPTIM.MAX_EPOCH=9999"
    learned = run_folder(tmp_path, "CoOp", seed=2, changed=changed) / "prompt_learner"
    deadline = time.time() + PATIENCE
    try:
        while max(epochs(learned), default=0) < 2:
            assert process.poll() is None and time.time() < deadline
            time.sleep(0.05)
        if number == signal.SIGINT:
            os.killpg(process.pid, number)  # a terminal sends it to all
        else:
            process.send_signal(number)
        _, err = process.communicate(timeout=300)
        assert process.returncode == 130
        assert "Interrupted: what is done stays" in err and "Traceback" not in err
        assert max(epochs(learned)) >= 2
        with pytest.raises(ProcessLookupError):  # no process of its group is left
            while time.time() < deadline:
                os.killpg(process.pid, 0)
                time.sleep(0.1)
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
