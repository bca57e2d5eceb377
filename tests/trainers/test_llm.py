"""Ensembles of LLM prompts, and their pruning."""

import torch
from torch.nn.functional import normalize

from trainers.base.text_features import ensemble, selective_ensemble, typical


def test_ensemble_is_the_mean_direction():
    prompts = torch.tensor([[[1.0, 0.0], [0.0, 1.0]], [[0.6, 0.8], [0.6, 0.8]]])
    expected = torch.tensor([[0.5**0.5, 0.5**0.5], [0.6, 0.8]])
    assert torch.allclose(ensemble(prompts), expected)


def test_typical_drops_outliers_on_both_sides():
    scores = torch.tensor([0.0, 10.0, 0.1, -0.1, 0.05, -10.0])
    assert typical(scores, 1.0).tolist() == [True, False, True, True, True, False]
    assert typical(scores, 10.0).all()


def test_typical_agrees_with_the_published_rule():
    """z = (s - median) / MAD, standardised again, cut at tau."""
    scores = torch.randn(50, generator=torch.Generator().manual_seed(0)) ** 3
    median = scores.median()
    z = (scores - median) / (scores - median).abs().median()
    published = ((z - z.mean()) / z.std()).abs() <= 1.5
    assert (((z - z.mean()) / z.std()).abs() - 1.5).abs().min() > 1e-4  # rounding could decide about nearer ones
    assert torch.equal(typical(scores, 1.5), published)
    assert 0 < (~published).sum() < 25


def test_typical_keeps_prompts_that_are_all_alike():
    assert typical(torch.ones(5), 1.5).all() and typical(torch.ones(1), 1.5).all()


def test_selective_ensemble_leaves_the_odd_prompt_out():
    g = torch.Generator().manual_seed(1)
    prompts = normalize(torch.tensor([1.0, 0, 0, 0]) + 0.05 * torch.randn(3, 10, 4, generator=g), dim=-1)
    prompts[:, 4] = torch.tensor([0.0, 0, 0, -1.0])  # fits no image
    images = normalize(torch.tensor([[1.0, 0.1, 0, 0], [1.0, -0.1, 0, 0]]), dim=-1)
    kept = [j for j in range(10) if j != 4]
    assert torch.allclose(selective_ensemble(images, prompts, 2.0), ensemble(prompts[:, kept]))
    assert torch.allclose(selective_ensemble(images, prompts, 100.0), ensemble(prompts))
