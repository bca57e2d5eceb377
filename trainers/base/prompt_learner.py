"""Learnable context tokens, joined with class names to prompts."""

import torch
from torch import Tensor, nn

from clip import Backbone, Tokens
from dassl.errors import UserError

POSITIONS = ("end", "middle", "front")


class PromptLearner(nn.Module):
    """Learnable context tokens before, around or after each class name: `[CLS] ctx name . [SEP]` with position "end".

    The only parameter, and the only tensor in a checkpoint, is `ctx`: [n_ctx, token_dim], or [C, n_ctx, token_dim] if
    each class has its own context (`csc`). Class names are frozen embeddings, so that a learned context can be used
    with names that it was not trained with.

    Args:
        backbone: supplies the tokenizer and the token embeddings.
        classnames: C names; "_" is replaced by a space.
        n_ctx: number of context tokens.
        ctx_init: words whose embeddings are the initial context; "" draws it from N(0, 0.02^2).
        csc: class-specific context.
        position: place of the class name relative to the context, "end", "middle" or "front".

    Attributes:
        tokens: ids and mask [C, L] of the prompts; the ids of context tokens have no meaning.

    Raises:
        UserError: the position is unknown, `ctx_init` is not `n_ctx` tokens long, or a prompt is longer than the
            context of the text tower.
    """

    prefix: Tensor
    suffix: Tensor
    order: Tensor

    def __init__(
        self,
        backbone: Backbone,
        classnames: list[str],
        n_ctx: int = 4,
        ctx_init: str = "a photo of a",
        csc: bool = False,
        position: str = "end",
    ):
        super().__init__()
        if position not in POSITIONS:
            raise UserError(
                f"Expected position (setting CLASS_TOKEN_POSITION) to be one of {list(POSITIONS)}, but got "
                f'"{position}": choose one of them.'
            )
        names = [name.replace("_", " ") for name in classnames]
        plain = backbone.tokenize([f"{name}." for name in names])  # [CLS] name . [SEP] pad
        start, rest = plain.ids[:, :1], plain.ids[:, 1:]
        held = rest[:, :1].expand(-1, n_ctx)  # ids in the places of the context; only their number matters
        lengths = backbone.tokenize(names).mask.sum(dim=1) - 2  # of the names, without [CLS] and [SEP]
        length = plain.ids.shape[1] + n_ctx
        if length > backbone.context_length:
            raise UserError(
                f"Expected prompts of at most {backbone.context_length} tokens, but n_ctx = {n_ctx} (setting N_CTX) "
                f"and the longest class name make {length}: shorten {max(names, key=len)!r} or lower n_ctx."
            )
        ids = torch.cat([start, held, rest], dim=1)
        mask = torch.cat([plain.mask[:, :1].expand(-1, n_ctx), plain.mask], dim=1)
        order = torch.stack([_order(length, n_ctx, int(m), position) for m in lengths]).to(ids.device)
        with torch.no_grad():
            embedding = backbone.embed(ids)
        self.register_buffer("prefix", embedding[:, :1], persistent=False)
        self.register_buffer("suffix", embedding[:, 1 + n_ctx :], persistent=False)
        self.register_buffer("order", order, persistent=False)
        self.tokens = Tokens(ids.gather(1, order), mask)
        ctx = _initial_context(backbone, n_ctx, ctx_init)
        self.ctx = nn.Parameter(ctx.repeat(len(names), 1, 1) if csc else ctx)

    def forward(self) -> Tensor:
        """Return the prompt embeddings [C, L, token_dim], to be encoded together with `self.tokens`."""
        return self.join(self.context)

    @property
    def context(self) -> Tensor:
        """The contexts [C, n_ctx, token_dim] of the classes."""
        return self.ctx.expand(len(self.prefix), -1, -1)

    def join(self, context: Tensor) -> Tensor:
        """Return the prompt embeddings [..., C, L, token_dim] with other contexts [..., C, n_ctx, token_dim]."""
        prefix, suffix = (part.expand(*context.shape[:-3], -1, -1, -1) for part in (self.prefix, self.suffix))
        sequence = torch.cat([prefix, context, suffix], dim=-2)
        return sequence.gather(-2, self.order[..., None].expand_as(sequence))


def _initial_context(backbone: Backbone, n_ctx: int, words: str) -> Tensor:
    """Return a context [n_ctx, token_dim]: the embeddings of `words`, or small random numbers for ""."""
    if not words:
        return torch.randn(n_ctx, backbone.token_dim) * 0.02
    tokens = backbone.tokenize([words])
    found = int(tokens.mask.sum()) - 2
    if found != n_ctx:
        raise UserError(
            f'Expected ctx_init (setting CTX_INIT) of n_ctx = {n_ctx} tokens, but "{words}" is {found} tokens for '
            f'{backbone.name}: set N_CTX {found}, other words, or "" for a random context.'
        )
    with torch.no_grad():
        return backbone.embed(tokens.ids)[0, 1 : 1 + n_ctx].clone()


def _order(length: int, n_ctx: int, name: int, position: str) -> Tensor:
    """Return the indices [length] into `[CLS] ctx name rest` of the tokens of a prompt.

    Args:
        length: of the prompt, in tokens.
        n_ctx: number of context tokens.
        name: number of tokens of the class name.
        position: place of the class name, "end", "middle" or "front".

    >>> _order(length=7, n_ctx=2, name=2, position="front")
    tensor([0, 3, 4, 1, 2, 5, 6])
    """
    ctx = list(range(1, 1 + n_ctx))
    words = list(range(1 + n_ctx, 1 + n_ctx + name))
    before = {"end": n_ctx, "middle": n_ctx // 2, "front": 0}[position]
    rest = list(range(1 + n_ctx + name, length))
    return torch.tensor([0, *ctx[:before], *words, *ctx[before:], *rest])
