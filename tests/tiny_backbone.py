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
            self.place = nn.Parameter(torch.cat([place, torch.rand(self.context_length - len(place), 1)]))
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
