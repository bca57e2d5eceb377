"""Our BiomedCoOp against the original code: equal numbers from equal weights, images and views, step by step.

It needs a checkout of https://github.com/HealthX-Lab/BiomedCoOp, which `BIOMEDCOOP_CHECKOUT` names.
"""

import os
from pathlib import Path

import pytest
from torch import Tensor, nn

from clip import testing
from datasets import prompts
from datasets.prompts.import_biomedcoop import import_banks
from trainers.base.step import backpropagate, compute_losses

CHECKOUT = os.environ.get("BIOMEDCOOP_CHECKOUT", "")
OPTS = ("TRAINER.BIOMEDCOOP.N_PROMPTS", 8, "DATALOADER.TRAIN_X.BATCH_SIZE", 4, "OPTIM.WARMUP_EPOCH", -1)
STEPS = 3
CLOSE = 1e-4  # relative to the largest entry of theirs; up to 1.1e-5 was seen, in KDSP

pytestmark = pytest.mark.skipif(not CHECKOUT, reason="BIOMEDCOOP_CHECKOUT names no checkout of BiomedCoOp")


@pytest.fixture
def trainers(build, tmp_path, monkeypatch):
    """Our trainer and the original on the same random weights and sentences; dropout of the original's tower is off."""
    import_banks(Path(CHECKOUT), tmp_path / "banks" / "gpt4")
    monkeypatch.setattr(prompts, "FOLDER", tmp_path / "banks")
    same = {"backbone": f"local-dir:{testing.write_biomedclip(tmp_path / 'weights')}"}
    ours = build("BiomedCoOp", *OPTS, "PROMPTS.LLM", "gpt4", **same)
    theirs = build("BiomedCoOp_BiomedCLIP", *OPTS, more=("--with", CHECKOUT), **same)
    for module in theirs.model.modules():
        if isinstance(module, nn.Dropout):
            module.p = 0.0
    return ours, theirs


def their_step(trainer, batch: dict) -> tuple[Tensor, ...]:
    """Take a step of the original; return its logits and three weighted loss terms."""
    seen = []
    hook = trainer.model.register_forward_hook(lambda module, given, out: seen.append(out))
    with trainer.inside_checkout():
        trainer.forward_backward(batch)
    hook.remove()
    return seen[0]


def test_the_first_steps_are_the_same(trainers):
    ours, theirs = trainers
    assert [item.impath for item in ours.dm.dataset.train_x] == [item.impath for item in theirs.dm.dataset.train_x]
    assert theirs.cfg.TRAINER.BIOMEDCOOP.TAU == ours.settings.TAU
    theirs.set_model_mode("train")
    theirs.num_batches = STEPS + 1  # no step of the schedule in between
    batches = [batch for _ in range(STEPS) for batch in theirs.train_loader_x][:STEPS]
    worst = {}
    for batch in batches:
        labels = batch["label"]
        logits, *terms = their_step(theirs, batch)
        (step,) = compute_losses([ours], [(ours.backbone.encode_image(batch["img"]), labels)])
        ours.model_zero_grad()
        backpropagate([ours], [step])
        ours.model_update()
        found = {"logits": (step[0], logits), "context": (ours.prompt_learner.ctx, theirs.model.prompt_learner.ctx)}
        found |= {name: (step[1][name], term) for name, term in zip(("ce", "sccm", "kdsp"), terms, strict=True)}
        for name, (a, b) in found.items():
            size = b.detach().abs().max().item()
            worst[name] = max(worst.get(name, (0.0, 0.0)), ((a - b).abs().max().item() / size, size))
    print({name: f"{off:.1e} of {size:.3g}" for name, (off, size) in worst.items()})
    assert {name: off for name, (off, _) in worst.items() if off > CLOSE} == {}
