"""SS-Text: its closed form by hand, as the zero of a gradient, and between its two limits."""

import pytest
import torch
from torch.nn.functional import normalize

from trainers.ss_text import solve_weights


def test_closed_form_moves_the_text_by_the_sum_of_the_features():
    text, features = torch.eye(2), torch.tensor([[0.6, 0.8], [0.8, 0.6], [0.0, 1.0], [0.6, 0.8]])
    labels = torch.tensor([0, 0, 1, 1])
    found = solve_weights(
        text, features, labels, scale=10.0, weight=0.5
    )  # 10 / (4 x 0.5) = 5 times the sum of the features
    assert torch.allclose(found, torch.tensor([[1 + 5 * 1.4, 5 * 1.4], [5 * 0.6, 1 + 5 * 1.8]]))


def test_closed_form_is_where_the_gradient_vanishes():
    g = torch.Generator().manual_seed(0)
    text, features = (normalize(torch.randn(n, 6, generator=g, dtype=torch.double), dim=-1) for n in (3, 12))
    labels, scale, weight = torch.arange(12) % 3, 85.0, 0.3
    w = solve_weights(text, features, labels, scale, weight).requires_grad_()
    pull = -scale * (features * w[labels]).sum(dim=1).mean()
    (gradient,) = torch.autograd.grad(pull + weight / 2 * (w - text).square().sum(), w)
    assert gradient.abs().max() < 1e-12


def test_prototypes_of_a_run(build):
    trainer = build("SSText")
    support = trainer.plain_features(trainer.train_items)
    means = support.view(4, 2, -1).mean(dim=1)  # class after class, two images each
    text = build("ZeroshotEnsemble").directions
    expected = normalize(text + 2 * trainer.backbone.logit_scale * means, dim=-1)  # lambda = 1 / N
    assert torch.allclose(trainer.directions, expected, atol=1e-6)
    features = trainer.plain_features(trainer.dm.dataset.val)
    assert torch.allclose(trainer.logits(features), trainer.backbone.logit_scale * features @ expected.T, atol=1e-4)


@pytest.mark.parametrize(("text", "zero_shot"), [("ensemble", "ZeroshotEnsemble"), ("template", "ZeroshotCLIP")])
def test_a_heavy_lambda_leaves_the_text_alone(build, text, zero_shot):
    trainer = build("SSText", "TRAINER.SSTEXT.LAMBDA", 1e6, "TRAINER.SSTEXT.TEXT", text)
    assert torch.allclose(trainer.directions, build(zero_shot).directions, atol=1e-4)


def test_an_unknown_text_is_named(build):
    with pytest.raises(ValueError, match=r"ensemble.*template.*got \"words\""):
        build("SSText", "TRAINER.SSTEXT.TEXT", "words")
