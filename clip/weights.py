"""Load the weights of an open_clip model from a file, and refuse files that contain anything but tensors."""

import warnings
import zipfile
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from pathlib import Path
from pickle import UnpicklingError
from typing import TYPE_CHECKING
from unittest.mock import patch

import torch
from safetensors import SafetensorError

from dassl.errors import UserError
from dassl.utils.tensor_files import unreadable

if TYPE_CHECKING:
    from open_clip.model import CLIP, CustomTextCLIP

# Raised by readers of weights if the file is damaged or holds something else.
DAMAGED = (RuntimeError, EOFError, UnpicklingError, SafetensorError, AttributeError, StopIteration)


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


def read_tensors(path: Path) -> dict[str, torch.Tensor]:
    """Return the tensors of a file of weights by name; the file is mapped into memory.

    Raises:
        UserError: the file is damaged, or holds anything but tensors; names it.
    """
    from safetensors.torch import load_file

    try:
        with _mapped(path):
            is_safe = path.suffix == ".safetensors"
            found = load_file(path) if is_safe else torch.load(path, map_location="cpu", weights_only=True)
        if not (found and all(isinstance(tensor, torch.Tensor) for tensor in found.values())):
            raise AttributeError("no tensors")
    except DAMAGED as error:
        raise unreadable(path, error) from error
    return found


def check_tensors(path: Path) -> None:
    """Raise a UserError if a file of `torch.save` holds anything but tensors, which other readers would unpickle."""
    try:
        with _mapped(path), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of an archive of code, which is refused
            torch.load(path, map_location="cpu", weights_only=True)
    except DAMAGED as error:
        raise unreadable(path, error) from error


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
