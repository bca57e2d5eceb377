"""Ctrl-C ends every command in one sentence, and scripts with it."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from dassl.errors import INTERRUPTED, command
from grid import process
from tests.run_folders import run_folder

ROOT = Path(__file__).parents[1]
PATIENCE = 300  # seconds, on a busy machine


def as_in_a_terminal() -> None:
    """Let Ctrl-C reach a process, which jobs in the background ignore."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


@contextlib.contextmanager
def started(*line: object, **environment: str) -> Iterator[subprocess.Popen]:
    """Start a command in a process group of its own, and end what is left of it."""
    one = subprocess.Popen(
        [str(word) for word in line],
        cwd=ROOT,
        env=os.environ | {"NO_VENV": "1"} | environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        preexec_fn=as_in_a_terminal,
    )
    try:
        yield one
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(one.pid, signal.SIGKILL)
        one.communicate()


def test_a_command_that_is_interrupted_says_one_sentence(capsys):
    @command
    def main() -> int:
        print("working")
        raise KeyboardInterrupt

    assert main() == 130
    assert capsys.readouterr() == ("working\n", f"{INTERRUPTED}\n")


def test_a_package_that_is_still_imported_says_it_too(tmp_path):
    (tmp_path / "slow").mkdir()
    (tmp_path / "slow" / "__init__.py").write_text("import toolbox\nraise KeyboardInterrupt\n")
    path = os.pathsep.join([str(tmp_path), str(ROOT)])
    with started(sys.executable, "-m", "slow", PYTHONPATH=path) as one:
        assert one.communicate(timeout=PATIENCE) == ("", f"{INTERRUPTED}\n")
    assert one.returncode == -signal.SIGINT  # 130 in a shell


@pytest.mark.parametrize(
    ("script", "words"),
    [("compare.sh", ("btmri", "1", "coop", "vmfcoop")), ("coop/few_shot.sh", ("btmri", "1 2"))],
)
def test_a_loop_ends_with_the_command_that_was_interrupted(tmp_path, script, words):
    calls, stub = tmp_path / "calls", tmp_path / "python"
    stub.write_text(f'#!/bin/sh\necho "$@" >> {calls}\nexit 130\n')
    stub.chmod(0o755)
    path = f"{tmp_path}{os.pathsep}{os.environ['PATH']}"
    with started("bash", ROOT / "scripts" / script, *words, PATH=path) as one:
        one.communicate(timeout=PATIENCE)
    assert one.returncode == 130 and len(calls.read_text().splitlines()) == 1


def test_scripts_tell_at_their_end_which_command_was_killed(tmp_path):
    stub = tmp_path / "python"
    stub.write_text(f'#!/bin/sh\ncase "$*" in *runs.tally*) exec {sys.executable} "$@";; esac\nexit 137\n')
    stub.chmod(0o755)
    path = f"{tmp_path}{os.pathsep}{os.environ['PATH']}"
    with started("bash", ROOT / "scripts" / "coop" / "few_shot.sh", "btmri", "1 2", PATH=path) as one:
        out, _ = one.communicate(timeout=PATIENCE)
    assert one.returncode == 1
    assert out.splitlines()[-3:] == [
        "2 of 2 runs failed.",
        "failed: CoOp on btmri, K = 1: ended with exit status 137",
        "failed: CoOp on btmri, K = 2: ended with exit status 137",
    ]


@pytest.mark.slow
def test_a_training_in_a_script_is_interrupted(data_root, tmp_path):
    environment = {"DATA": str(data_root), "OUTPUT": str(tmp_path), "BACKBONE": "PhantomCLIP", "SEEDS": "1"}
    learned = run_folder(tmp_path, "CoOp", changed="OPTIM.MAX_EPOCH=9999") / "prompt_learner"
    line = ("bash", "scripts/compare.sh", "btmri", 2, "coop", "vmfcoop")
    with started(*line, **environment, OPTS="OPTIM.MAX_EPOCH 9999 DATALOADER.NUM_WORKERS 0") as one:
        deadline = time.time() + PATIENCE
        while not learned.is_dir():
            assert one.poll() is None and time.time() < deadline
            time.sleep(0.1)
        os.killpg(one.pid, signal.SIGINT)  # a terminal sends it to all
        out, err = one.communicate(timeout=PATIENCE)
    assert one.returncode == 130 and err == f"{INTERRUPTED}\n"
    assert "CoOp on btmri" in out and "vMFCoOp on" not in out and "\r" not in out
    log = (learned.parent / "log.txt").read_text()
    assert log.splitlines()[-1] == "KeyboardInterrupt"


def test_a_worker_that_is_ending_is_not_ended_again():
    before = signal.getsignal(signal.SIGTERM)
    try:
        signal.signal(signal.SIGTERM, process._end)
        with pytest.raises(SystemExit) as ended:
            os.kill(os.getpid(), signal.SIGTERM)
        assert ended.value.code == 143 and signal.getsignal(signal.SIGTERM) == signal.SIG_IGN
        os.kill(os.getpid(), signal.SIGTERM)  # would raise again, in whatever Python does at its end
    finally:
        signal.signal(signal.SIGTERM, before)
