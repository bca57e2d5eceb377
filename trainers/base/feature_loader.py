"""Mini-batches of stored features."""

from collections.abc import Callable, Iterator

import torch
from torch import Tensor


class FeatureLoader:
    """Mini-batches of one epoch's features, in an order that `generator` draws.

    The trainer seeds `generator` from (seed, epoch) before each epoch, so that a resumed run sees what an uninterrupted
    one sees. As in Dassl the last batch is dropped where it is not full.

    Args:
        views: returns the features [N, D] of an epoch. They, the labels and the batches lie on one device.
        labels: [N].
        batch_size: images per batch, at most N.
    """

    def __init__(self, views: Callable[[int], Tensor], labels: Tensor, batch_size: int):
        self.views, self.labels, self.epoch = views, labels, 0
        self.batch_size = min(batch_size, len(labels))
        self.generator = torch.Generator().manual_seed(0)  # on the CPU: the same order on every device

    def __len__(self) -> int:
        return len(self.labels) // self.batch_size

    def __iter__(self) -> Iterator[dict[str, Tensor]]:
        features = self.views(self.epoch)
        order = torch.randperm(len(self.labels), generator=self.generator).to(self.labels.device)
        for index in order[: len(self) * self.batch_size].split(self.batch_size):
            yield {"features": features[index], "label": self.labels[index], "index": index}
