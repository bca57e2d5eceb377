"""The loss terms of vMFCoOp (eqs. 5 to 10), as pure functions of tensors."""

import math

import torch
from torch import Tensor
from torch.nn import functional as F


def anchor_loss(prompts: Tensor, anchors: Tensor, delta: Tensor, alpha: Tensor) -> Tensor:
    """Return the Semantic Anchor Loss L_anc (eqs. 5, 6): mean squared distance of the prompts to their targets.

    The target of class i is normalise(u_i + alpha delta_i).

    Args:
        prompts: text features [C, D] of the prompts, unit norm.
        anchors: unified semantic anchors u [C, D], unit norm.
        delta: learned offsets [C, D].
        alpha: learned positive step size [].

    >>> anchors = torch.eye(2)
    >>> anchor_loss(anchors[[0, 0]], anchors, torch.zeros(2, 2), torch.tensor(0.1))  # distances 0 and sqrt(2)
    tensor(1.)
    """
    target = F.normalize(anchors + alpha * delta, dim=-1)
    return (prompts - target).square().sum(dim=-1).mean()


def annealed_temperature(t: int, total: int, tau_0: float, tau_max: float) -> float:
    """Return tau(t) (eq. 9): a half cosine from `tau_0` at iteration 0 to `tau_max` at iteration `total`.

    >>> [annealed_temperature(t, 100, tau_0=1.0, tau_max=10.0) for t in (0, 50, 100)]
    [1.0, 5.5, 10.0]
    """
    return tau_max + 0.5 * (tau_0 - tau_max) * (1 + math.cos(math.pi * t / total))


def spherical_contrastive_loss(prompts: Tensor, anchors: Tensor, tau: float) -> Tensor:
    """Return the Spherical Contrastive Loss L_sc (eqs. 7, 8): cross-entropy of each prompt against all anchors.

    The right answer for the prompt of class i is the anchor of class i.

    Args:
        prompts: text features [C, D] of the prompts, unit norm.
        anchors: unified semantic anchors [C, D], unit norm.
        tau: factor of the cosines (eq. 9).

    >>> spherical_contrastive_loss(torch.eye(2), torch.eye(2), tau=1.0)  # log(1 + exp(-1))
    tensor(0.3133)
    """
    affinity = tau * prompts @ anchors.T
    return F.cross_entropy(affinity, torch.arange(len(prompts), device=prompts.device))


def reverse_cross_entropy(logits: Tensor, labels: Tensor, eps: float) -> Tensor:
    """Return -1/B sum_b sum_c p_bc log(q_bc + eps), the second term of eq. 10, with p = softmax(logits).

    Up to order eps it is log(1/eps) times the mean of 1 - p_by, where y is the label.

    Args:
        logits: [B, C].
        labels: [B]; q is their one-hot encoding.
        eps: keeps the logarithm finite.

    >>> reverse_cross_entropy(torch.zeros(1, 2), torch.tensor([0]), eps=0.01)  # 0.5 log(100) - 0.5 log(1.01)
    tensor(2.2976)
    """
    q = F.one_hot(labels, logits.shape[-1]).to(logits)
    return -(logits.softmax(dim=-1) * torch.log(q + eps)).sum(dim=-1).mean()


def symmetric_cross_entropy(logits: Tensor, labels: Tensor, eps: float) -> Tensor:
    """Return the Symmetric Cross-Entropy Loss L_SCE (eq. 10): cross-entropy plus reverse cross-entropy.

    Args:
        logits: scaled cosines [B, C].
        labels: [B].
        eps: of the reverse cross-entropy.

    >>> symmetric_cross_entropy(torch.zeros(1, 2), torch.tensor([0]), eps=0.01)  # log(2) + 2.2976
    tensor(2.9908)
    """
    return F.cross_entropy(logits, labels) + reverse_cross_entropy(logits, labels, eps)
