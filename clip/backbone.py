"""The interface of frozen two-tower models."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import cached_property, partial
from hashlib import blake2b
from typing import TYPE_CHECKING, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.functional import normalize
from torch.utils.checkpoint import checkpoint

from clip.image_input import ImageInput
from clip.image_layers import ImageLayers
from clip.speed.malloc import give_back_memory
from clip.tf32 import tf32_products
from dassl.errors import UserError
from dassl.progress import bar

if TYPE_CHECKING:
    from torchvision.transforms import Compose

TEXTS_AT_ONCE = 32  # larger chunks take memory and save no time
TOKENS_AT_ONCE = 2048  # of learned prompts; larger sets go in chunks, whose activations are computed again in backward
WORDS_AT_ONCE = 512  # of the vocabulary
PROBE = "A photo of the Lung, 3.5 mm: adenocarcinoma; normal tissue (T2-weighted MRI)."  # tells tokenizers apart
PRECISIONS = {  # type of the matrix products, and whether float32 may be TF32, with 10 bits of mantissa instead of 23
    "fp32": (torch.float32, False),
    "tf32": (torch.float32, True),
    "bf16": (torch.bfloat16, False),
}


class Tokens(NamedTuple):
    """Tokenized texts: ids [N, L], and a mask [N, L] that is False at padding."""

    ids: Tensor
    mask: Tensor


class Backbone(nn.Module, ABC):
    """A frozen image tower and text tower: no weight has a gradient, and `.train()` keeps evaluation mode.

    A subclass sets the attributes below, implements the abstract methods, and calls `freeze` when its weights are
    loaded.

    Attributes:
        name: as the user asked for it.
        embed_dim: dimension D of the joint space.
        token_dim: dimension of the token embeddings.
        context_length: largest number of tokens of a text.
        image_size: side of the square images in pixels.
        mean, std: of the pixels, per channel, for normalisation.
        interpolation: "bicubic", "bilinear" or "nearest", for scaling images to `image_size`.
        resize_mode, prepare: as in `ImageInput`.
        logit_scale: factor of the cosines, already exponentiated.
        revision: commit of the hub repository that the weights come from; None for a folder.
        precision: "fp32", "tf32" or "bf16", used within the towers; weights and returned features are float32.
        start_tokens: number of special tokens before a text.
        fixed_length: whether texts always have `context_length` tokens, because the text tower sees padding too.
        recipe: all that decides features beside the weights, such as numbers of heads and pooling.
    """

    name: str
    embed_dim: int
    token_dim: int
    context_length: int
    image_size: int
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    interpolation: str = "bicubic"
    resize_mode: str = "shortest"
    prepare: tuple[str, ...] = ()
    logit_scale: float
    revision: str | None = None
    precision: str = "fp32"
    start_tokens: int = 1
    fixed_length: bool = False
    recipe: str = ""

    def freeze(self) -> "Backbone":
        """Switch off gradients and dropout for good; return the backbone."""
        self.requires_grad_(False)
        return self.train(False)

    def train(self, mode: bool = True) -> "Backbone":
        """Stay in evaluation mode whatever `mode` is: dropout in a frozen tower is only noise."""
        return super().train(False)

    @property
    def device(self) -> torch.device:
        """Device of the weights."""
        return next(self.parameters()).device

    # ------------------------------------------------------------------------------------ implemented by subclasses

    @abstractmethod
    def tokenize(self, texts: Sequence[str]) -> Tokens:
        """Return ids and mask [N, L] on the backbone's device.

        L is the length of the longest text, or `context_length` with `fixed_length`; the mask is True at all that the
        text tower sees.
        """

    @abstractmethod
    def embed(self, ids: Tensor) -> Tensor:
        """Return token embeddings [N, L, token_dim] of ids [N, L], without positions."""

    @abstractmethod
    def pool_tokens(self, embeddings: Tensor, tokens: Tokens) -> Tensor:
        """Return text features [N, D] of any norm."""

    @abstractmethod
    def pool_image(self, images: Tensor) -> Tensor:
        """Return image features [B, D] of any norm."""

    @abstractmethod
    def vocabulary_ids(self) -> Tensor:
        """Return the ids [V] of the vocabulary without special and unused tokens."""

    @abstractmethod
    def project(self, embeddings: Tensor) -> Tensor:
        """Apply the text projection alone to token embeddings [N, token_dim]; return [N, D] of any norm."""

    # ------------------------------------------------------------------------------------------- used by everybody

    @property
    def image_input(self) -> ImageInput:
        """What the image tower expects of its images."""
        return ImageInput(
            self.image_size, self.mean, self.std, self.interpolation, resize_mode=self.resize_mode, prepare=self.prepare
        )

    @image_input.setter
    def image_input(self, images: ImageInput) -> None:
        self.image_size, self.mean, self.std = images.size, images.mean, images.std
        self.interpolation, self.resize_mode, self.prepare = images.interpolation, images.resize_mode, images.prepare

    @property
    def preprocess(self) -> "Compose":
        """Evaluation transform from a PIL image to pixels [3, image_size, image_size].

        It prepares the picture, scales it to `image_size` and normalises by `mean` and `std`: the test transform of a
        run, by `repr` too, so that both share their features in a store.
        """
        from torchvision import transforms  # slow to import

        from dassl.data.transforms import evaluation_steps

        square = (self.image_size, self.image_size)
        return transforms.Compose(
            [
                *evaluation_steps(square, self.interpolation, self.resize_mode, self.prepare),
                transforms.ToTensor(),
                transforms.Normalize(list(self.mean), list(self.std)),
            ]
        )

    def image_layers(self) -> ImageLayers:
        """Return the layers of the image tower at which it can be asked where it looks.

        Raises:
            UserError: they are not known.
        """
        raise UserError(
            f"Expected a backbone whose image tower can be asked where it looks, but got {self.name}: choose another "
            "one, or do without saliency."
        )

    def words(self) -> dict[int, str]:
        """Return the vocabulary: words by their ids; empty where it is not known."""
        return {}

    def lengths(self, texts: Sequence[str]) -> Tensor:
        """Return the numbers of tokens [N] of texts, special ones with them and padding without."""
        return self.tokenize(texts).mask.sum(dim=1)

    def as_texts(self, ids: Tensor) -> Tokens:
        """Return ids and mask [N, L] of N texts that have one token each; ids [N]."""
        cls, sep = self.tokenize([""]).ids[0]
        texts = torch.stack([cls.expand_as(ids), ids, sep.expand_as(ids)], dim=1)
        return Tokens(texts, torch.ones_like(texts, dtype=torch.bool))

    def encode_tokens(self, embeddings: Tensor, tokens: Tokens) -> Tensor:
        """Return text features [N, D] of unit norm; gradients reach the embeddings.

        Args:
            embeddings: [N, L, token_dim], without positions.
            tokens: ids and mask [N, L] of the texts.

        Raises:
            ValueError: the shapes do not fit.
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
        recomputed = partial(checkpoint, self._text_chunk, use_reentrant=False, preserve_rng_state=False)
        return torch.cat([recomputed(*chunk) for chunk in chunks])

    def _text_chunk(self, embeddings: Tensor, ids: Tensor, mask: Tensor) -> Tensor:
        """Return the unit features of one of several chunks of texts."""
        if self.device.type == "cpu":
            give_back_memory()  # of the previous chunk, or memory would grow with the number of chunks
        return self._unit_text(embeddings, ids, mask)

    def _unit_text(self, embeddings: Tensor, ids: Tensor, mask: Tensor) -> Tensor:
        """Return the unit features of texts that fit into memory at once."""
        with self._in_precision():
            features = self.pool_tokens(embeddings, Tokens(ids, mask))
        return normalize(features.float(), dim=-1)

    @contextmanager
    def _in_precision(self) -> Iterator[None]:
        """Compute in `precision`; use it around the towers only, so that everything else stays in float32."""
        dtype, tf32 = PRECISIONS[self.precision]
        with torch.autocast(self.device.type, dtype, enabled=dtype != torch.float32), tf32_products(tf32):
            yield

    @torch.no_grad()
    def encode_text(self, texts: Sequence[str]) -> Tensor:
        """Return features [N, D] of unit norm of texts."""
        texts = list(texts)
        order = sorted(range(len(texts)), key=lambda i: len(texts[i]))  # texts of similar length need little padding

        def encode(start: int, end: int) -> Tensor:
            tokens = self.tokenize([texts[i] for i in order[start:end]])
            return self.encode_tokens(self.embed(tokens.ids), tokens)

        features = _in_chunks(encode, len(order), TEXTS_AT_ONCE, "Encoding texts")
        return features[torch.tensor(order).argsort().to(features.device)]

    @torch.no_grad()
    def encode_image(self, images: Tensor) -> Tensor:
        """Return features [B, D] of unit norm of pixels [B, 3, image_size, image_size], as `preprocess` makes them.

        Raises:
            ValueError: the images have another size.
        """
        expected = (3, self.image_size, self.image_size)
        if images.ndim != 4 or tuple(images.shape[1:]) != expected:
            raise ValueError(
                f"Expected images of shape [B, {', '.join(map(str, expected))}], but got {tuple(images.shape)}."
            )
        with self._in_precision():
            features = self.pool_image(images.to(self.device))
        return normalize(features.float(), dim=-1)

    @torch.no_grad()
    def encode_vocabulary(self) -> Tensor:
        """Return features [V, D] of unit norm of each vocabulary token as a text of its own: `[CLS] token [SEP]`."""
        vocabulary = self.vocabulary_ids().to(self.device)

        def encode(start: int, end: int) -> Tensor:
            tokens = self.as_texts(vocabulary[start:end])
            return self.encode_tokens(self.embed(tokens.ids), tokens)

        return _in_chunks(encode, len(vocabulary), WORDS_AT_ONCE, "Encoding the vocabulary")

    @torch.no_grad()
    def project_vocabulary(self) -> Tensor:
        """Apply the text projection alone to each vocabulary token's embedding; return [V, D] of unit norm."""
        embeddings = self.embed(self.vocabulary_ids().to(self.device)[None])[0]
        return normalize(self.project(embeddings), dim=-1)

    def fingerprint(self) -> str:
        """Return a digest of weights, recipe and tokenizer, followed by the precision unless it is fp32.

        It is the key of stored features.
        """
        return self._fingerprint + ("" if self.precision == "fp32" else f"-{self.precision}")

    @cached_property
    def _fingerprint(self) -> str:
        """Digest of recipe, vocabulary, tokens of a text, and names, shapes, types and values of all weights."""
        digest = blake2b(digest_size=8)
        digest.update(f"{self.recipe}{sorted(self.words().items())}{self.tokenize([PROBE]).ids.tolist()}".encode())
        for name, tensor in sorted(self.state_dict().items()):
            digest.update(f"{name}{tuple(tensor.shape)}{tensor.dtype}".encode())
            digest.update(tensor.detach().cpu().contiguous().flatten().view(torch.uint8).numpy())
        return digest.hexdigest()


def _in_chunks(encode: Callable[[int, int], Tensor], count: int, size: int, title: str) -> Tensor:
    """Concatenate `encode(start, end)` over chunks of `size`; show a progress bar after a few seconds."""
    starts: Iterable[int] = bar(range(0, count, size), desc=title, delay=3)
    return torch.cat([encode(start, start + size) for start in starts])
