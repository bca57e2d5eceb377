"""Views of image files: pictures under a random transform whose randomness follows from content and view number."""

import random
from collections.abc import Callable, Sequence
from hashlib import blake2b

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.utils.data import Dataset

from clip.pixels import read_image

VIEWS_PER_READ = 32  # views that are made of one decoding of a file


def content_digest(content: bytes) -> bytes:
    """The 16 bytes by which a content is known."""
    return blake2b(content, digest_size=16).digest()


class ImageViews(Dataset):
    """An item holds some views of one file, [n, 3, H, W], so that a file is decoded once for many views.

    Args:
        files: path, content digest, and the numbers of the views that are wanted; None is the transform as it is.
        transform: from a PIL image to pixels [3, H, W].
    """

    def __init__(self, files: Sequence[tuple[str, bytes, Sequence[int | None]]], transform: Callable):
        self.transform = transform
        self.items = [
            (path, digest, views[i : i + VIEWS_PER_READ])
            for path, digest, views in files
            for i in range(0, len(views), VIEWS_PER_READ)
        ]

    def __len__(self) -> int:
        return len(self.items)

    def __getitem__(self, index: int) -> Tensor:
        path, digest, views = self.items[index]
        image = read_image(path)
        first = _view(image, self.transform, digest, views[0])
        pixels = first.new_empty(len(views), *first.shape)  # filled one by one: a list and its stack take twice that
        pixels[0] = first
        for i, view in enumerate(views[1:], 1):
            pixels[i] = _view(image, self.transform, digest, view)
        return pixels


def _view(image: Image.Image, transform: Callable, digest: bytes, view: int | None) -> Tensor:
    """`transform(image)`; for a number, with random numbers that follow from the content and this number alone."""
    if view is None:
        return transform(image)
    seed = int.from_bytes(content_digest(digest + view.to_bytes(4, "little"))[:8], "little")
    python, numpy_ = random.getstate(), np.random.get_state()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed % 2**63)
        random.seed(seed)
        np.random.seed(seed % 2**32)
        pixels = transform(image)
    random.setstate(python)
    np.random.set_state(numpy_)
    return pixels
