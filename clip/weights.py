"""Load weights from files, and refuse files that contain anything but tensors."""

import warnings
import zipfile
from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from pathlib import Path
from pickle import UnpicklingError
from typing import TYPE_CHECKING, Any
from unittest.mock import patch

import torch
from safetensors import SafetensorError
from torch import Tensor, nn

from dassl.errors import UserError
from dassl.utils.tensor_files import unreadable

if TYPE_CHECKING:
    from open_clip.model import CLIP, CustomTextCLIP

# Raised by readers of weights if the file is damaged or holds something else; OSError by PyTorch for a short file that
# was cut, as it looks for the end of the archive before the beginning of the file.
DAMAGED = (RuntimeError, EOFError, OSError, UnpicklingError, SafetensorError, AttributeError, StopIteration)


def load_weights(model: "CLIP | CustomTextCLIP", path: Path) -> None:
    """Load all weights of `model`; names and shapes have to fit, except for a buffer that open_clip itself drops.

    The model takes over the tensors of the mapped file without a copy, so that memory holds the weights once.

    Raises:
        UserError: the file is damaged, holds something else, or does not fit the model; names it.
    """
    from open_clip.factory import load_checkpoint

    assigning = partial(type(model).load_state_dict, model, assign=True)
    try:
        with _mapped(path), patch.object(model, "load_state_dict", assigning):  # which load_checkpoint calls
            load_checkpoint(model, str(path), strict=True, weights_only=True, device="cpu")
    except DAMAGED as error:
        if "loading state_dict" in str(error):
            raise UserError(
                f"Expected the weights of {path} to fit open_clip_config.json beside it, but: {one_line(error)}."
            ) from error
        raise unreadable(path, error) from error
    model.float()  # some files are in half precision


def read_tensors(path: Path) -> Any:
    """Return what a file of `torch.save` holds: tensors, and containers of them.

    Raises:
        UserError: the file is damaged, or holds objects, which other readers would unpickle; names it.
    """
    try:
        with _mapped(path), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of an archive of code, which is refused
            return torch.load(path, map_location="cpu", weights_only=True)
    except DAMAGED as error:
        raise unreadable(path, error) from error


def check_tensors(path: Path) -> None:
    """Raise a UserError if a file of `torch.save` is damaged, or holds anything but tensors."""
    read_tensors(path)


def read_state(path: Path, *dropped: str) -> dict[str, Tensor]:
    """Return the tensors by name in a file of `torch.save`; raises as `read_tensors`.

    Args:
        path: of the file.
        dropped: names that are left out.

    Raises:
        UserError: the file holds something else; names it.
    """
    found = read_tensors(path)
    if not (isinstance(found, dict) and found and all(isinstance(value, Tensor) for value in found.values())):
        raise unreadable(path, AttributeError())
    return {name: tensor for name, tensor in found.items() if name not in dropped}


def load_state(module: nn.Module, weights: Mapping[str, Tensor], path: Path, what: str) -> None:
    """Give a module its weights, without a copy; all names and shapes have to fit.

    Args:
        module: takes over the tensors.
        weights: tensors by name.
        path: of the file that they are from.
        what: the part of the model, such as "PMC-CLIP's text tower".

    Raises:
        UserError: they do not fit; names file and weights.
    """
    try:
        module.load_state_dict(weights, assign=True)
    except RuntimeError as error:
        raise UserError(
            f"Expected {path} to hold {what} and nothing else, but: {one_line(error)}: copy or download it again."
        ) from error


def _mapped(path: Path) -> AbstractContextManager:
    """Let `torch.load` map the file into memory, if this version of PyTorch and the kind of file allow it.

    Files of safetensors are always mapped.
    """
    config = getattr(getattr(torch.utils, "serialization", None), "config", None)
    return config.patch({"load.mmap": True}) if config and zipfile.is_zipfile(path) else nullcontext()


def one_line(error: Exception) -> str:
    """Return the message of another library's error on one line, without its full stop.

    Example:
        >>> one_line(ValueError("Expected width,\\n    but got height."))
        'Expected width, but got height'
    """
    return " ".join(str(error).split())[:600].rstrip(". ") or type(error).__name__
