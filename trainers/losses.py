"""The three constraints of vMFCoOp (eqs. 5 to 10), as pure functions."""

import math

import torch
from torch import Tensor
from torch.nn import functional as F


def anchor_loss(prompts: Tensor, anchors: Tensor, delta: Tensor, alpha: Tensor) -> Tensor:
    """Semantic Anchor Loss L_anc (eqs. 5, 6): mean squared distance of each prompt to its displaced anchor.

    Args:
        prompts: prompt embeddings [C, D] of unit norm.
        anchors: unified semantic anchors u [C, D] of unit norm.
        delta: learned offsets [C, D].
        alpha: learned positive step size [].
    """
    target = F.normalize(anchors + alpha * delta, dim=-1)
    return (prompts - target).square().sum(dim=-1).mean()


def annealed_temperature(t: int, total: int, tau_0: float, tau_max: float) -> float:
    """tau(t) (eq. 9): from `tau_0` at iteration t = 0 to `tau_max` at t = `total`, along a half cosine."""
    return tau_max + 0.5 * (tau_0 - tau_max) * (1 + math.cos(math.pi * t / total))


def spherical_contrastive_loss(prompts: Tensor, anchors: Tensor, tau: float) -> Tensor:
    """Spherical Contrastive Loss L_sc (eqs. 7, 8): each prompt [C, D] must name its own anchor [C, D] among all."""
    affinity = tau * prompts @ anchors.T
    return F.cross_entropy(affinity, torch.arange(len(prompts), device=prompts.device))


def reverse_cross_entropy(logits: Tensor, labels: Tensor, eps: float) -> Tensor:
    """-1/B sum_b sum_c p_bc log(q_bc + eps), the second term of eq. 10; it equals log(1/eps) (1 - p_y) up to eps."""
    q = F.one_hot(labels, logits.shape[-1]).to(logits)
    return -(logits.softmax(dim=-1) * torch.log(q + eps)).sum(dim=-1).mean()


def symmetric_cross_entropy(logits: Tensor, labels: Tensor, eps: float) -> Tensor:
    """Symmetric Cross-Entropy Loss L_SCE (eq. 10) of `logits` [B, C] (scaled cosines) and `labels` [B]."""
    return F.cross_entropy(logits, labels) + reverse_cross_entropy(logits, labels, eps)
