"""CoCoOp's prompts, logits and step against one image at a time, done by hand."""

import pytest
import torch
from torch.nn.functional import cross_entropy

from clip import Tokens
from trainers import cocoop


def logits_of_one(trainer, feature: torch.Tensor) -> torch.Tensor:
    """Return the logits [C] of the features [D] of one image."""
    learner = trainer.prompt_learner
    first, _, last = learner.meta_net
    shift = last.weight @ torch.relu(first.weight @ feature + first.bias) + last.bias
    own = learner.ctx + shift
    prompts = [torch.cat([p, own, s]) for p, s in zip(learner.prefix, learner.suffix, strict=True)]
    features = trainer.backbone.encode_tokens(torch.stack(prompts), learner.tokens)
    return trainer.backbone.logit_scale * features @ feature


def test_every_image_meets_prompts_of_its_own(build, monkeypatch):
    trainer = build("CoCoOp")
    features = trainer.plain_features(trainer.train_items)
    expected = torch.stack([logits_of_one(trainer, feature) for feature in features])
    assert torch.allclose(trainer.logits(features), expected, atol=1e-4)
    monkeypatch.setattr(cocoop, "IMAGES_AT_ONCE", 3)  # 8 images: the last part is smaller
    assert torch.allclose(trainer.logits(features), expected, atol=1e-4)
    plain = (
        trainer.backbone.logit_scale
        * features
        @ trainer.backbone.encode_text([f"a photo of a {name}." for name in trainer.dm.dataset.classnames]).T
    )
    assert not torch.allclose(expected, plain, atol=1e-2)
    with torch.no_grad():
        for parameter in trainer.prompt_learner.meta_net[2].parameters():
            parameter.zero_()
    assert torch.allclose(trainer.logits(features), plain, atol=1e-4)  # without the meta-network it is CoOp


def test_the_meta_network_is_a_bottleneck(build):
    trainer = build("CoCoOp")
    d, t = trainer.backbone.embed_dim, trainer.backbone.token_dim
    shapes = {name: tuple(p.shape) for name, p in trainer.prompt_learner.state_dict().items()}
    meta = {"0.weight": (d // 16, d), "0.bias": (d // 16,), "2.weight": (t, d // 16), "2.bias": (t,)}
    assert shapes == {"ctx": (4, t)} | {f"meta_net.{name}": shape for name, shape in meta.items()}


@pytest.mark.parametrize("batch_size", [1, 3])
def test_context_and_meta_network_take_a_plain_sgd_step(build, batch_size):
    opts = ("OPTIM.WARMUP_EPOCH", 0, "OPTIM.LR", 0.5, "DATALOADER.TRAIN_X.BATCH_SIZE", batch_size)
    trainer = build("CoCoOp", *opts)
    trainer.epoch = trainer.batch_idx = 0
    trainer.num_batches = len(trainer.train_loader_x)
    batch = next(iter(trainer.train_loader_x))
    assert len(batch["features"]) == batch_size
    learned = list(trainer.prompt_learner.parameters())
    loss = cross_entropy(torch.stack([logits_of_one(trainer, f) for f in batch["features"]]), batch["label"])
    gradients = torch.autograd.grad(loss, learned)
    start = [p.detach().clone() for p in learned]
    assert trainer.forward_backward(batch)["loss"] == pytest.approx(loss.item(), rel=1e-4)
    for before, now, gradient in zip(start, learned, gradients, strict=True):
        assert gradient.any()
        step = gradient + trainer.cfg.OPTIM.WEIGHT_DECAY * before
        assert torch.allclose(now, before - 0.5 * step, atol=1e-4 * step.abs().max().item() + 1e-6)


@pytest.mark.parametrize("position", ["middle", "front"])
def test_the_class_name_may_stand_elsewhere(build, position):
    trainer = build("CoCoOp", "TRAINER.COCOOP.CLASS_TOKEN_POSITION", position)
    learner = trainer.prompt_learner
    features = trainer.plain_features(trainer.train_items[:2])
    embeddings, tokens = trainer.prompts(features)
    c = len(trainer.dm.dataset.classnames)
    assert embeddings.shape[:2] == tokens.ids.shape and isinstance(tokens, Tokens) and len(tokens.ids) == 2 * c
    for b, shift in enumerate(learner.meta_net(features)):
        moved = learner.join(learner.context + shift)
        assert torch.allclose(embeddings[b * c : (b + 1) * c], moved, atol=1e-6)
        for part, own in zip(tokens, learner.tokens, strict=True):
            assert torch.equal(part[b * c : (b + 1) * c], own)
