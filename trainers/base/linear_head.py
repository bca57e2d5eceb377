"""The linear head of a method: a weight and a bias from which its logits follow, where they are affine in the image."""

from collections.abc import Callable
from typing import Any, NamedTuple, TypeVar

import torch
from torch import Tensor

F = TypeVar("F", bound=Callable[..., Tensor])
ROUNDING = 1e-3  # of the largest logit


class LinearHead(NamedTuple):
    """The logits of unit image features V are V W^T + b.

    Attributes:
        weight: W [C, D], float64; the logit scale is in it.
        bias: b [C], float64.
    """

    weight: Tensor
    bias: Tensor

    def logits(self, features: Tensor) -> Tensor:
        """Return the logits [B, C] of unit image features [B, D].

        >>> LinearHead(torch.tensor([[2.0, 0.0], [0.0, 4.0]]), torch.tensor([0.5, 0.0])).logits(torch.eye(2))
        tensor([[2.5000, 0.0000],
                [0.5000, 4.0000]])
        """
        return features.to(self.weight) @ self.weight.T + self.bias


def affine(logits: F) -> F:
    """Mark a method's `logits` as affine in the image features. What overrides them without the mark is not."""
    marked: Any = logits
    marked.affine = True
    return logits


def is_affine(method: type) -> bool:
    """Return whether the `logits` of a class are marked as affine."""
    return getattr(getattr(method, "logits", None), "affine", False)


@torch.no_grad()
def head_of(logits: Callable[[Tensor], Tensor], dim: int, device: torch.device | None = None) -> LinearHead:
    """Return the head of a function that is affine: its value at zero is the bias, and its steps from there the weight.

    Args:
        logits: from features [B, D] to logits [B, C].
        dim: D.
        device: of the features.

    Raises:
        TypeError: it is not affine: at other points it has other values than the head.

    >>> head_of(lambda v: 10 * v @ torch.tensor([[0.6, 0.8]]).T + 1, dim=2)
    LinearHead(weight=tensor([[6., 8.]], dtype=torch.float64), bias=tensor([1.], dtype=torch.float64))
    """
    origin, steps, others = torch.zeros(1, dim), torch.eye(dim), torch.linspace(-1, 1, 4 * dim).view(dim, 4).T
    places = torch.cat([origin, steps, others / others.norm(dim=1, keepdim=True)]).to(device)
    found = logits(places).double()
    head = LinearHead((found[1 : dim + 1] - found[0]).T.contiguous(), found[0])
    if (head.logits(places) - found).abs().max() > ROUNDING * found.abs().max():
        raise TypeError("Expected logits that are affine in the features, as they are marked, but got others.")
    return head
