"""Each trainer of the original BiomedCoOp runs with random weights of its backbone, and no download.

It needs a checkout of https://github.com/HealthX-Lab/BiomedCoOp, which `BIOMEDCOOP_CHECKOUT` names.
"""

import os

import pytest
import torch

import train
from clip import testing
from tests.clip.small_clip import write_clip
from tests.run_folders import record

CHECKOUT = os.environ.get("BIOMEDCOOP_CHECKOUT", "")
METHODS = ["CoOp_{}", "CoCoOp_{}", "KgCoOp_{}", "ProGrad_{}", "BiomedCoOp_{}", "Zeroshot{}", "Zeroshot{}2"]
TRAINERS = [(name.format(kind), kind) for name in METHODS for kind in ("CLIP", "PubMedCLIP", "PMCCLIP")]
TRAINERS.remove(("ZeroshotCLIP", "CLIP"))  # a name of ours, which stays
OPTS = ("OPTIM.WARMUP_EPOCH", -1, "DATALOADER.TRAIN_X.BATCH_SIZE", 2)

pytestmark = [
    pytest.mark.skipif(not CHECKOUT, reason="BIOMEDCOOP_CHECKOUT names no checkout of BiomedCoOp"),
    pytest.mark.filterwarnings("default"),  # their code copies tensors by torch.tensor
]


@pytest.fixture(scope="module")
def backbones(tmp_path_factory):
    """Backbones by the end of a trainer's name; the small one is of the kind of CLIP and PubMedCLIP."""
    folder = tmp_path_factory.mktemp("weights")
    vision = {"image_size": 224, "layers": 1, "width": 64, "patch_size": 32}
    text = {"context_length": 77, "vocab_size": 49408, "width": 64, "heads": 1, "layers": 1}
    small = write_clip(folder / "clip", quick_gelu=True, vision_cfg=vision, text_cfg=text)
    pmc = f"local-dir:{testing.write_model('PMC-CLIP', folder / 'PMC-CLIP')}"
    return {"CLIP": small, "PubMedCLIP": small, "PMCCLIP": pmc}


@pytest.mark.parametrize(("trainer", "kind"), TRAINERS)
def test_each_trainer_takes_a_step(build, backbones, trainer, kind):
    few = ("TRAINER.BIOMEDCOOP.N_PROMPTS", 8) if trainer.startswith("Biomed") else ()
    theirs = build(trainer, *OPTS, *few, more=("--with", CHECKOUT), backbone=backbones[kind])
    batch = next(iter(theirs.train_loader_x))
    with theirs.inside_checkout():
        if trainer.startswith("Zeroshot"):
            assert theirs.model_inference(batch["img"]).isfinite().all()
            return
        theirs.set_model_mode("train")
        theirs.num_batches, theirs.batch_idx = 9, 0
        learner = theirs.model.prompt_learner
        before = learner.ctx.detach().clone()
        assert all(torch.tensor(loss).isfinite() for loss in theirs.forward_backward(batch).values())
        assert not learner.ctx.equal(before)


def test_a_whole_run_by_a_short_name(flags, backbones, tmp_path, monkeypatch):
    weights = backbones["PMCCLIP"].removeprefix("local-dir:")
    monkeypatch.setenv("VMFCOOP_WEIGHTS", weights.rpartition("/")[0])
    line = flags("CoOp_PMCCLIP", "OPTIM.MAX_EPOCH", 1, backbone="PMC-CLIP", more=("--with", CHECKOUT))
    assert train.main(line) == 0
    (file,) = tmp_path.rglob("metrics.json")
    found = record(file.parent)
    assert (found["backbone"], found["trainer"]) == ("PMC-CLIP", "CoOp_PMCCLIP")
    assert "PMC-CLIP stands in for what the checkout's code downloads" in (file.parent / "log.txt").read_text()
