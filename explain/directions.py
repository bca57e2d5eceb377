"""The direction of a class in the space of image features, whatever the method: prompt, posterior, probe, cache."""

from collections.abc import Callable

import torch
from torch import Tensor


def class_directions(
    logits: Callable[[Tensor], Tensor], features: Tensor, classes: Tensor, contrast: bool = True
) -> Tensor:
    """Return the gradients [B, D] of what speaks for classes [B] at unit image features [B, D].

    Where logits are linear in the features this is the row of the class in their matrix, with its scale, less the mean
    of all rows; elsewhere (CoCoOp, Tip-Adapter, CLIP-Adapter) it belongs to each image.

    Args:
        logits: from features [B, D] to logits [B, C], each row of its own image alone.
        features: unit image features [B, D].
        classes: [B].
        contrast: take the logit less the mean of all classes' logits, which leaves out what they have in common:
            texts of all classes lie closely together, and so do then the maps of all classes. False is as published
            (gScoreCAM, Grad-ECLIP, LeGrad).

    >>> weights = torch.tensor([[3.0, 0.0], [0.0, 1.0]])
    >>> class_directions(lambda v: v @ weights.T, torch.tensor([[0.6, 0.8]]), torch.tensor([0]))
    tensor([[ 1.5000, -0.5000]])
    >>> class_directions(lambda v: v @ weights.T, torch.tensor([[0.6, 0.8]]), torch.tensor([0]), contrast=False)
    tensor([[3., 0.]])
    """
    with torch.enable_grad():
        points = features.detach().clone().requires_grad_()
        found = logits(points)
        score = found.gather(1, classes.to(found.device)[:, None])[:, 0]
        score = score - found.mean(dim=1) if contrast else score
        (gradient,) = torch.autograd.grad(score.sum(), points)
    return gradient
