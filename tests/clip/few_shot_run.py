"""Runs a script for few-shot learning with a small model in its published layout."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

from clip import testing

ROOT = Path(__file__).parents[2]
SHORT = "OPTIM.MAX_EPOCH 1 TRAINER.VMFCOOP.N_PROMPTS 2 TRAINER.VMFCOOP.VOCAB_SPACE projected"
CUT = f"{SHORT} PROMPTS.TOO_LONG cut"  # small vocabularies make many tokens of a text


def run_few_shot(tmp_path: Path, name: str, method: str = "vmfcoop", options: str = SHORT) -> tuple[Path, str]:
    """Run `few_shot.sh btmri 1 NAME` of a method, shortened: phantom pixels, fewer layers.

    Returns:
        The folder of its seed, and what it printed.
    """
    from datasets.phantoms.folder import Counts, prepare

    prepare("BTMRI", tmp_path / "data", progress=False, counts=Counts(train=1, val=1, test_total=4))
    testing.write_model(name, tmp_path / "weights" / name, small=True)
    env = os.environ | {
        "NO_VENV": "1",
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "DATA": str(tmp_path / "data"),
        "OUTPUT": str(tmp_path / "output"),
        "SEEDS": "1",
        "OPTS": options,
        "VMFCOOP_WEIGHTS": str(tmp_path / "weights"),
        "VMFCOOP_CACHE": str(tmp_path / "store"),
    }
    script = [shutil.which("bash"), f"scripts/{method}/few_shot.sh", "btmri", "1", name]
    run = subprocess.run(script, cwd=ROOT, env=env, capture_output=True, text=True)
    assert run.returncode == 0, run.stdout + run.stderr
    if method == "vmfcoop":
        (seed,) = (tmp_path / "output/btmri/shots_1").glob(f"vMFCoOp_{name}/nctx4_cscFalse_ctpend_claude*/seed1")
    else:
        (seed,) = (tmp_path / "output" / "btmri").rglob("seed1")
    found = json.loads((seed / "metrics.json").read_text())
    assert (found["backbone"], found["total"]) == (name, 4)
    return seed, run.stdout
