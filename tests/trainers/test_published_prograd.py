"""ProGrad with either teacher beside the functions of the original BiomedCoOp."""

from types import SimpleNamespace

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import normalize

from dassl.config import get_cfg_default
from tests.trainers.originals import check, original, original_method, unit
from trainers.base.gradients import ROUNDING
from trainers.base.step import backpropagate

CLASSES, BATCH = 4, 12
FEATURES, WRITTEN = unit(3, BATCH, 16), unit(2, CLASSES, 16)
LABELS = (FEATURES @ WRITTEN.T).argmin(dim=1)  # what the hand-written prompts deny

pytestmark = pytest.mark.usefixtures("tiny")


class Prompts(nn.Module):
    """Prompts whose context is what the text tower would return."""

    def __init__(self):
        super().__init__()
        self.ctx = nn.Parameter(unit(1, CLASSES, 16))

    def forward(self) -> Tensor:
        return normalize(self.ctx, dim=1)


@pytest.fixture
def trainer(build):
    """trainer(protocol): our trainer with such prompts, and the hand-written ones at random; T is 2."""

    def make(protocol: str):
        made = build(f"prograd:{protocol}", "TRAINER.PROGRAD.T", 2.0)
        made._models = {"prompt_learner": Prompts()}
        made.hand_written = WRITTEN
        return made

    return make


def ours(trainer) -> dict[str, Tensor]:
    """Take a step; return the logits, the cross-entropy and the gradient that the optimizer gets."""
    prompts = trainer._models["prompt_learner"]
    step = trainer.loss(FEATURES, LABELS, prompts())
    backpropagate([trainer], [step])
    return {"logits": step[0], "ce": step[1]["ce"], "gradient": prompts.ctx.grad}


def theirs(hand_written: Tensor | None) -> tuple[dict[str, Tensor], Tensor, Tensor]:
    """Take a step of the original; return what `ours` does, and the gradients of its divergence and cross-entropy.

    Args:
        hand_written: the teacher; None leaves the teacher to the original.
    """
    prompts, seen = Prompts(), []
    prompts.ctx.register_hook(lambda gradient: seen.append(gradient.clone()))

    def logits(image: Tensor) -> Tensor:
        """Return the logits of the model, or in its place, where gradients are not wanted, those of a teacher."""
        told = prompts() if hand_written is None or torch.is_grad_enabled() else hand_written
        return 20.0 * image @ told.T

    project = original_method("Dassl.pytorch/dassl/engine/trainer.py", "prograd_backward_and_update")
    stub = SimpleNamespace(
        cfg=get_cfg_default(),
        model=logits,
        parse_batch_train=lambda batch: (FEATURES, LABELS),
        get_model_names=lambda names: ["prompt_learner"],
        _models={"prompt_learner": prompts},
        _optims={"prompt_learner": torch.optim.SGD(prompts.parameters(), lr=0.0)},
        model_zero_grad=lambda names: prompts.zero_grad(),
        detect_anomaly=lambda loss: None,
        batch_idx=0,
        num_batches=2,
    )  # without a zs_clip: the original does not call it
    stub.cfg.TRAINER.PROGRAD = type(stub.cfg)({"PREC": "fp32", "LAMBDA": 1.0})
    stub.prograd_backward_and_update = lambda *losses: project(stub, *losses)
    with original("trainers.ProGrad.prograd_biomedclip") as module:
        stub.criterion = module.ProGradLoss(T=2.0)
        summary = module.ProGrad_BiomedCLIP.forward_backward(stub, {})
    found = {"logits": logits(FEATURES), "ce": torch.tensor(summary["xe_loss"]), "gradient": prompts.ctx.grad}
    return found, *seen


def test_the_published_step_is_the_benchmarks_without_its_rounding(trainer):
    def expected():
        found, guide, gradient = theirs(hand_written=None)
        assert guide.norm() < ROUNDING * gradient.norm()
        direction = guide / guide.norm()  # of rounding
        along = (gradient * direction).sum().clamp(max=0)
        assert torch.allclose(found["gradient"], gradient - along * direction, rtol=1e-4, atol=1e-6)
        return found | {"gradient": gradient}

    published = trainer("published")
    assert published.guide == "" and list(published.loss(FEATURES, LABELS, unit(1, CLASSES, 16))[1]) == ["ce"]
    check("ProGrad published", ours(published), expected)


def test_with_the_zero_shot_teacher_the_step_is_the_one_the_benchmark_means(trainer):
    best = trainer("best")

    def expected():
        found, guide, gradient = theirs(WRITTEN)
        assert (guide * gradient).sum() < -0.1 * guide.norm() * gradient.norm()  # they conflict
        return found

    check("ProGrad best", ours(best), expected)


@pytest.mark.parametrize("setting", ["few_shot", "base2new"])
def test_each_protocol_has_its_teacher_and_batch_in_both_settings(build, setting):
    for protocol, teacher, batch in (("best", "zero_shot", 32), ("published", "student", 128)):
        cfg = build(f"prograd:{protocol}", setting=setting).cfg
        assert (teacher, batch) == (cfg.TRAINER.PROGRAD.TEACHER, cfg.DATALOADER.TRAIN_X.BATCH_SIZE)
