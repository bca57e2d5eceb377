"""Our BiomedCoOp and CoOp against the original code on each of its backbones: equal numbers, step by step.

Weights, images and views are the same. It needs a checkout of https://github.com/HealthX-Lab/BiomedCoOp, which
`BIOMEDCOOP_CHECKOUT` names.
"""

import os
from pathlib import Path

import pytest
from safetensors.torch import load_file, save_file

from clip import testing
from clip.testing.published import halved
from datasets import prompts
from datasets.prompts.import_biomedcoop import import_banks
from tests.checkouts.agreement import first_steps, keep_evaluating

CHECKOUT = os.environ.get("BIOMEDCOOP_CHECKOUT", "")
OPTS = ("DATALOADER.TRAIN_X.BATCH_SIZE", 4, "OPTIM.WARMUP_EPOCH", -1, "OPTIM.LR", 0.0025)
METHODS = {"CoOp": (), "BiomedCoOp": ("TRAINER.BIOMEDCOOP.N_PROMPTS", 8)}
BACKBONES = {"BiomedCLIP": "BiomedCLIP", "CLIP": "CLIP", "PubMedCLIP": "PubMedCLIP", "PMC-CLIP": "PMCCLIP"}
# The original prunes sentences by the distance of their scores from the median on PMC-CLIP alone, on the others by the
# score: this far from it, both keep all.
EVERYTHING = ("TRAINER.BIOMEDCOOP.TAU", 1000.0)
CLOSE = 1e-4  # relative to the largest entry of theirs; up to 1.3e-5 was seen, in KDSP

pytestmark = [
    pytest.mark.skipif(not CHECKOUT, reason="BIOMEDCOOP_CHECKOUT names no checkout of BiomedCoOp"),
    pytest.mark.filterwarnings("default"),  # their code copies tensors by torch.tensor
]


@pytest.fixture
def banks(tmp_path, monkeypatch):
    """The original's sentences are ours."""
    import_banks(Path(CHECKOUT), tmp_path / "banks" / "gpt4")
    monkeypatch.setattr(prompts, "FOLDER", tmp_path / "banks")


def write(name: str, folder: Path) -> str:
    """Write a backbone; the weights of CLIP in half precision, to which the original rounds them."""
    testing.write_model(name, folder)
    if name == "CLIP":
        file = folder / "open_clip_model.safetensors"
        save_file({key: tensor.clone() for key, tensor in halved(load_file(file)).items()}, file)
    return f"local-dir:{folder}"


@pytest.mark.usefixtures("banks")
@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("name", BACKBONES)
def test_the_first_steps_are_the_same(build, tmp_path, method, name):
    backbone = write(name, tmp_path / "weights")
    opts = (*OPTS, *METHODS[method], *(EVERYTHING if (method, name) == ("BiomedCoOp", "PMC-CLIP") else ()))
    ours = build(method, *opts, "PROMPTS.LLM", "gpt4", "PROMPTS.TOO_LONG", "cut", backbone=backbone)
    theirs = build(f"{method}_{BACKBONES[name]}", *opts, more=("--with", CHECKOUT), backbone=backbone)
    keep_evaluating(theirs.model)
    worst = first_steps(ours, theirs)
    assert {quantity: off for quantity, (off, _) in worst.items() if off > CLOSE} == {}
