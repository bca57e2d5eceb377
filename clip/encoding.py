"""Batches and blocks of keyed rows on their way through a tower, and the time spent waiting for them."""

import time
from collections.abc import Generator, Iterable, Iterator

import numpy as np
import torch

from clip.views import Keyed

Block = tuple[list[bytes], np.ndarray]  # n keys, and their features [n, D]


def in_batches(items: Iterable[Keyed], size: int) -> Iterator[Keyed]:
    """Regroup keys and pixels [n, 3, H, W] into batches of `size`; the last may be smaller.

    Example:
        >>> items = [([b"a", b"b"], torch.zeros(2, 3, 8, 8)), ([b"c"], torch.zeros(1, 3, 8, 8))]
        >>> [(keys, tuple(pixels.shape)) for keys, pixels in in_batches(items, 2)]
        [([b'a', b'b'], (2, 3, 8, 8)), ([b'c'], (1, 3, 8, 8))]
    """
    keys: list[bytes] = []
    batch = torch.empty(0)
    for item_keys, item in items:
        if not keys and len(item) == size:
            yield item_keys, item
            continue
        while len(item):
            if not keys:
                batch = item.new_empty(size, *item.shape[1:])
            part = item[: size - len(keys)]
            batch[len(keys) : len(keys) + len(part)] = part
            keys += item_keys[: len(part)]
            item, item_keys = item[len(part) :], item_keys[len(part) :]
            if len(keys) == size:
                yield keys, batch
                keys = []
    if keys:
        yield keys, batch[: len(keys)]


def in_blocks(batches: Iterable[Block], size: int) -> Generator[Block, None, None]:
    """Collect keys and features of batches into blocks of at least `size` rows; the last may be smaller.

    Example:
        >>> batches = [([b"a"], np.zeros((1, 4))), ([b"b", b"c"], np.zeros((2, 4))), ([b"d"], np.zeros((1, 4)))]
        >>> [(keys, rows.shape) for keys, rows in in_blocks(batches, 2)]
        [([b'a', b'b', b'c'], (3, 4)), ([b'd'], (1, 4))]
    """
    keys: list[bytes] = []
    parts: list[np.ndarray] = []
    for batch_keys, features in batches:
        keys += batch_keys
        parts.append(features)
        if len(keys) >= size:
            yield keys, np.concatenate(parts)
            keys, parts = [], []
    if keys:
        yield keys, np.concatenate(parts)


class Waiting:
    """Iterate over `items`, and measure the time that this takes.

    Attributes:
        seconds: time spent waiting for items so far.
    """

    def __init__(self, items: Iterable[Keyed]):
        self.items, self.seconds = items, 0.0
        self.began = time.monotonic()

    def __iter__(self) -> Iterator[Keyed]:
        """Yield the items."""
        items = iter(self.items)
        while True:
            asked = time.monotonic()
            item = next(items, None)
            self.seconds += time.monotonic() - asked
            if item is None:
                return
            yield item

    @property
    def elapsed(self) -> float:
        """Seconds since the object was made."""
        return time.monotonic() - self.began
