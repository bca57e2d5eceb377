"""Learnable context tokens, joined with class names to prompts."""

import torch
from torch import Tensor, nn

from clip import Backbone, Tokens
from dassl.console import tell
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
        ctx_init: words whose embeddings are the initial context; "" draws it from N(0, 0.02^2). Where they are not
            `n_ctx` tokens but `n_ctx` words, each word starts one context token, from the mean of its tokens.
        csc: class-specific context.
        position: place of the class name relative to the context, "end", "middle" or "front".

    Attributes:
        tokens: ids and mask [C, L] of the prompts; the ids of context tokens have no meaning.

    Raises:
        UserError: the position is unknown, `ctx_init` is neither `n_ctx` tokens nor words long, or a prompt is longer
            than the context of the text tower.
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
        before = backbone.start_tokens
        sentences = [f"{name}." for name in names]
        plain = backbone.tokenize(sentences)  # [CLS] name . [SEP] pad
        longest = int(backbone.lengths(sentences).max()) + n_ctx
        if longest > backbone.context_length:
            raise UserError(
                f"Expected prompts of at most {backbone.context_length} tokens, but n_ctx = {n_ctx} (setting N_CTX) "
                f"and the longest class name make {longest}: shorten {max(names, key=len)!r} or lower n_ctx."
            )
        length = backbone.context_length if backbone.fixed_length else plain.ids.shape[1] + n_ctx
        start, rest = plain.ids[:, :before], plain.ids[:, before : length - n_ctx]
        held = rest[:, :1].expand(-1, n_ctx)  # ids in the places of the context; only their number matters
        ids = torch.cat([start, held, rest], dim=1)
        mask = torch.cat([plain.mask[:, :1].expand(-1, n_ctx), plain.mask], dim=1)[:, :length]
        words = (backbone.lengths(names) - backbone.lengths([""])).tolist()  # tokens of the names
        order = torch.stack([_order(length, n_ctx, count, position, before) for count in words]).to(ids.device)
        with torch.no_grad():
            embedding = backbone.embed(ids)
        self.register_buffer("prefix", embedding[:, :before], persistent=False)
        self.register_buffer("suffix", embedding[:, before + n_ctx :], persistent=False)
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
    """Return a context [n_ctx, token_dim] from `words`, as the class says, or small random numbers for ""."""
    if not words:
        return torch.randn(n_ctx, backbone.token_dim) * 0.02
    tokens = _word_embeddings(backbone, words)
    if len(tokens) == n_ctx:
        return tokens.clone()
    if len(words.split()) == n_ctx:
        tell(
            f'"{words}" is {len(tokens)} tokens for {backbone.name} and {n_ctx} words: each word starts one context '
            "token, from the mean of its tokens"
        )
        return torch.stack([_word_embeddings(backbone, word).mean(dim=0) for word in words.split()])
    raise UserError(
        f'Expected ctx_init (setting CTX_INIT) of n_ctx = {n_ctx} tokens, but "{words}" is {len(tokens)} tokens for '
        f'{backbone.name}: set N_CTX {len(tokens)}, other words, or "" for a random context.'
    )


@torch.no_grad()
def _word_embeddings(backbone: Backbone, words: str) -> Tensor:
    """Return the embeddings [n, token_dim] of the n tokens of words, without special tokens."""
    count = int(backbone.lengths([words]) - backbone.lengths([""]))
    return backbone.embed(backbone.tokenize([words]).ids)[0, backbone.start_tokens : backbone.start_tokens + count]


def _order(length: int, n_ctx: int, name: int, position: str, start: int = 1) -> Tensor:
    """Return the indices [length] into `[CLS] ctx name rest` of the tokens of a prompt.

    Args:
        length: of the prompt, in tokens.
        n_ctx: number of context tokens.
        name: number of tokens of the class name.
        position: place of the class name, "end", "middle" or "front".
        start: number of special tokens before a text.

    >>> _order(length=7, n_ctx=2, name=2, position="front")
    tensor([0, 3, 4, 1, 2, 5, 6])
    """
    ctx = list(range(start, start + n_ctx))
    words = list(range(start + n_ctx, start + n_ctx + name))
    before = {"end": n_ctx, "middle": n_ctx // 2, "front": 0}[position]
    rest = list(range(start + n_ctx + name, length))
    return torch.tensor([*range(start), *ctx[:before], *words, *ctx[before:], *rest])
