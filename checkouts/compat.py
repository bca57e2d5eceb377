"""What code of another checkout takes for granted: a GPU, and libraries of its day."""

import contextlib
from collections.abc import Iterator
from typing import Any
from unittest.mock import patch

import torch
from torch.overrides import TorchFunctionMode


class _NoGpu(TorchFunctionMode):
    def __torch_function__(self, func: Any, types: Any, args: tuple = (), kwargs: dict | None = None) -> Any:
        if func is torch.Tensor.cuda:  # nn.Module.cuda() comes here too, a parameter at a time
            return args[0]
        return func(*map(_on_cpu, args), **{key: _on_cpu(value) for key, value in (kwargs or {}).items()})


def _on_cpu(value: Any) -> Any:
    named = isinstance(value, (str, torch.device)) and str(value).partition(":")[0] == "cuda"
    return torch.device("cpu") if named else value


@contextlib.contextmanager
def cpu_only() -> Iterator[None]:
    """While this lasts `x.cuda()`, `x.to("cuda")` and `device="cuda"` mean the CPU, and there is no GPU to be found."""
    with patch.multiple(torch.cuda, is_available=lambda: False, device_count=lambda: 0), _NoGpu():
        yield


@contextlib.contextmanager
def one_gpu() -> Iterator[None]:
    """While this lasts there is one GPU to be found: code that sees more spreads over them, and our draws do not."""
    with patch.object(torch.cuda, "device_count", lambda: 1):
        yield


@contextlib.contextmanager
def older_transformers() -> Iterator[None]:
    """While this lasts tokenizers have the method that transformers 5 removed and open_clip before 3 calls."""
    from transformers import PreTrainedTokenizerBase as Tokenizer

    own = getattr(Tokenizer, "batch_encode_plus", Tokenizer.__call__)  # that of transformers 4 stays
    with patch.object(Tokenizer, "batch_encode_plus", own, create=True):
        yield
