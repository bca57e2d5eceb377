"""Load the weights of an open_clip model from a file, and refuse files that contain anything but tensors.

Numbers of NumPy's, which training leaves in the state of an optimizer, are read over: stand-ins take their place.
"""

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
from torch import Tensor

from clip.archives import is_archive, read_archive
from clip.published import CONFIG
from dassl.errors import UserError
from dassl.utils.tensor_files import unreadable

if TYPE_CHECKING:
    from open_clip.model import CLIP, CustomTextCLIP

# Raised by readers of weights if the file is damaged or holds something else.
DAMAGED = (RuntimeError, EOFError, UnpicklingError, SafetensorError, AttributeError, StopIteration)


def _no_number(*args: Any) -> None:
    """Stand in for the function that makes a number of NumPy's."""


class _NoType:
    """Stands in for the type of a number of NumPy's."""

    def __init__(self, *args: Any):
        pass

    def __setstate__(self, state: Any) -> None:
        pass


# What makes a pickled number of NumPy's, and what is called in its place: NumPy's own functions trust their input.
STAND_INS: list[Any] = [
    (_no_number, "numpy.core.multiarray.scalar"),
    (_no_number, "numpy._core.multiarray.scalar"),
    (_NoType, "numpy.dtype"),
]
POSITIONS = ("visual.positional_embedding", "positional_embedding", "text.positional_embedding")


def load_weights(model: "CLIP | CustomTextCLIP", path: Path, config: Path) -> None:
    """Load all weights of `model`; names and shapes have to fit, except for a buffer that open_clip itself drops.

    The model takes over the tensors of the mapped file without a copy, so that memory holds the weights once. Positions
    are interpolated if the configuration asks for images or texts of another size, which one line says.

    Args:
        model: gets the weights.
        path: of the file of weights.
        config: path of the model's configuration.

    Raises:
        UserError: the file is damaged, holds something else, or does not fit the model; names it.
    """
    from open_clip import factory

    assigning = partial(type(model).load_state_dict, model, assign=True)
    try:
        tensors = read_weights(path)
        _tell_interpolation(model, tensors, path)
        with (
            patch.object(factory, "load_state_dict", lambda *args, **kwargs: tensors),
            patch.object(model, "load_state_dict", assigning),  # which load_checkpoint calls
        ):
            factory.load_checkpoint(model, str(path), strict=True)
    except DAMAGED as error:
        if "loading state_dict" in str(error):
            described = f"{CONFIG} beside it" if config.name == CONFIG else f"{config.parent.name}/{config.name}"
            raise UserError(f"Expected the weights of {path} to fit {described}, but: {one_line(error)}.") from error
        raise unreadable(path, error) from error
    model.float()  # some files are in half precision


def read_weights(path: Path) -> dict[str, Tensor]:
    """Return the tensors of a file by the names that open_clip gives them.

    Those of a checkpoint are in its "state_dict"; what else it holds, such as the state of an optimizer, is left out.
    Prefixes of parallel training are taken away. UniMed-CLIP's code calls the text tower text_encoder.

    Raises:
        UserError: the file is an archive with code that would run; see `read_archive`.
        RuntimeError, EOFError, UnpicklingError, SafetensorError, AttributeError: it is damaged or holds something else.
    """
    from safetensors.torch import load_file

    if path.suffix == ".safetensors":
        found: Any = load_file(path)
    elif is_archive(path):
        found = read_archive(path)
    else:
        with _mapped(path), torch.serialization.safe_globals(STAND_INS), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of an archive of code, which is refused
            found = torch.load(path, map_location="cpu", weights_only=True)
    if isinstance(found, Mapping) and "state_dict" in found:
        found = found["state_dict"]
    if not (isinstance(found, Mapping) and found and all(isinstance(value, Tensor) for value in found.values())):
        raise AttributeError("no dictionary of tensors")
    names = {name: name.removeprefix("module.") for name in found}
    if any(name.startswith("text_encoder.") for name in names.values()):
        names = {old: new.replace("text_encoder.", "text.", 1) for old, new in names.items()}
    return {new: found[old] for old, new in names.items()}


def _tell_interpolation(model: "CLIP | CustomTextCLIP", tensors: Mapping[str, Tensor], path: Path) -> None:
    """Print one line if a file has positions for images or texts of another size."""
    own = model.state_dict()
    for name in POSITIONS:
        if name in own and name in tensors and len(tensors[name]) != len(own[name]):
            print(f"{name} of {path} is interpolated from {len(tensors[name])} to {len(own[name])} places.")


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
