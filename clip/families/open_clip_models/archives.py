"""Read the weights in the archives of OpenAI's own code: TorchScript, which holds code beside tensors."""

import warnings
import zipfile
from hashlib import file_digest
from pathlib import Path

import torch
from torch import Tensor

from clip.families.open_clip_models.published import ARCHIVES
from dassl.console import tell
from dassl.errors import UserError

SIZES = ("input_resolution", "context_length", "vocab_size")  # entries that are no weights
RUN_AT_LOAD = b"__setstate__"  # method of a class in an archive that is called when it is loaded


def is_archive(path: Path) -> bool:
    """Return whether a file has the name of one of OpenAI's archives, and holds code as they do."""
    return path.name in ARCHIVES and zipfile.is_zipfile(path) and bool(_code(_reader(path)))


def read_archive(path: Path) -> dict[str, Tensor]:
    """Return the tensors of an archive by name; none of its code is run.

    The file is known by its SHA256; one line says so if it is not the one that OpenAI published.

    Args:
        path: of an `is_archive`.

    Raises:
        UserError: a class in it has code that would run when it is loaded.
        RuntimeError: the file is damaged.
    """
    reader = _reader(path)
    if any(RUN_AT_LOAD in reader.get_record(name) for name in _code(reader)):
        raise UserError(
            f"Expected weights in {path}, but a class in it defines {RUN_AT_LOAD.decode()}, code that runs when the "
            "archive is loaded: download OpenAI's own file."
        )
    with path.open("rb") as file:
        if file_digest(file, "sha256").hexdigest() != ARCHIVES[path.name]:
            tell(f"{path} is not the file that OpenAI published under this name: its SHA256 differs.")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # torch.jit is deprecated, and the archives are what they are
        tensors = torch.jit.load(path, map_location="cpu").state_dict()
    return {name: tensor for name, tensor in tensors.items() if name not in SIZES}


def _reader(path: Path) -> torch._C.PyTorchFileReader:
    """Return the reader by which `torch.jit.load` reads too, so that both see the same members."""
    return torch._C.PyTorchFileReader(str(path))


def _code(reader: torch._C.PyTorchFileReader) -> list[str]:
    """Return the names of the members that hold code."""
    return [name for name in reader.get_all_records() if name.startswith("code/")]
