"""Count parameters, and make lists."""

from collections.abc import Iterable
from typing import Any

from torch import Tensor, nn


def count_num_param(model: nn.Module | None = None, params: Iterable[Tensor | dict] | None = None) -> int:
    """Return the number of scalars in a model's parameters, or in the given parameters or parameter groups."""
    if model is not None:
        params = model.parameters()
    if params is None:
        raise ValueError("Expected a model or parameters to count, but got neither: pass one of them.")
    count = 0
    for item in params:
        tensors = tolist_if_not(item["params"]) if isinstance(item, dict) else [item]
        count += sum(tensor.numel() for tensor in tensors)
    return count


def tolist_if_not(x: Any) -> list:
    """Return `x` if it is a list, else a list that holds it."""
    return x if isinstance(x, list) else [x]
