"""ProGrad's projection on small vectors, and its step against gradients taken one at a time."""

import math

import pytest
import torch
from torch.nn.functional import cross_entropy

from trainers.base.gradients import projected
from trainers.base.step import backpropagate, compute_losses
from trainers.prograd import knowledge_loss


@pytest.mark.parametrize(
    ("gradient", "guide", "strength", "expected"),
    [
        ([1.0, 1.0], [2.0, 0.0], 1.0, [1.0, 1.0]),  # they agree
        ([-1.0, 1.0], [2.0, 0.0], 1.0, [0.0, 1.0]),  # they conflict along the first axis
        ([-1.0, 1.0], [2.0, 0.0], 0.5, [-0.5, 1.0]),
        ([-1.0, 1.0], [3.0, 3.0], 1.0, [-1.0, 1.0]),  # at right angles
        ([-1.0, 1.0], [0.0, 0.0], 1.0, [-1.0, 1.0]),  # nothing to go by
        ([-1.0, 1.0], [1e-6, 0.0], 1.0, [-1.0, 1.0]),  # nothing but rounding
        ([-1.0, 1.0], [1e-4, 0.0], 1.0, [0.0, 1.0]),  # little, but a guide: its length does not matter
        ([-0.01, 0.01], [0.01, 0.0], 1.0, [0.0, 0.01]),  # as short as the gradient
        ([0.0, 0.0], [1.0, 0.0], 1.0, [0.0, 0.0]),
    ],
)
def test_projection_removes_what_conflicts_with_the_guide(gradient, guide, strength, expected):
    found = projected(torch.tensor([gradient]), torch.tensor([guide]), strength)
    assert torch.allclose(found, torch.tensor([expected]), atol=1e-6)


def test_a_gradient_of_the_divergence_that_is_rounding_does_not_guide(build):
    trainer = build("ProGrad")  # its prompts are the written ones
    trainer.epoch = trainer.batch_idx = 0
    batch = next(iter(trainer.train_loader_x))
    labels = batch["label"]
    for shift in range(4):  # whatever cross-entropy asks for
        batch["label"] = (labels + shift) % 4
        gradient, guide = gradients(trainer, batch)
        assert guide.norm() < 1e-5 * gradient.norm()
        trainer.model_zero_grad()
        backpropagate([trainer], compute_losses([trainer], [trainer.parse_batch_train(batch)]))
        assert (trainer.prompt_learner.ctx.grad - gradient).norm() < 1e-4 * gradient.norm()


def test_knowledge_loss_is_the_softened_divergence():
    logits, zero_shot = torch.tensor([[0.0, 0.0]]), torch.tensor([[2 * math.log(3), 0.0]])
    expected = 0.75 * math.log(0.75 / 0.5) + 0.25 * math.log(0.25 / 0.5)  # softmax at temperature 2 is (3/4, 1/4)
    assert knowledge_loss(logits, zero_shot, 2.0).item() == pytest.approx(4 * expected, rel=1e-5)
    both = torch.cat([logits, zero_shot]), torch.cat([zero_shot, zero_shot])
    assert knowledge_loss(*both, 2.0).item() == pytest.approx(4 * expected / 2, rel=1e-5)  # a mean over the batch


def moved(build, *opts, seed: int = 1, **kwargs):
    """Return a trainer whose context has left the hand-written prompt, and its first batch."""
    trainer = build("ProGrad", "OPTIM.WARMUP_EPOCH", 0, "OPTIM.LR", 0.5, *opts, seed=seed, **kwargs)
    trainer.epoch = trainer.batch_idx = 0
    trainer.num_batches = len(trainer.train_loader_x)
    ctx = trainer.prompt_learner.ctx
    with torch.no_grad():
        ctx += 0.5 * torch.randn(ctx.shape, generator=torch.Generator().manual_seed(seed))
    return trainer, next(iter(trainer.train_loader_x))


def gradients(trainer, batch) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the gradients of the cross-entropy and of the divergence with respect to the context."""
    features, labels, ctx = batch["features"], batch["label"], trainer.prompt_learner.ctx
    scale, names = trainer.backbone.logit_scale, trainer.dm.dataset.classnames
    zero_shot = scale * features @ trainer.backbone.encode_text([f"a photo of a {name}." for name in names]).T
    logits = scale * features @ trainer.prompt_features().T
    t = trainer.settings.T
    p, q = (zero_shot / t).softmax(dim=1), (logits / t).softmax(dim=1)
    divergence = t**2 * (p * (p.log() - q.log())).sum(dim=1).mean()
    ce = cross_entropy(logits, labels)
    return tuple(torch.autograd.grad(term, ctx, retain_graph=True)[0] for term in (ce, divergence))


def test_the_step_leaves_out_what_conflicts(build):
    trainer, batch = moved(build, "TRAINER.PROGRAD.T", 2.0)
    assert trainer.settings.LAMBDA == 1.0
    assert moved(build)[0].settings.T == moved(build, setting="base2new")[0].settings.T == 1.0
    ctx = trainer.prompt_learner.ctx
    labels = batch["label"]
    for shift in range(1, 5):  # wrong labels make the two conflict
        batch["label"] = (labels + shift) % 4
        gradient, guide = gradients(trainer, batch)
        if (gradient * guide).sum() < 0:
            break
    assert (gradient * guide).sum() < -1e-3 * gradient.norm() * guide.norm()
    start = ctx.detach().clone()
    trainer.forward_backward(batch)
    step = (start - ctx) / 0.5 - trainer.cfg.OPTIM.WEIGHT_DECAY * start
    assert torch.allclose(step, gradient - (gradient * guide).sum() / guide.square().sum() * guide, atol=1e-5)
    assert (step * guide).sum().item() == pytest.approx(0, abs=1e-3 * (step.norm() * guide.norm()).item())


def test_several_seeds_take_two_passes_back_through_the_text_tower(build, monkeypatch):
    pairs = [moved(build, seed=seed) for seed in (1, 2, 3)]
    trainers = [trainer for trainer, _ in pairs]
    passes, real = [], trainers[0].backbone.pool_tokens

    def counted(*args):
        features = real(*args)
        features.register_hook(lambda _: passes.append(1))
        return features

    expected = [projected(*gradients(*pair), 1.0) for pair in pairs]
    monkeypatch.setattr(trainers[0].backbone, "pool_tokens", counted)
    backpropagate(trainers, compute_losses(trainers, [trainer.parse_batch_train(batch) for trainer, batch in pairs]))
    assert len(passes) == 2
    for trainer, gradient in zip(trainers, expected, strict=True):
        assert torch.allclose(trainer.prompt_learner.ctx.grad, gradient, atol=1e-5)
