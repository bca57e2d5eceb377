"""scripts/test.sh hides a GPU from the tests, and then asks for those that need one where there is one."""

import os
import stat
import subprocess
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "scripts" / "test.sh"
SEEN = "${CUDA_VISIBLE_DEVICES-all} ${VMFCOOP_TEST_GPU:-0}"


@pytest.fixture
def said(tmp_path):
    """`said(listed, *words)`: what the script runs on a machine whose nvidia-smi lists this; nothing is carried out."""

    def run(listed: str, *words: str) -> list[str]:
        log = tmp_path / "log"
        log.write_text("")
        stubs = {"ruff": f'echo "ruff $1" >> {log}', "python": f'echo "{SEEN} $@" >> {log}', "nvidia-smi": listed}
        for name, text in stubs.items():
            path = tmp_path / name
            path.write_text(f"#!/bin/sh\n{text}\n")
            path.chmod(path.stat().st_mode | stat.S_IXUSR)
        env = {"PATH": f"{tmp_path}{os.pathsep}{os.environ['PATH']}", "NO_VENV": "1"}
        subprocess.run(["bash", str(SCRIPT), *words], env=env, check=True)
        return log.read_text().splitlines()

    return run


NORMAL = ["ruff check", "ruff format"]
HIDDEN = " 0 -m pytest -q --numprocesses auto --maxprocesses 4 --dist loadfile"


@pytest.mark.slow
def test_with_a_gpu(said):
    lines = said("echo 'GPU 0: NVIDIA A100 (UUID: GPU-1)'")
    assert lines == [*NORMAL, HIDDEN, "all 1 -m pytest -q -m gpu tests/gpu"]


@pytest.mark.parametrize("listed", ["echo 'No devices were found'", "exit 9"])
@pytest.mark.slow
def test_without_a_gpu(said, listed):
    assert said(listed) == [*NORMAL, HIDDEN]


@pytest.mark.slow
def test_arguments_are_for_the_tests_that_need_no_gpu(said):
    assert said("echo 'GPU 0: x'", "tests/clip", "-x") == [*NORMAL, " 0 -m pytest -q tests/clip -x"]
