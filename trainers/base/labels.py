"""Labels of data items as a tensor."""

from collections.abc import Iterable

import torch
from torch import Tensor

from dassl.data.datasets import Datum


def labels_of(items: Iterable[Datum], device: torch.device | None = None) -> Tensor:
    """Return the labels [N] of data items, on the CPU or on `device`."""
    return torch.tensor([item.label for item in items], device=device)
