"""LeGrad: how the score would grow if the attention of each layer took more from a place.

Reference:
    Bousselham, Boggust, Chaybouti, Strobelt, Kuehne: LeGrad: An explainability method for vision transformers via
    feature formation sensitivity. ICCV 2025.
"""

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import normalize

from clip import Backbone
from clip.attention import watched
from dassl.errors import UserError
from explain.places import to_grid
from explain.spatial import gradients


def legrad(backbone: Backbone, pixels: Tensor, directions: Tensor) -> Tensor:
    """Return maps [M, B, h, w]: the sum over layers of the positive gradients of attention weights.

    The score of a layer is that of the feature read out of its tokens: of their mean, or by the tower's attention
    pooling, whose weights are then those that are asked. Gradients are averaged over heads and queries.

    Args:
        backbone: whose tower is a ViT, or pools by attention.
        pixels: [B, 3, S, S].
        directions: of the classes, M for each picture: [M, B, D].

    Raises:
        UserError: the image tower has no attention that can be asked.
    """
    layers = backbone.image_layers()
    if not layers.blocks or layers.read is None:
        raise UserError(
            f"Expected a backbone with attention in its image tower for LeGrad, but got {backbone.name}: choose "
            "grad_eclip or gscorecam."
        )
    calls = _inputs(backbone, [block for block, _ in layers.blocks], pixels)
    total = torch.zeros(())
    for (block, attention), (args, kwargs) in zip(layers.blocks, calls, strict=True):
        with torch.enable_grad(), watched(attention, "weights") as seen:
            output = block(*args, **kwargs)
            tokens = output[0] if isinstance(output, tuple) else output
            found = gradients(normalize(layers.read(tokens), dim=-1), directions, seen.leaf)
        total = total.to(found) + to_grid(found.relu().mean(dim=(-3, -2)), layers.prefix)
    return total


@torch.no_grad()
def _inputs(backbone: Backbone, blocks: list[nn.Module], pixels: Tensor) -> list[tuple[tuple, dict[str, Any]]]:
    """Return the arguments with which the tower calls each of the blocks."""
    calls: list[tuple[tuple, dict[str, Any]]] = []

    def keep(_: nn.Module, args: tuple, kwargs: dict[str, Any]) -> None:
        calls.append((args, kwargs))

    handles = [block.register_forward_pre_hook(keep, with_kwargs=True) for block in blocks]
    try:
        backbone.pool_image(pixels)
    finally:
        for handle in handles:
            handle.remove()
    return calls
