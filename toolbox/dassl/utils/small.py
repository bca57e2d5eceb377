"""Two helpers that belong nowhere else."""

from collections.abc import Iterable
from typing import Any

from torch import Tensor, nn


def count_num_param(model: nn.Module | None = None, params: Iterable[Tensor | dict] | None = None) -> int:
    """Number of scalars in a model's parameters, or in the given parameters or parameter groups."""
    if model is None and params is None:
        raise ValueError("count_num_param expects a model or parameters, found neither.")
    count = 0
    for item in model.parameters() if model is not None else params:
        tensors = tolist_if_not(item["params"]) if isinstance(item, dict) else [item]
        count += sum(tensor.numel() for tensor in tensors)
    return count


def tolist_if_not(x: Any) -> list:
    """`x` if it is a list, else a list that holds it."""
    return x if isinstance(x, list) else [x]
