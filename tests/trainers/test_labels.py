"""Labels of data items."""

from types import SimpleNamespace

import torch

from trainers.base.labels import labels_of


def test_labels_are_integers_in_the_order_of_the_items():
    labels = labels_of(SimpleNamespace(label=label) for label in (2, 0, 1))
    assert labels.tolist() == [2, 0, 1] and labels.dtype == torch.int64
    assert labels_of([SimpleNamespace(label=1)], torch.device("meta")).device.type == "meta"
