"""A backbone in memory, for tests of what stands on one: words are tokens, a text is a weighted sum of its words."""

import re
from zlib import crc32

import torch
from torch import Tensor, nn

from clip import Backbone, Tokens


class TinyBackbone(Backbone):
    """16 joint and 12 token dimensions, 8 pixels, 60 words; all calls take far less than a millisecond."""

    embed_dim, token_dim, context_length, image_size = 16, 12, 77, 8
    mean, std, interpolation = (0.4, 0.5, 0.6), (0.3, 0.2, 0.1), "bilinear"
    logit_scale = 20.0

    def __init__(self, name: str = "PhantomCLIP", seed: int = 0):
        super().__init__()
        self.name = name
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.image, self.word = nn.Linear(8 * 8 * 3, 16), nn.Embedding(64, 12)
            place, self.projection = torch.rand(24, 1), nn.Linear(12, 16, bias=False)
            self.place = nn.Parameter(torch.cat([place, torch.rand(max(0, self.context_length - len(place)), 1)]))
        self.freeze()

    def tokenize(self, texts) -> Tokens:
        words = [re.findall(r"\w+|[.,]", text) for text in texts]
        rows = [[1, *(4 + crc32(word.encode()) % 60 for word in found), 2] for found in words]
        length = max(map(len, rows))
        ids = torch.tensor([row + [0] * (length - len(row)) for row in rows])
        return Tokens(ids[:, : self.context_length], (ids != 0)[:, : self.context_length])

    def embed(self, ids: Tensor) -> Tensor:
        return self.word(ids)

    def pool_tokens(self, embeddings: Tensor, tokens: Tokens) -> Tensor:
        placed = embeddings * self.place[: embeddings.shape[1]] * tokens.mask[..., None]
        return self.projection(torch.tanh(placed.sum(dim=1)))

    def pool_image(self, images: Tensor) -> Tensor:
        return self.image(images.flatten(1))

    def project(self, embeddings: Tensor) -> Tensor:
        return self.projection(embeddings)

    def vocabulary_ids(self) -> Tensor:
        return torch.arange(4, 64)


class TinyFixedBackbone(TinyBackbone):
    """As SigLIP: no token before a text, padding that the tower sees up to 20 tokens, long words in several pieces."""

    context_length, start_tokens, fixed_length = 20, 0, True

    def tokenize(self, texts) -> Tokens:
        rows = [[*self._pieces(text), 2][:20] for text in texts]
        ids = torch.tensor([row + [0] * (20 - len(row)) for row in rows])
        return Tokens(ids, torch.ones_like(ids, dtype=torch.bool))

    def lengths(self, texts) -> Tensor:
        return torch.tensor([min(20, len(self._pieces(text)) + 1) for text in texts])

    def as_texts(self, ids: Tensor) -> Tokens:
        texts = ids.new_zeros(len(ids), 20)
        texts[:, 0], texts[:, 1] = ids, 2
        return Tokens(texts, torch.ones_like(texts, dtype=torch.bool))

    def _pieces(self, text: str) -> list[int]:
        words = re.findall(r"[a-z0-9]{1,4}|[.,]", text.lower())  # photo is two pieces
        return [4 + crc32(word.encode()) % 60 for word in words]
