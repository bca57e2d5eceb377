"""Weights of a model of the kind of OpenAI's CLIP, for OpenAI's code, of which a checkout has a copy in `clip/`."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from dassl.errors import UserError

if TYPE_CHECKING:
    from open_clip.model import CLIP

    from clip.backbone import Backbone

HEAD = 64  # dimensions of an attention head: OpenAI's code takes them for granted, and reads other sizes from shapes


def openai_weights(backbone: "Backbone") -> dict[str, Tensor] | None:
    """Return the weights of `backbone` by OpenAI's names; None if it is of another kind.

    Those that half precision holds exactly are returned in it, as OpenAI publishes its own.

    Raises:
        UserError: OpenAI's code would compute something else with these weights.
    """
    from open_clip.model import CLIP

    model = getattr(backbone, "model", None)
    if not isinstance(model, CLIP):
        return None
    if problem := next(_differences(model), ""):
        raise UserError(
            f"Expected {backbone.name} to be built as OpenAI's CLIP, whose code is to load its weights, but {problem}: "
            "choose another backbone."
        )
    return {name: _halved(tensor) for name, tensor in model.state_dict().items()}


def _differences(model: "CLIP") -> Iterator[str]:
    """Yield what OpenAI's code would compute in another way, and what the shapes of weights do not tell."""
    from open_clip.modified_resnet import AttentionPool2d

    for module in model.modules():
        if isinstance(module, nn.GELU):
            yield "it has the exact GELU, not the quick one"
        if isinstance(module, nn.MultiheadAttention) and module.head_dim != HEAD:
            yield f"its attention heads have {module.head_dim} dimensions, not {HEAD}"
        if isinstance(module, AttentionPool2d) and (size := module.q_proj.out_features // module.num_heads) != HEAD:
            yield f"the heads of its attention pool have {size} dimensions, not {HEAD}"
    pool = getattr(model.visual, "pool_type", "tok")
    if pool != "tok":
        yield f'it pools patches by "{pool}", and does not read out the class token'


def _halved(tensor: Tensor) -> Tensor:
    """Return a tensor in half precision if that changes no value."""
    half = tensor.half()
    return half if tensor.is_floating_point() and torch.equal(half.to(tensor.dtype), tensor) else tensor
