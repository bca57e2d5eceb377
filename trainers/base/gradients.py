"""Gradients that must not conflict with the gradient of another loss."""

import torch
from torch import Tensor

# A guide shorter than this, relative to the gradient, counts as zero. Rounding alone gives guides ten times shorter.
# After one step at the warm-up's rate of 1e-5 guides are 2e-6 to 3e-5 long, after one at a method's own rate 1e-3 or
# more.
ROUNDING = 1e-5


def projected(gradient: Tensor, guide: Tensor, strength: float) -> Tensor:
    """Return `gradient` without its component against `guide`: unchanged unless the two conflict.

    A guide shorter than ROUNDING times the gradient counts as zero: while the learned prompts are the hand-written
    ones, the divergence is at its minimum, and its gradient is rounding, of another direction on each processor.

    Args:
        gradient: of the loss that is minimised.
        guide: gradient of the loss that must not rise, of the same shape.
        strength: share of the conflicting component that is removed, 1 for all of it.

    >>> projected(torch.tensor([-1.0, 1.0]), torch.tensor([2.0, 0.0]), strength=1.0)
    tensor([0., 1.])
    """
    against = (gradient * guide).sum().clamp(max=0)
    share = strength * against / guide.square().sum()
    return gradient - torch.where(guide.norm() > ROUNDING * gradient.norm(), share, 0) * guide
