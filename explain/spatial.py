"""The last layer of an image tower with a value for each place: its output, and gradients with respect to it."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from clip.image_layers import ImageLayers
from explain.places import to_grid


class Seen:
    """The last output of the layer: a leaf, at which gradients end."""

    leaf: Tensor


@contextmanager
def spatial_leaf(layers: ImageLayers) -> Iterator[Seen]:
    """Keep the output of `layers.spatial` while the context lasts."""
    seen = Seen()

    def keep(_: nn.Module, __: Any, output: Tensor) -> Tensor:
        seen.leaf = output.detach().requires_grad_()
        return seen.leaf

    handle = layers.spatial.register_forward_hook(keep)
    try:
        yield seen
    finally:
        handle.remove()


def maps_of(output: Tensor, layers: ImageLayers) -> Tensor:
    """Return maps [..., W, h, w] from an output of `layers.spatial`, or from gradients of its shape.

    Args:
        output: [..., B, N, W], [..., B, W, h, w] or [..., B, h, w, W], as `layers.layout` says.
        layers: of the tower.
    """
    if layers.layout == "NLC":
        return to_grid(output.transpose(-2, -1), layers.prefix)
    return output.movedim(-1, -3) if layers.layout == "NHWC" else output


def gradients(features: Tensor, directions: Tensor, leaf: Tensor) -> Tensor:
    """Return the gradients [M, ...] of the scores of M classes for each picture with respect to a leaf.

    Args:
        features: [B, D], which depend on the leaf.
        directions: [M, B, D]; a score is the sum of products of feature and direction.
        leaf: of any shape, whose first dimension is B.
    """
    scores = (features * directions).sum(dim=(1, 2))
    last = len(scores) - 1
    return torch.stack([torch.autograd.grad(score, leaf, retain_graph=i < last)[0] for i, score in enumerate(scores)])
