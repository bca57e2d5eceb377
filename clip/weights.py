"""Load weights from a file, and refuse files that contain anything but tensors."""

import warnings
import zipfile
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from pathlib import Path
from pickle import UnpicklingError
from typing import TYPE_CHECKING, Any, BinaryIO
from unittest.mock import patch

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

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


def check_tensors(path: Path) -> None:
    """Raise a UserError if a file of `torch.save` holds anything but tensors, which other readers would unpickle."""
    load_tensors(path)


def read_tensors(path: Path, packed: BinaryIO | None = None) -> dict[str, Tensor]:
    """Return the tensors of a file of weights by name; the file is mapped into memory if that is possible.

    Args:
        path: the file.
        packed: its content, if `path` is an archive that holds the file.

    Raises:
        UserError: the file is damaged, or holds anything but a dictionary of tensors; names it.
    """
    tensors = load_tensors(path, packed)
    if not isinstance(tensors, dict) or not tensors or not all(isinstance(value, Tensor) for value in tensors.values()):
        raise unreadable(path, AttributeError())
    return {str(name): tensor for name, tensor in tensors.items()}


def load_tensors(path: Path, packed: BinaryIO | None = None) -> Any:
    """Return what a file of safetensors or `torch.save` holds, if that is nothing but tensors and plain values.

    Args, Raises: as for `read_tensors`; it may be one tensor, or containers of any form.
    """
    file = path if packed is None else packed
    try:
        if path.suffix == ".safetensors":
            return load_file(path)
        with _mapped(file), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of an archive of code, which is refused
            return torch.load(file, map_location="cpu", weights_only=True)
    except DAMAGED as error:
        raise unreadable(path, error) from error


def _mapped(path: Path | BinaryIO) -> AbstractContextManager:
    """Let `torch.load` map the file into memory, if this version of PyTorch and the kind of file allow it.

    Files of safetensors are always mapped.
    """
    config = getattr(getattr(torch.utils, "serialization", None), "config", None)
    is_zip = isinstance(path, Path) and zipfile.is_zipfile(path)
    return config.patch({"load.mmap": True}) if config and is_zip else nullcontext()


def one_line(error: Exception) -> str:
    """Return the message of another library's error on one line, without its full stop.

    Example:
        >>> one_line(ValueError("Expected width,\\n    but got height."))
        'Expected width, but got height'
    """
    return " ".join(str(error).split())[:600].rstrip(". ") or type(error).__name__
