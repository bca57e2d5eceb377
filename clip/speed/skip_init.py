"""Build a model without initial values, because its weights are loaded right afterwards."""

from collections.abc import Callable, Sequence
from typing import Any

from torch import nn
from torch.overrides import TorchFunctionMode


class SkipInit(TorchFunctionMode):
    """Skip in-place writes to `nn.Parameter`s, so that initial values cost neither time nor memory.

    Use it only if every parameter is loaded afterwards; buffers are initialised as usual.
    """

    def __torch_function__(
        self, func: Callable, types: Sequence[type], args: tuple = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        """Call `func`, unless it would write into a parameter; then return the parameter as it is."""
        kwargs = kwargs or {}
        name, target = getattr(func, "__name__", ""), args[0] if args else kwargs.get("tensor")
        in_place = name.endswith("_") and not name.endswith("__") and name != "requires_grad_"
        return target if in_place and isinstance(target, nn.Parameter) else func(*args, **kwargs)
