"""Every data set of the paper, from rendered phantoms to a finished few-shot run."""

import functools

import pytest

import train
from datasets import phantoms
from datasets.catalogue import by_key
from datasets.phantoms.folder import Counts
from tests.run_folders import record, run_folder


@pytest.mark.parametrize("key", sorted(by_key()))
def test_four_shots_of_phantoms(key, tmp_path, monkeypatch, capsys):
    few = Counts(train=4, val=1, test_total=20)
    monkeypatch.setattr(phantoms, "prepare", functools.partial(phantoms.prepare, counts=few, progress=False))
    monkeypatch.setattr("datasets.base.PHANTOM_ROOT", tmp_path / "phantoms")
    flags = f"--root phantoms --backbone PhantomCLIP --trainer vMFCoOp --dataset {key} --shots 4 --seed 1 --output"
    opts = "OPTIM.MAX_EPOCH 1 DATALOADER.NUM_WORKERS 0 TRAINER.VMFCOOP.N_PROMPTS 10"
    assert train.main([*flags.split(), str(tmp_path / "output"), *opts.split()]) == 0
    found = record(run_folder(tmp_path / "output", "vMFCoOp", dataset=key, shots=4))
    classes = by_key()[key].classes
    assert found["phantom"] is True and list(found["metrics"]["per_class"]) == list(classes)
    assert found["total"] == -(-20 // len(classes)) * len(classes)
    assert f"vMFCoOp on {key} (phantoms: rendered, no medical data), 4 shots" in capsys.readouterr().out
