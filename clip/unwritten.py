"""Building a model whose parameters are loaded right after: filling them with random numbers would be for nothing."""

from collections.abc import Callable, Sequence
from typing import Any

from torch import nn
from torch.overrides import TorchFunctionMode


class Unwritten(TorchFunctionMode):
    """Within it what would be written in place into a parameter is not: it keeps the memory that it was given, which
    the system does not even set aside before something is written.

    Buffers are filled as ever. Only for a model of which every parameter is then loaded.
    """

    def __torch_function__(
        self, func: Callable, types: Sequence[type], args: tuple = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        name, target = getattr(func, "__name__", ""), args[0] if args else kwargs.get("tensor")
        in_place = name.endswith("_") and not name.endswith("__") and name != "requires_grad_"
        return target if in_place and isinstance(target, nn.Parameter) else func(*args, **kwargs)
