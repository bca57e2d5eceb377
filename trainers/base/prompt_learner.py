"""Learnable context tokens and how they join a class name."""

import torch
from torch import Tensor, nn

from clip import Backbone, Tokens
from dassl.errors import UserError

POSITIONS = ("end", "middle", "front")


class PromptLearner(nn.Module):
    """Context tokens in front of, around or behind each class name: `[CLS] ctx name . [SEP]` with position "end".

    Its only parameter, and all that a checkpoint holds, is `ctx`: [n_ctx, token_dim], or [C, n_ctx, token_dim] where
    each class has a context of its own (`csc`). Class names enter as frozen embeddings, so that a learned context can
    meet names that it never saw.

    Args:
        backbone: supplies the tokenizer and the token embeddings.
        classnames: C names; "_" reads as a space.
        n_ctx: number of context tokens.
        ctx_init: words whose embeddings the context starts from; "" starts from N(0, 0.02).
        csc: class-specific context.
        position: "end", "middle" or "front": where the class name stands relative to the context.

    Raises:
        UserError: an unknown position, or `ctx_init` that is not `n_ctx` tokens long.
    """

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
            raise UserError(f'Expected CLASS_TOKEN_POSITION to be one of {list(POSITIONS)}, but got "{position}".')
        names = [name.replace("_", " ") for name in classnames]
        plain = backbone.tokenize([f"{name}." for name in names])  # [CLS] name . [SEP] pad
        start, rest = plain.ids[:, :1], plain.ids[:, 1:]
        held = rest[:, :1].expand(-1, n_ctx)  # ids the context stands in for; only their number matters
        lengths = backbone.tokenize(names).mask.sum(dim=1) - 2  # of the names, without [CLS] and [SEP]
        length = plain.ids.shape[1] + n_ctx
        if length > backbone.context_length:
            raise UserError(
                f"Expected prompts of at most {backbone.context_length} tokens, but N_CTX {n_ctx} and the longest "
                f"class name make {length}: shorten {max(names, key=len)!r} or lower N_CTX."
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
        """Prompt embeddings [C, L, token_dim], to be encoded with `self.tokens`."""
        return self.join(self.context)

    @property
    def context(self) -> Tensor:
        """The context of each class, [C, n_ctx, token_dim]."""
        return self.ctx.expand(len(self.prefix), -1, -1)

    def join(self, context: Tensor) -> Tensor:
        """Prompt embeddings [..., C, L, token_dim] with the contexts [..., C, n_ctx, token_dim]."""
        prefix, suffix = (part.expand(*context.shape[:-3], -1, -1, -1) for part in (self.prefix, self.suffix))
        sequence = torch.cat([prefix, context, suffix], dim=-2)
        return sequence.gather(-2, self.order[..., None].expand_as(sequence))


def _initial_context(backbone: Backbone, n_ctx: int, words: str) -> Tensor:
    """Context [n_ctx, token_dim] that starts from the embeddings of `words`, or from small noise."""
    if not words:
        return torch.randn(n_ctx, backbone.token_dim) * 0.02
    tokens = backbone.tokenize([words])
    found = int(tokens.mask.sum()) - 2
    if found != n_ctx:
        raise UserError(
            f'Expected CTX_INIT of N_CTX = {n_ctx} tokens, but "{words}" is {found} tokens for {backbone.name}: '
            f'set N_CTX {found}, other words, or CTX_INIT "" to start from noise.'
        )
    with torch.no_grad():
        return backbone.embed(tokens.ids)[0, 1 : 1 + n_ctx].clone()


def _order(length: int, n_ctx: int, name: int, position: str) -> Tensor:
    """Where each place of a prompt takes its token from in `[CLS] ctx name rest`."""
    ctx = list(range(1, 1 + n_ctx))
    words = list(range(1 + n_ctx, 1 + n_ctx + name))
    before = {"end": n_ctx, "middle": n_ctx // 2, "front": 0}[position]
    rest = list(range(1 + n_ctx + name, length))
    return torch.tensor([0, *ctx[:before], *words, *ctx[before:], *rest])
