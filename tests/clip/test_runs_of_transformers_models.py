"""Runs with small models in the layout of transformers, by the short names under which they were published."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import train
from clip.testing import write_model

ROOT = Path(__file__).parents[2]
NAMES = ("PLIP", "MedSigLIP")
SHORT = (  # the small vocabulary makes a token of each letter, so that texts of the bank are cut
    "OPTIM.MAX_EPOCH 1 TRAINER.VMFCOOP.N_PROMPTS 2 TRAINER.VMFCOOP.VOCAB_SPACE projected PROMPTS.TOO_LONG cut"
)
OPTIONS = {"ZeroshotCLIP": "OPTIM.MAX_EPOCH 0", "CoCoOp": "OPTIM.MAX_EPOCH 1", "vMFCoOp": SHORT}


@pytest.fixture(scope="module")
def weights(tmp_path_factory) -> Path:
    root = tmp_path_factory.mktemp("weights")
    for name in NAMES:
        write_model(name, root / name, small=True)
    return root


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("trainer", OPTIONS)
def test_a_run(name, trainer, weights, flags, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("VMFCOOP_WEIGHTS", str(weights))
    assert train.main(flags(trainer, *OPTIONS[trainer].split(), backbone=name, shots=1)) == 0
    metrics = json.loads(next(tmp_path.rglob("metrics.json")).read_text())
    assert (metrics["backbone"], metrics["total"]) == (name, 20)
    assert f"{name} is read from {weights / name}" in capsys.readouterr().out
    assert bool(list(tmp_path.rglob("model.pth.tar-1"))) == (trainer != "ZeroshotCLIP")


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_a_run_of_the_script_finds_the_weights_folder(name, weights, tmp_path):
    """`few_shot.sh btmri 1 PLIP`, shortened: phantom pixels, fewer layers."""
    from datasets.phantoms.folder import Counts, prepare

    prepare("BTMRI", tmp_path / "data", progress=False, counts=Counts(train=1, val=1, test_total=4))
    env = os.environ | {
        "NO_VENV": "1",
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "DATA": str(tmp_path / "data"),
        "OUTPUT": str(tmp_path / "output"),
        "SEEDS": "1",
        "OPTS": SHORT,
        "VMFCOOP_WEIGHTS": str(weights),
        "VMFCOOP_CACHE": str(tmp_path / "store"),
    }
    script = [shutil.which("bash"), "scripts/vmfcoop/few_shot.sh", "btmri", "1", name]
    run = subprocess.run(script, cwd=ROOT, env=env, capture_output=True, text=True)
    assert run.returncode == 0, run.stdout + run.stderr
    seed = tmp_path / f"output/btmri/shots_1/vMFCoOp_{name}/nctx4_cscFalse_ctpend_claude/seed1"
    assert json.loads((seed / "metrics.json").read_text())["total"] == 4
