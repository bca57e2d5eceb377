"""SCD: its loss terms and its two contexts by hand, and the limits of its weights."""

import math
from pathlib import Path

import pytest
import torch
from torch.nn.functional import cross_entropy, normalize

from tests.run_folders import learned
from tests.trainers.helpers import BATCHES, ctx
from trainers.base.step import compute_losses
from trainers.scd import NOISE, orthogonality_loss, uniformity_loss

NEM, ORT = "TRAINER.SCD.LAMBDA_NEM", "TRAINER.SCD.LAMBDA_ORT"

pytestmark = pytest.mark.usefixtures("tiny")


def test_uniformity_by_hand():
    logits = torch.tensor([[math.log(3), 0.0], [1.0, 1.0]])  # probabilities 3/4 and 1/4, and equal ones
    expected = (math.log(0.5 / 0.75) + math.log(0.5 / 0.25)) / 2
    assert uniformity_loss(logits).item() == pytest.approx(expected / 2, rel=1e-5)
    assert uniformity_loss(torch.full((2, 5), 7.0)).item() == pytest.approx(0, abs=1e-6)


def test_orthogonality_by_hand():
    prompts, silenced = torch.tensor([[1.0, 0.0], [0.6, 0.8]]), torch.tensor([[0.8, 0.6], [0.0, -1.0]])
    cosines = (0.8, 0.0, 0.96, -0.8)
    assert orthogonality_loss(prompts, silenced).item() == pytest.approx(sum(c * c for c in cosines) / 4, rel=1e-5)


def test_the_silenced_context_is_a_noisy_copy(build):
    first, again, other = (build("SCD", seed=seed) for seed in (1, 1, 2))
    noise = (first.silenced.ctx - first.prompt_learner.ctx).detach()
    assert noise.std().item() == pytest.approx(NOISE, rel=0.4) and NOISE == 0.01 and noise.abs().max() < 5 * NOISE
    assert torch.equal(first.silenced.ctx, again.silenced.ctx) and not torch.equal(
        first.silenced.ctx, other.silenced.ctx
    )


@pytest.mark.parametrize("csc", [False, True])
def test_the_step_by_hand(build, monkeypatch, csc):
    opts = (NEM, 3.0, ORT, 5.0, "TRAINER.SCD.CSC", csc, "OPTIM.WARMUP_EPOCH", 0, "OPTIM.LR", 0.1)
    trainer = build("SCD", *opts)
    trainer.num_batches = len(trainer.train_loader_x)
    batch = next(iter(trainer.train_loader_x))
    features, labels = batch["features"], batch["label"]
    learner, backbone = trainer.prompt_learner, trainer.backbone
    both = [learner.ctx, trainer.silenced.ctx]
    start = [each.detach().clone() for each in both]

    def encoded(context: torch.Tensor) -> torch.Tensor:
        parts = learner.prefix, context.expand(4, -1, -1), learner.suffix
        rows = [torch.cat([p, c, s]) for p, c, s in zip(*parts, strict=True)]
        return normalize(backbone.encode_tokens(torch.stack(rows), learner.tokens), dim=-1)

    causal, silenced = map(encoded, both)
    ce = cross_entropy(20 * features @ causal.T, labels)
    p = (20 * features @ silenced.T).softmax(dim=1)
    nem = 3 * (0.25 * (0.25 / p).log()).sum(dim=1).mean()
    ort = 5 * torch.stack([(t @ n) ** 2 for t in causal for n in silenced]).mean()
    gradients = torch.autograd.grad(ce + nem + ort, both)
    calls, real = [], backbone.encode_tokens
    monkeypatch.setattr(backbone, "encode_tokens", lambda *given: calls.append(len(given[0])) or real(*given))
    summary = trainer.forward_backward(batch)
    assert calls == [8]  # one call of the text tower, for both prompts of the four classes
    terms = [term.item() for term in (ce, nem, ort)]
    assert [summary[name] for name in ("ce", "nem", "ort")] == pytest.approx(terms, rel=1e-4) and min(terms) > 1e-3
    for before, now, gradient in zip(start, both, gradients, strict=True):
        assert gradient.any() and torch.allclose(now, before - 0.1 * (gradient + 5e-4 * before), atol=1e-5)


def test_without_its_weights_it_takes_the_steps_of_coop(learned_ctx):
    coop = learned_ctx("CoOp")
    assert torch.allclose(learned_ctx("SCD", NEM, 0.0, ORT, 0.0), coop, atol=1e-6)  # 2 C rows: other rounding
    assert torch.allclose(learned_ctx("SCD", NEM, 9.0, ORT, 0.0), coop, atol=1e-6)  # which reaches the other only
    assert not torch.allclose(learned_ctx("SCD", NEM, 0.0, ORT, 9.0), coop, atol=1e-4)


def test_without_its_weights_the_gradient_is_coops_to_the_bit(build):
    batch = next(iter(build("CoOp").train_loader_x))
    prompts = normalize(torch.randn(8, 16, generator=torch.Generator().manual_seed(0)), dim=-1)

    def gradient(trainer, rows: torch.Tensor) -> torch.Tensor:
        rows = rows.clone().requires_grad_()
        sum(trainer.loss(batch["features"], batch["label"], rows)[1].values()).backward()
        return rows.grad

    found = gradient(build("SCD", NEM, 0.0, ORT, 0.0), prompts)
    assert torch.equal(found[:4], gradient(build("CoOp"), prompts[:4])) and not found[4:].any()


def test_great_weights_silence_one_prompt_and_turn_the_other_away(build):
    trainer = build(
        "SCD", *BATCHES, NEM, 30.0, ORT, 30.0, "OPTIM.LR", 0.02, "OPTIM.MAX_EPOCH", 60, "TEST.NO_TEST", True
    )
    features = trainer.plain_features(trainer.train_items)
    labels = torch.tensor([item.label for item in trainer.train_items])

    def terms() -> dict[str, float]:
        ((_, found),) = compute_losses([trainer], [(features, labels)])
        return {name: term.item() / 30 for name, term in found.items()}

    before = terms()
    trainer.train()
    after = terms()
    assert after["nem"] < 0.2 * before["nem"] and after["ort"] < 0.5 * before["ort"]


def test_a_test_needs_the_first_context_alone(build, tmp_path):
    trainer = build("SCD", *BATCHES, "OPTIM.LR", 0.05)
    trainer.train()
    folder = Path(trainer.output_dir)
    assert trainer.get_model_names() == ["prompt_learner", "silenced_context"]
    assert learned(folder).keys() == learned(folder, "silenced_context").keys() == {"ctx"}
    (folder / "silenced_context" / "model.pth.tar-3").unlink()
    other = build("SCD", output=tmp_path / "other")
    other.load_model(folder)
    assert torch.equal(ctx(other), ctx(trainer))
    features = trainer.plain_features(trainer.train_items)
    assert torch.equal(other.logits(features), trainer.logits(features))
    assert torch.allclose(other.logits(features), 20 * features @ other.prompt_features().T, atol=1e-5)
