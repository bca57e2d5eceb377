"""A backbone in memory that notes what it encodes, and transforms with and without chance."""

import random

import numpy as np
import torch

from tests.tiny_backbone import TinyBackbone


class CountingBackbone(TinyBackbone):
    """Notes the size of each batch of images in `images`, and the texts of each call in `texts`."""

    def __init__(self, seed: int = 0):
        super().__init__(seed=seed)
        self.images: list[int] = []
        self.texts: list[list[str]] = []

    @property
    def images_seen(self) -> int:
        return sum(self.images)

    def pool_image(self, images):
        self.images.append(len(images))
        return super().pool_image(images)

    def encode_text(self, texts):
        self.texts.append(list(texts))
        return super().encode_text(texts)


class Plain:
    """The pixels of an image."""

    def __init__(self, name: str = "plain"):
        self.name = name

    def __repr__(self) -> str:
        return self.name

    def __call__(self, image):
        return torch.tensor(np.asarray(image), dtype=torch.float32).permute(2, 0, 1) / 255


class Noise(Plain):
    """A random transform that draws from every generator there is."""

    def __init__(self, name: str = "noise"):
        super().__init__(name)

    def __call__(self, image):
        return super().__call__(image) * torch.rand(1) + random.random() + np.random.rand()
