"""Runs the script for few-shot learning with a small model in its published layout."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

from clip import testing

ROOT = Path(__file__).parents[2]


def run_few_shot(tmp_path: Path, name: str) -> Path:
    """Run `few_shot.sh btmri 1 NAME`, shortened: phantom pixels, fewer layers; return the folder of its seed."""
    from datasets.phantoms.folder import Counts, prepare

    prepare("BTMRI", tmp_path / "data", progress=False, counts=Counts(train=1, val=1, test_total=4))
    testing.write_model(name, tmp_path / "weights" / name, small=True)
    env = os.environ | {
        "NO_VENV": "1",
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "DATA": str(tmp_path / "data"),
        "OUTPUT": str(tmp_path / "output"),
        "SEEDS": "1",
        "OPTS": "OPTIM.MAX_EPOCH 1 TRAINER.VMFCOOP.N_PROMPTS 2 TRAINER.VMFCOOP.VOCAB_SPACE projected",
        "VMFCOOP_WEIGHTS": str(tmp_path / "weights"),
        "VMFCOOP_CACHE": str(tmp_path / "store"),
    }
    script = [shutil.which("bash"), "scripts/vmfcoop/few_shot.sh", "btmri", "1", name]
    run = subprocess.run(script, cwd=ROOT, env=env, capture_output=True, text=True)
    assert run.returncode == 0, run.stdout + run.stderr
    seed = tmp_path / f"output/btmri/shots_1/vMFCoOp_{name}/nctx4_cscFalse_ctpend_claude/seed1"
    assert json.loads((seed / "metrics.json").read_text())["total"] == 4
    return seed
