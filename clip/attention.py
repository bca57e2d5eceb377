"""Attention in the open: queries, keys, values and weights of modules that compute all of it in one call."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Literal, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.functional import linear

Leaf = Literal["weights", "mixed"]


class Heads(NamedTuple):
    """The parts of a module's attention before its softmax.

    Attributes:
        queries: [B, H, Q, d], scaled as in the module.
        keys, values: [B, H, N, d].
        finish: returns what the module returns, from the mixed values of all heads side by side [B, Q, H d].
    """

    queries: Tensor
    keys: Tensor
    values: Tensor
    finish: Callable[[Tensor], Any]


class Seen:
    """The last call of a watched module.

    Attributes:
        heads: queries, keys and values.
        leaf: attention weights [B, H, Q, N], or mixed values [B, Q, H d]; gradients end there.
    """

    heads: Heads
    leaf: Tensor


@contextmanager
def watched(module: nn.Module, leaf: Leaf) -> Iterator[Seen]:
    """Compute the attention of a module in the open while the context lasts; its output is the same to rounding.

    Args:
        module: of a type in `OPENERS`.
        leaf: the part that gradients are asked for: "weights", or "mixed", the weighted sums of values.
    """
    seen, opener = Seen(), OPENERS[_name(module)]

    def compute(_: nn.Module, args: tuple, kwargs: dict[str, Any], __: Any) -> Any:
        heads = seen.heads = opener(module, *args, **kwargs)
        weights = (heads.queries @ heads.keys.transpose(-2, -1)).softmax(dim=-1)
        if leaf == "weights":
            weights = seen.leaf = weights.detach().requires_grad_()
        mixed = (weights @ heads.values).transpose(1, 2).flatten(2)
        if leaf == "mixed":
            mixed = seen.leaf = mixed.detach().requires_grad_()
        return heads.finish(mixed)

    handle = module.register_forward_hook(compute, with_kwargs=True)
    try:
        yield seen
    finally:
        handle.remove()


def can_be_watched(module: Any) -> bool:
    """Return whether `watched` knows how a module computes its attention."""
    return _name(module) in OPENERS


def _name(module: Any) -> str:
    return f"{type(module).__module__}.{type(module).__qualname__}"


def _split(x: Tensor, heads: int) -> Tensor:
    """Return [B, H, N, d] from all heads side by side [B, N, H d]."""
    return x.unflatten(-1, (heads, -1)).transpose(1, 2)


def _of_torch(module: Any, query: Tensor, key: Tensor, value: Tensor, **_: Any) -> Heads:
    """Open `torch.nn.MultiheadAttention`, which returns its output and no weights."""
    if not module.batch_first:
        query, key, value = (x.transpose(0, 1) for x in (query, key, value))
    if module.in_proj_weight is None:
        weights = (module.q_proj_weight, module.k_proj_weight, module.v_proj_weight)
    else:
        weights = module.in_proj_weight.chunk(3)
    biases = (None,) * 3 if module.in_proj_bias is None else module.in_proj_bias.chunk(3)
    q, k, v = (
        _split(linear(x, weight, bias), module.num_heads)
        for x, weight, bias in zip((query, key, value), weights, biases, strict=True)
    )

    def finish(mixed: Tensor) -> tuple[Tensor, None]:
        out = module.out_proj(mixed)
        return out if module.batch_first else out.transpose(0, 1), None

    return Heads(q * module.head_dim**-0.5, k, v, finish)


def _of_timm(module: Any, x: Tensor, **_: Any) -> Heads:
    """Open `timm.layers.Attention`: self-attention, with norms and a gate where the model has them."""
    q, k, v = (_split(part, module.num_heads) for part in module.qkv(x).chunk(3, dim=-1))
    gate = None if getattr(module, "gate", None) is None else module.gate(x).sigmoid()

    def finish(mixed: Tensor) -> Tensor:
        mixed = module.norm(mixed)
        return module.proj(mixed if gate is None else mixed * gate)

    return Heads(module.q_norm(q) * module.scale, module.k_norm(k), v, finish)


def _of_timm_pool(module: Any, x: Tensor, **_: Any) -> Heads:
    """Open `timm.layers.AttentionPoolLatent`: learned queries attend to all tokens."""
    x = x if module.pos_embed is None else x + module.pos_embed
    q = _split(module.q(module.latent.expand(len(x), -1, -1)), module.num_heads)
    k, v = (_split(part, module.num_heads) for part in module.kv(x).chunk(2, dim=-1))

    def finish(mixed: Tensor) -> Tensor:
        out = module.proj(mixed)
        out = out if module.mlp is None else out + module.mlp(module.norm(out))
        return out[:, 0] if module.pool == "token" else out.mean(dim=1)

    return Heads(module.q_norm(q) * module.scale, module.k_norm(k), v, finish)


def _of_resnet(module: Any, x: Tensor) -> Heads:
    """Open `open_clip.modified_resnet.AttentionPool2d`: the mean of all places attends to itself and to each place."""
    x = x.flatten(2).transpose(1, 2)
    x = torch.cat([x.mean(dim=1, keepdim=True), x], dim=1) + module.positional_embedding
    q, k, v = (_split(layer(x), module.num_heads) for layer in (module.q_proj, module.k_proj, module.v_proj))
    return Heads(q[:, :, :1] * q.shape[-1] ** -0.5, k, v, lambda mixed: module.c_proj(mixed[:, 0]))


# By the name of the class, as the libraries that define them are imported only where a model needs them. Their
# subclasses may compute something else.
OPENERS: dict[str, Callable[..., Heads]] = {
    "torch.nn.modules.activation.MultiheadAttention": _of_torch,
    "timm.layers.attention.Attention": _of_timm,
    "timm.layers.attention_pool.AttentionPoolLatent": _of_timm_pool,
    "open_clip.modified_resnet.AttentionPool2d": _of_resnet,
}
