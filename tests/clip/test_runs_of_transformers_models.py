"""Runs with small models in the layout of transformers, by the short names under which they were published."""

import json
from pathlib import Path

import pytest

import train
from clip.testing import write_model
from tests.clip.few_shot_run import CUT, run_few_shot

NAMES = ("PLIP", "MedSigLIP")
OPTIONS = {"ZeroshotCLIP": "OPTIM.MAX_EPOCH 0", "CoCoOp": "OPTIM.MAX_EPOCH 1", "vMFCoOp": CUT}


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
def test_a_run_of_the_script_finds_the_weights_folder(name, tmp_path):
    run_few_shot(tmp_path, name, options=CUT)
