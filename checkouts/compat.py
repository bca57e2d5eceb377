"""Context managers that give the code of another checkout what it expects: a GPU, and older libraries."""

import contextlib
from collections.abc import Iterator
from typing import Any
from unittest.mock import patch

import torch
from torch.overrides import TorchFunctionMode


class _NoGpu(TorchFunctionMode):
    """Replaces a GPU by the CPU in the arguments of all PyTorch functions."""

    def __torch_function__(self, func: Any, types: Any, args: tuple = (), kwargs: dict | None = None) -> Any:
        if func is torch.Tensor.cuda:  # nn.Module.cuda() calls it for each parameter
            return args[0]
        return func(*map(_on_cpu, args), **{key: _on_cpu(value) for key, value in (kwargs or {}).items()})


def _on_cpu(value: Any) -> Any:
    """Return the CPU if `value` names a GPU, else `value`."""
    named = isinstance(value, (str, torch.device)) and str(value).partition(":")[0] == "cuda"
    return torch.device("cpu") if named else value


@contextlib.contextmanager
def cpu_only() -> Iterator[None]:
    """Make `x.cuda()`, `x.to("cuda")` and `device="cuda"` use the CPU, and let PyTorch find no GPU."""
    with patch.multiple(torch.cuda, is_available=lambda: False, device_count=lambda: 0), _NoGpu():
        yield


@contextlib.contextmanager
def one_gpu() -> Iterator[None]:
    """Let PyTorch find one GPU only, because code that finds several spreads over them, which changes random draws."""
    with patch.object(torch.cuda, "device_count", lambda: 1):
        yield


@contextlib.contextmanager
def older_transformers() -> Iterator[None]:
    """Give tokenizers the method `batch_encode_plus`, which transformers 5 removed and open_clip before 3 calls."""
    from transformers import PreTrainedTokenizerBase as Tokenizer

    own = getattr(Tokenizer, "batch_encode_plus", Tokenizer.__call__)  # transformers 4 has it
    with patch.object(Tokenizer, "batch_encode_plus", own, create=True):
        yield
