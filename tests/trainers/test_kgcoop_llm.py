"""KgCoOp with the LLM's prompts: its step by hand, and the limits of its weight."""

import pytest
import torch
from torch.nn.functional import cross_entropy, normalize

from datasets.prompts import load_prompts

pytestmark = pytest.mark.usefixtures("tiny")
W = "TRAINER.KGCOOPLLM.W"


def means(trainer) -> torch.Tensor:
    """Return the mean directions [C, D] of the first 50 sentences of each class."""
    sentences = load_prompts("btmri", "claude", trainer.dm.dataset.classnames, 50)
    return torch.stack([normalize(trainer.backbone.encode_text(texts).mean(dim=0), dim=-1) for texts in sentences])


@pytest.mark.parametrize("setting", ["few_shot", "base2new"])
def test_the_step_goes_down_both_terms(build, setting):
    trainer = build("KgCoOpLLM", "OPTIM.WARMUP_EPOCH", 0, "OPTIM.LR", 0.5, setting=setting)
    assert trainer.settings.W == 8 and trainer.settings.N_PROMPTS == trainer.sentences[0] == 50
    trainer.num_batches = len(trainer.train_loader_x)
    batch = next(iter(trainer.train_loader_x))
    ctx = trainer.prompt_learner.ctx
    start = ctx.detach().clone()
    prompts = trainer.prompt_features()
    ce = cross_entropy(20 * batch["features"] @ prompts.T, batch["label"])
    kg = 8 * (1 - torch.cosine_similarity(prompts, means(trainer), dim=1)).mean()
    (gradient,) = torch.autograd.grad(ce + kg, ctx)
    summary = trainer.forward_backward(batch)
    assert (summary["ce"], summary["kg"]) == pytest.approx((ce.item(), kg.item()), rel=1e-5)
    assert torch.allclose(ctx, start - 0.5 * (gradient + 5e-4 * start), atol=1e-5)


def test_without_its_weight_it_takes_the_steps_of_coop(learned_ctx):
    coop = learned_ctx("CoOp")
    assert torch.equal(learned_ctx("KgCoOpLLM", W, 0.0), coop)
    assert not torch.allclose(learned_ctx("KgCoOpLLM"), coop, atol=1e-4)


def test_a_great_weight_leaves_the_distance_to_the_sentences_alone(build, learned_ctx):
    """With momentum, as many small steps as there are, on nothing but the mean cosine."""
    ctx = learned_ctx("KgCoOpLLM", W, 1e4, "OPTIM.LR", 1e-5, "OPTIM.MAX_EPOCH", 10)
    trainer = build("KgCoOpLLM")
    alone = trainer.prompt_learner.ctx
    optimizer = torch.optim.SGD([alone], 1e-5, momentum=0.9, weight_decay=5e-4)
    for epoch in range(10):
        optimizer.param_groups[0]["lr"] = 0.5e-5 * (1 + torch.cos(torch.tensor(torch.pi * epoch / 10)).item())
        for _ in range(2):
            optimizer.zero_grad()
            (1e4 * (1 - (trainer.prompt_features() * means(trainer)).sum(dim=1).mean())).backward()
            optimizer.step()
    start = build("KgCoOpLLM").prompt_learner.ctx
    assert torch.linalg.norm(ctx - alone) < 1e-2 * torch.linalg.norm(alone - start)
