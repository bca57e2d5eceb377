"""Mini-batches of stored features."""

from collections.abc import Callable, Iterator

import torch
from torch import Tensor


class FeatureLoader:
    """Mini-batches of the features of an epoch, in an order drawn by `generator`.

    The trainer seeds `generator` from (seed, epoch) before each epoch, so that a resumed run sees the batches of an
    uninterrupted one.

    Args:
        views: returns the features [N, D] of an epoch, on the device of the labels.
        labels: [N].
        batch_size: images per batch; N where it is larger.
        drop_last: leave out an incomplete last batch, as Dassl does.
    """

    def __init__(self, views: Callable[[int], Tensor], labels: Tensor, batch_size: int, drop_last: bool = True):
        self.views, self.labels, self.epoch, self.drop_last = views, labels, 0, drop_last
        self._loaded: tuple[int, Tensor] = -1, labels  # epoch and features
        self.batch_size = min(batch_size, len(labels))
        self.generator = torch.Generator().manual_seed(0)  # on the CPU: the same order on every device

    def load(self) -> Tensor:
        """Return the features [N, D] of the epoch, which may have to be encoded first."""
        if self._loaded[0] != self.epoch:
            self._loaded = self.epoch, self.views(self.epoch)
        return self._loaded[1]

    def __len__(self) -> int:
        whole, rest = divmod(len(self.labels), self.batch_size)
        return whole + (rest > 0 and not self.drop_last)

    def __iter__(self) -> Iterator[dict[str, Tensor]]:
        """Yield batches with the keys "features" [B, D], "label" [B] and "index" [B], the place in the support set."""
        features = self.load()
        order = torch.randperm(len(self.labels), generator=self.generator).to(self.labels.device)
        for index in order[: len(self) * self.batch_size].split(self.batch_size):
            yield {"features": features[index], "label": self.labels[index], "index": index}
