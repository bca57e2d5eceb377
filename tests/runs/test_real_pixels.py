"""The pipeline learns on real pixels: directions of slices through the MNI152 T1 brain template."""

import pytest

import train
from tests.mni_slices import AXES, write_slices
from tests.run_folders import record, run_folder


@pytest.fixture(scope="module")
def slices(tmp_path_factory):
    return write_slices(tmp_path_factory.mktemp("mni") / "slices", per_class=60)


@pytest.mark.parametrize("trainer", ["vMFCoOp", "LinearProbe"])
@pytest.mark.slow
def test_directions_of_brain_slices_are_told_apart(slices, tmp_path, trainer):
    line = f"--root {slices} --dataset folder --backbone PhantomCLIP --trainer {trainer} --shots 16 --seed 1"
    opts = ["DATALOADER.NUM_WORKERS", "0", "FEATURES.VIEWS", "2"]
    if trainer == "vMFCoOp":
        opts += ["OPTIM.MAX_EPOCH", "15", "TRAINER.VMFCOOP.N_PROMPTS", "10"]
    assert train.main([*line.split(), "--output", str(tmp_path), *opts]) == 0
    found = record(run_folder(tmp_path, trainer, dataset=f"folder-{slices.name}", shots=16))
    assert set(found["metrics"]["per_class"]) == set(AXES) and found["total"] == 54
    assert found["metrics"]["accuracy"] > 60, "chance is 33"
    assert found["phantom"] is False
