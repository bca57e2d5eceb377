"""Explain why a file of tensors cannot be read."""

import pickle
import zipfile
from pathlib import Path

from dassl.errors import UserError

POINTER = b"version https://git-lfs"


def is_lfs_pointer(path: str | Path) -> bool:
    """Return whether a file is a pointer of Git LFS, which Git without that extension leaves in place of the file."""
    with Path(path).open("rb") as file:
        return file.read(len(POINTER)) == POINTER


def unreadable(path: str | Path, error: BaseException, what: str = "weights") -> UserError:
    """Return the error about a file of tensors that cannot be read.

    Args:
        path: an existing file of `torch.save` or of safetensors.
        error: the error that reading it raised, such as the refusal to unpickle objects other than tensors.
        what: the expected content, in the plural.
    """
    path, pickled = Path(path), isinstance(error, pickle.UnpicklingError)
    with path.open("rb") as file:
        head = file.read(1)
    lines = "no tensors" if pickled else str(error) or type(error).__name__
    reason = lines.splitlines()[0][:160].rstrip(". ")
    if not head:
        found = "it is empty: copy or download it again"
    elif is_lfs_pointer(path):
        found = "it is a Git LFS pointer and not the file itself: run `git lfs pull` in its folder"
    elif pickled and (head == b"\x80" or zipfile.is_zipfile(path)):
        found = (
            "it holds pickled objects, which are not loaded because they can run code: save its tensors alone, such as "
            "a state_dict"
        )
    elif isinstance(error, (AttributeError, StopIteration)):
        found = "it holds no dictionary of tensors: save a state_dict"
    else:
        found = f"it is damaged, cut short or another kind of file ({reason}): copy or download it again"
    return UserError(f"Expected {what} in {path}, but {found}.")
