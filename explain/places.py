"""From values of tokens or places to a map of the picture."""

import math

import torch
from torch import Tensor
from torch.nn.functional import interpolate

from dassl.errors import UserError


def to_grid(values: Tensor, prefix: int) -> Tensor:
    """Return [..., h, w] from values [..., N] of tokens, without the first `prefix`, row by row.

    Raises:
        UserError: the tokens of places are no square.

    >>> to_grid(torch.tensor([9.0, 1.0, 2.0, 3.0, 4.0]), prefix=1)
    tensor([[1., 2.],
            [3., 4.]])
    """
    count = values.shape[-1] - prefix
    side = math.isqrt(max(count, 0))
    if side * side != count or not count:
        raise UserError(
            f"Expected an image tower with a square of places, but got {count} tokens of places: of this backbone no "
            "saliency is known."
        )
    return values[..., prefix:].unflatten(-1, (side, side))


def to_pixels(maps: Tensor, size: int) -> Tensor:
    """Return maps [..., size, size] in 0..1 from maps [..., h, w]: enlarged, and each stretched to its own range.

    A map without differences becomes zero.

    >>> to_pixels(torch.tensor([[-1.0, 3.0], [1.0, 1.0]]), 2)
    tensor([[0.0000, 1.0000],
            [0.5000, 0.5000]])
    """
    flat = maps.reshape(-1, 1, *maps.shape[-2:]).float()
    large = interpolate(flat, (size, size), mode="bilinear", align_corners=False)
    return stretch(large).view(*maps.shape[:-2], size, size)


def stretch(maps: Tensor) -> Tensor:
    """Return maps [..., h, w] whose values go from 0 to 1; 0 where all are equal."""
    low, high = maps.amin(dim=(-2, -1), keepdim=True), maps.amax(dim=(-2, -1), keepdim=True)
    return torch.where(high > low, (maps - low) / (high - low).clamp_min(1e-30), 0.0)
