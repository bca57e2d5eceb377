"""Read tensors from files, and refuse files that contain anything else.

Numbers of NumPy's, which training leaves in the state of an optimizer, are read over: stand-ins take their place.
"""

import warnings
import zipfile
from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from pickle import UnpicklingError
from typing import Any, BinaryIO

import torch
from safetensors import SafetensorError
from torch import Tensor

from dassl.errors import UserError
from dassl.utils.tensor_files import unreadable

# Raised by readers of weights if the file is damaged or holds something else; OSError by PyTorch for a short file that
# was cut, as it looks for the end of the archive before the beginning of the file.
DAMAGED = (RuntimeError, EOFError, OSError, UnpicklingError, SafetensorError, AttributeError, StopIteration)


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


def read_tensors(path: Path, packed: BinaryIO | None = None) -> dict[str, Tensor]:
    """Return the tensors of a file of `torch.save` or safetensors by name; the file is mapped into memory if possible.

    Args:
        path: the file.
        packed: its content, if `path` is an archive that holds the file.

    Raises:
        UserError: the file is damaged, or holds anything but a dictionary of whole tensors; names it.
    """
    return as_tensors(read_plain(path, packed), path)


def as_tensors(found: Any, path: Path) -> dict[str, Tensor]:
    """Return what a file holds as tensors by name; raise a UserError unless it is a dictionary of whole tensors."""
    if not (isinstance(found, Mapping) and found and all(isinstance(value, Tensor) for value in found.values())):
        raise unreadable(path, AttributeError())
    tensors = {str(name): tensor for name, tensor in found.items()}
    check_held(tensors, path)
    return tensors


def check_held(tensors: Mapping[str, Tensor], path: Path) -> None:
    """Raise a UserError if the file does not hold all numbers of a tensor.

    A small file can tell of a huge tensor whose numbers are all at one place; a copy of it would fill the memory.
    """
    for name, tensor in tensors.items():
        if tensor.layout != torch.strided or tensor.nbytes > tensor.untyped_storage().nbytes():
            raise UserError(
                f"Expected all numbers of {name[:80]} {list(tensor.shape)} in {path}, but the file has less of them: "
                "download it again."
            )


def read_plain(path: Path, packed: BinaryIO | None = None, numbers: bool = True) -> Any:
    """Return what a file of `torch.save` or safetensors holds: tensors, plain values, and containers of them.

    Args:
        path, packed: as for `read_tensors`.
        numbers: whether numbers of NumPy's are read over; otherwise they count as objects.

    Raises:
        UserError: the file is damaged, or holds objects, which other readers would unpickle; names it.
    """
    from safetensors.torch import load_file

    try:
        if path.suffix == ".safetensors":
            return load_file(path)
        known = torch.serialization.safe_globals(STAND_INS if numbers else [])
        with _mapped(path, packed), known, warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of an archive of code, which is refused
            return torch.load(path if packed is None else packed, map_location="cpu", weights_only=True)
    except DAMAGED as error:
        raise unreadable(path, error) from error


def check_tensors(path: Path) -> None:
    """Raise a UserError if a file is damaged, or holds objects, which other readers would unpickle."""
    read_plain(path, numbers=False)


def _mapped(path: Path, packed: BinaryIO | None) -> AbstractContextManager:
    """Let `torch.load` map the file into memory, if this version of PyTorch and the kind of file allow it."""
    config = getattr(getattr(torch.utils, "serialization", None), "config", None)
    is_zip = packed is None and zipfile.is_zipfile(path)
    return config.patch({"load.mmap": True}) if config and is_zip else nullcontext()


def one_line(error: Exception) -> str:
    """Return the message of another library's error on one line, without its full stop.

    Example:
        >>> one_line(ValueError("Expected width,\\n    but got height."))
        'Expected width, but got height'
    """
    return " ".join(str(error).split())[:600].rstrip(". ") or type(error).__name__
