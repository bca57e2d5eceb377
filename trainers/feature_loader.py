"""Mini-batches of stored features."""

from collections.abc import Callable, Iterator

import torch
from torch import Tensor


class FeatureLoader:
    """Mini-batches of one epoch's features, in an order that the seed and the epoch alone decide.

    `views` gives an epoch's features [N, D]; they, the labels [N] and the batches lie on one device.
    Nothing is carried from epoch to epoch, so a resumed run sees what an uninterrupted one sees. As in Dassl the last
    batch is dropped where it is not full.
    """

    def __init__(self, views: Callable[[int], Tensor], labels: Tensor, batch_size: int, seed: int):
        self.views, self.labels, self.seed, self.epoch = views, labels, seed, 0
        self.batch_size = min(batch_size, len(labels))

    def __len__(self) -> int:
        return len(self.labels) // self.batch_size

    def __iter__(self) -> Iterator[dict[str, Tensor]]:
        generator = torch.Generator().manual_seed(max(self.seed, 0) * 1_000_003 + self.epoch)
        features = self.views(self.epoch)
        order = torch.randperm(len(self.labels), generator=generator).to(self.labels.device)  # drawn on the CPU
        for index in order[: len(self) * self.batch_size].split(self.batch_size):
            yield {"img": features[index], "label": self.labels[index], "index": index}
