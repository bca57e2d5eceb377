"""KgCoOp's knowledge term and step against the same arithmetic done by hand."""

import pytest
import torch
from torch.nn.functional import cross_entropy, normalize

from trainers.kgcoop import knowledge_loss


def test_knowledge_loss_is_one_less_the_mean_cosine():
    prompts = torch.tensor([[1.0, 0.0], [0.6, 0.8]])
    written = torch.tensor([[0.0, 1.0], [0.6, 0.8]])
    assert knowledge_loss(prompts, written).item() == pytest.approx(0.5, rel=1e-5)  # cosines 0 and 1
    squared = (prompts - written).square().sum(dim=1).mean()
    assert knowledge_loss(prompts, written).item() == pytest.approx(squared.item() / 2, rel=1e-5)


@pytest.mark.parametrize(("setting", "w"), [("few_shot", 2.0), ("base2new", 8.0)])
def test_the_step_goes_down_both_terms(build, setting, w):
    trainer = build("KgCoOp", "OPTIM.WARMUP_EPOCH", 0, "OPTIM.LR", 0.5, setting=setting)
    assert w == trainer.settings.W  # published for BTMRI
    trainer.epoch = trainer.batch_idx = 0
    trainer.num_batches = len(trainer.train_loader_x)
    batch = next(iter(trainer.train_loader_x))
    features, labels = batch["features"], batch["label"]
    ctx = trainer.prompt_learner.ctx
    with torch.no_grad():
        ctx += 0.1 * torch.randn(ctx.shape, generator=torch.Generator().manual_seed(0))
    start = ctx.detach().clone()
    names = trainer.dm.dataset.classnames
    written = normalize(trainer.backbone.encode_text([f"a photo of a {name}." for name in names]), dim=-1)
    prompts = trainer.prompt_features()
    ce = cross_entropy(trainer.backbone.logit_scale * features @ prompts.T, labels)
    kg = w * (1 - torch.cosine_similarity(prompts, written, dim=1)).mean()
    (gradient,) = torch.autograd.grad(ce + kg, ctx)
    assert kg > 1e-3
    summary = trainer.forward_backward(batch)
    assert (summary["ce"], summary["kg"]) == pytest.approx((ce.item(), kg.item()), rel=1e-4)
    assert torch.allclose(ctx, start - 0.5 * (gradient + trainer.cfg.OPTIM.WEIGHT_DECAY * start), atol=1e-5)
