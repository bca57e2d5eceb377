"""Gradients that must not conflict with those of another loss."""

import torch
from torch import Tensor

# Times the gradient's norm: ten times the length of a guide that is rounding alone. One step at the warm-up's rate of
# 1e-5 leads to guides of 2e-6 to 3e-5, one at a method's own rate to 1e-3 and more.
ROUNDING = 1e-5


def projected(gradient: Tensor, guide: Tensor, strength: float) -> Tensor:
    """Return `gradient` without (`strength` times) its component along `guide`, where the two conflict.

    A guide shorter than ROUNDING times the gradient counts as zero: while the prompts are the written ones, the
    divergence is at its minimum and its gradient is nothing but rounding, of another direction on each processor.

    >>> projected(torch.tensor([-1.0, 1.0]), torch.tensor([2.0, 0.0]), strength=1.0)
    tensor([0., 1.])
    """
    against = (gradient * guide).sum().clamp(max=0)
    share = strength * against / guide.square().sum()
    return gradient - torch.where(guide.norm() > ROUNDING * gradient.norm(), share, 0) * guide
