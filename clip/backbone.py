"""The interface that every frozen two-tower model shows to the other rooms."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import cached_property, partial
from hashlib import blake2b
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.functional import normalize
from torch.utils.checkpoint import checkpoint
from tqdm import tqdm

from clip.memory import give_back_memory
from clip.tf32 import tf32_products

TEXTS_AT_ONCE = 32  # more take memory, and no less time
TOKENS_AT_ONCE = 2048  # of learned prompts; more go in chunks, whose activations are computed again in backward
PRECISIONS = {  # type of the matrix products, and whether their float32 may be TF32: 10 bits instead of 23
    "fp32": (torch.float32, False),
    "tf32": (torch.float32, True),
    "bf16": (torch.bfloat16, False),
}


class Tokens(NamedTuple):
    """Texts as token ids [N, L], and the mask [N, L] that is True where there is a token, not padding."""

    ids: Tensor
    mask: Tensor


class Backbone(nn.Module, ABC):
    """A frozen pair of towers: no gradient reaches a weight, and `.train()` leaves it in evaluation mode.

    A family sets the attributes below and implements `tokenize`, `embed`, `pool_tokens`, `pool_image` and
    `vocabulary_ids`.

    Attributes:
        name: as the user asked for it.
        embed_dim: D, of the joint space.
        token_dim: of the token embeddings.
        context_length: the most tokens that a text may have.
        image_size: side of the square images, in pixels.
        mean, std: of the pixels, per channel, for normalisation.
        interpolation: "bicubic", "bilinear" or "nearest", by which images are scaled to `image_size`.
        logit_scale: factor of the cosines, exponentiated already.
        revision: commit of the hub's repository that it was loaded from; None for a folder.
        precision: "fp32", "tf32" or "bf16", in which the towers compute; weights, and the features that leave, are
            float32.
    """

    name: str
    embed_dim: int
    token_dim: int
    context_length: int
    image_size: int
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    interpolation: str = "bicubic"
    logit_scale: float
    revision: str | None = None
    precision: str = "fp32"

    def freeze(self) -> "Backbone":
        """Switch gradients and dropout off for good; a family calls it when its weights are loaded."""
        self.requires_grad_(False)
        return self.train(False)

    def train(self, mode: bool = True) -> "Backbone":
        """Stay in evaluation mode, whatever is asked for: dropout in a frozen tower is only noise."""
        return super().train(False)

    @property
    def device(self) -> torch.device:
        return next(self.parameters()).device

    # -------------------------------------------------------------------------------------- what a family supplies

    @abstractmethod
    def tokenize(self, texts: Sequence[str]) -> Tokens:
        """Token ids and mask [N, L] on the backbone's device, L being the length of the longest of the texts."""

    @abstractmethod
    def embed(self, ids: Tensor) -> Tensor:
        """Token embeddings [N, L, token_dim], before positions are added."""

    @abstractmethod
    def pool_tokens(self, embeddings: Tensor, tokens: Tokens) -> Tensor:
        """Text features [N, D] of any norm."""

    @abstractmethod
    def pool_image(self, images: Tensor) -> Tensor:
        """Image features [B, D] of any norm."""

    @abstractmethod
    def vocabulary_ids(self) -> Tensor:
        """Ids [V] of the vocabulary without special and unused tokens."""

    @abstractmethod
    def project(self, embeddings: Tensor) -> Tensor:
        """Token embeddings [N, token_dim] through the text projection alone: [N, D] of any norm."""

    # -------------------------------------------------------------------------------------------- what others call

    def encode_tokens(self, embeddings: Tensor, tokens: Tokens) -> Tensor:
        """Text features [N, D] of unit norm; gradients reach `embeddings` [N, L, token_dim].

        Raises:
            ValueError: shapes that do not belong together.
        """
        if embeddings.shape != (*tokens.ids.shape, self.token_dim):
            raise ValueError(
                f"Expected embeddings of shape {(*tokens.ids.shape, self.token_dim)} for these tokens, "
                f"but got {tuple(embeddings.shape)}."
            )
        rows = max(1, TOKENS_AT_ONCE // tokens.ids.shape[1])
        if len(embeddings) <= rows:
            return self._unit_text(embeddings, *tokens)
        chunks = zip(embeddings.split(rows), tokens.ids.split(rows), tokens.mask.split(rows), strict=True)
        if not (torch.is_grad_enabled() and embeddings.requires_grad):
            return torch.cat([self._text_chunk(*chunk) for chunk in chunks])
        again = partial(checkpoint, self._text_chunk, use_reentrant=False, preserve_rng_state=False)
        return torch.cat([again(*chunk) for chunk in chunks])

    def _text_chunk(self, *chunk: Tensor) -> Tensor:
        if self.device.type == "cpu":
            give_back_memory()  # of the chunk before, or memory would grow with the number of chunks
        return self._unit_text(*chunk)

    def _unit_text(self, embeddings: Tensor, ids: Tensor, mask: Tensor) -> Tensor:
        with self._arithmetic():
            features = self.pool_tokens(embeddings, Tokens(ids, mask))
        return normalize(features.float(), dim=-1)

    @contextmanager
    def _arithmetic(self) -> Iterator[None]:
        """The towers' precision; what is done with their features stays in float32."""
        dtype, tf32 = PRECISIONS[self.precision]
        with torch.autocast(self.device.type, dtype, enabled=dtype != torch.float32), tf32_products(tf32):
            yield

    @torch.no_grad()
    def encode_text(self, texts: Sequence[str]) -> Tensor:
        """Text features [N, D] of unit norm."""
        texts = list(texts)
        order = sorted(range(len(texts)), key=lambda i: len(texts[i]))  # alike lengths together: little padding

        def encode(indices: Sequence[int]) -> Tensor:
            tokens = self.tokenize([texts[i] for i in indices])
            return self.encode_tokens(self.embed(tokens.ids), tokens)

        features = _in_chunks(encode, order, TEXTS_AT_ONCE, "Encoding texts")
        return features[torch.tensor(order).argsort().to(features.device)]

    @torch.no_grad()
    def encode_image(self, images: Tensor) -> Tensor:
        """Image features [B, D] of unit norm from pixels [B, 3, H, W] (normalised by `mean` and `std`).

        Raises:
            ValueError: images of another size.
        """
        expected = (3, self.image_size, self.image_size)
        if images.ndim != 4 or tuple(images.shape[1:]) != expected:
            raise ValueError(
                f"Expected images of shape [B, {', '.join(map(str, expected))}], but got {tuple(images.shape)}."
            )
        with self._arithmetic():
            features = self.pool_image(images.to(self.device))
        return normalize(features.float(), dim=-1)

    @torch.no_grad()
    def encode_vocabulary(self) -> Tensor:
        """Features [V, D] of unit norm of each vocabulary token as a text of its own, `[CLS] token [SEP]`."""
        start, end = self.tokenize([""]).ids[0]

        def encode(ids: Tensor) -> Tensor:
            alone = torch.stack([start.expand_as(ids), ids, end.expand_as(ids)], dim=1)
            return self.encode_tokens(self.embed(alone), Tokens(alone, torch.ones_like(alone, dtype=torch.bool)))

        return _in_chunks(encode, self.vocabulary_ids().to(self.device), 512, "Encoding the vocabulary")

    @torch.no_grad()
    def project_vocabulary(self) -> Tensor:
        """Each vocabulary token's embedding through the text projection alone, [V, D] of unit norm."""
        embeddings = self.embed(self.vocabulary_ids().to(self.device)[None])[0]
        return normalize(self.project(embeddings), dim=-1)

    def fingerprint(self) -> str:
        """A digest of all weights, and the precision where it is not fp32: the key of every stored feature."""
        return self._fingerprint + ("" if self.precision == "fp32" else f"-{self.precision}")

    @cached_property
    def _fingerprint(self) -> str:
        digest = blake2b(digest_size=8)
        for name, tensor in sorted(self.state_dict().items()):
            digest.update(f"{name}{tuple(tensor.shape)}{tensor.dtype}".encode())
            digest.update(tensor.detach().cpu().contiguous().flatten().view(torch.uint8).numpy())
        return digest.hexdigest()


def _in_chunks(encode: Callable, items: Sequence, size: int, title: str) -> Tensor:
    """`encode` over the items, `size` at a time, with a progress bar if it takes more than a few seconds."""
    starts: Iterable[int] = tqdm(range(0, len(items), size), desc=title, delay=3, leave=False)
    return torch.cat([encode(items[i : i + size]) for i in starts])
