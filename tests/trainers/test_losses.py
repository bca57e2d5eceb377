"""The loss terms of vMFCoOp on small tensors, against values computed by hand."""

import math

import pytest
import torch

from trainers import losses

E = torch.eye(4, dtype=torch.double)


def test_anchor_loss_is_the_mean_squared_distance_to_the_displaced_anchor():
    anchors, prompts = E[:2], E[[0, 2]]
    still = torch.zeros(2, 4, dtype=torch.double)
    one = torch.tensor(1.0, dtype=torch.double)
    # first prompt sits on its anchor (0), second is orthogonal to it (|e2 - e1|^2 = 2)
    assert losses.anchor_loss(prompts, anchors, still, one).item() == pytest.approx(1.0)
    moved = torch.stack([still[0], E[2]])  # eq. 5: target of the second class is (e1 + alpha e2) / norm
    expected = (2 - 2 * 0.5 / math.sqrt(1.25)) / 2
    assert losses.anchor_loss(prompts, anchors, moved, torch.tensor(0.5)).item() == pytest.approx(expected)


def test_anchor_loss_reaches_prompts_delta_and_alpha():
    prompts = torch.nn.functional.normalize(torch.randn(2, 4, dtype=torch.double), dim=-1).requires_grad_()
    delta = torch.randn(2, 4, dtype=torch.double, requires_grad=True)
    alpha = torch.tensor(0.3, requires_grad=True)
    losses.anchor_loss(prompts, E[:2], delta, alpha).backward()
    assert all(t.grad is not None and t.grad.abs().sum() > 0 for t in (prompts, delta, alpha))


def test_temperature_runs_along_a_half_cosine():
    tau = [losses.annealed_temperature(t, 100, 1.0, 10.0) for t in (0, 25, 50, 100)]
    assert tau == pytest.approx([1.0, 10 - 4.5 * (1 + math.sqrt(0.5)), 5.5, 10.0])


def test_spherical_contrastive_loss_is_the_cross_entropy_of_the_anchors():
    # prompts on their anchors, orthogonal: -log(e^tau / (e^tau + 1))
    for tau in (1.0, 10.0):
        expected = math.log(1 + math.exp(-tau))
        assert losses.spherical_contrastive_loss(E[:2], E[:2], tau).item() == pytest.approx(expected, rel=1e-5)
    swapped = losses.spherical_contrastive_loss(E[[1, 0]], E[:2], 10.0).item()
    assert swapped == pytest.approx(math.log(1 + math.exp(10.0)))
    assert losses.spherical_contrastive_loss(E, E, 0.0).item() == pytest.approx(math.log(4))


@pytest.mark.parametrize("eps", [1e-2, 1e-4])
def test_symmetric_cross_entropy_adds_the_reverse_term(eps):
    logits, labels = torch.tensor([[2.0, 0.0, 0.0], [0.0, 1.0, 0.0]]), torch.tensor([0, 2])
    p = torch.softmax(logits, dim=1)
    right = p[[0, 1], labels]
    reverse = -(right * math.log(1 + eps) + (1 - right) * math.log(eps)).mean()
    assert losses.reverse_cross_entropy(logits, labels, eps).item() == pytest.approx(reverse.item(), rel=1e-5)
    expected = (-right.log()).mean() + reverse
    assert losses.symmetric_cross_entropy(logits, labels, eps).item() == pytest.approx(expected.item(), rel=1e-5)


def test_losses_are_finite_at_extreme_logits():
    logits = torch.tensor([[1e4, -1e4]], requires_grad=True)
    loss = losses.symmetric_cross_entropy(logits, torch.tensor([1]), 1e-2)
    loss.backward()
    assert torch.isfinite(loss) and torch.isfinite(logits.grad).all()
