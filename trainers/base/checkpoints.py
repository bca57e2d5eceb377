"""Folders of checkpoints: files `model.pth.tar-<epoch>`, as Dassl names them, of tensors, numbers and strings."""

import contextlib
import hashlib
import io
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from torch import Tensor

from dassl.errors import UserError
from dassl.utils import load_checkpoint, save_checkpoint


def save(state: dict, folder: Path, quiet: bool = False) -> None:
    """Write `model.pth.tar-<state["epoch"]>` atomically; `quiet` leaves out the line in the log."""
    with contextlib.redirect_stdout(io.StringIO()) if quiet else contextlib.nullcontext():
        save_checkpoint(state, str(folder), model_name="")


def epochs(folder: Path) -> set[int]:
    """Return the epochs of the checkpoints in `folder`."""
    found = (re.fullmatch(r"model\.pth\.tar-(\d{1,9})", path.name) for path in folder.glob("model.pth.tar-*"))
    return {int(match[1]) for match in found if match}


def last_common_epoch(folders: list[Path]) -> int:
    """Return the last epoch that all `folders` have a checkpoint of, 0 if there is none."""
    return max(set.intersection(*map(epochs, folders)), default=0) if folders else 0


def keep_only(folder: Path, epoch: int) -> None:
    """Remove all checkpoints in `folder` but that of `epoch`."""
    for other in epochs(folder) - {epoch}:
        (folder / f"model.pth.tar-{other}").unlink()


def newest(folder: Path, epoch: int | None = None) -> Path | None:
    """Return the checkpoint to load from `folder`: of `epoch` if given, else the best, else the last; None if none."""
    names = (
        [f"model.pth.tar-{epoch}"]
        if epoch
        else ["model-best.pth.tar", f"model.pth.tar-{max(epochs(folder), default=0)}"]
    )
    return next((folder / name for name in names if (folder / name).is_file()), None)


def digest(path: Path | None) -> str | None:
    """Return 16 hex digits that identify the content of a checkpoint; None for no file."""
    return hashlib.sha256(path.read_bytes()).hexdigest()[:16] if path else None


def load(folder: Path, epoch: int) -> dict:
    """Return the checkpoint of `epoch`.

    Raises:
        UserError: there is no such file, or it is damaged or not the checkpoint of a run.
    """
    path = folder / f"model.pth.tar-{epoch}"
    if not path.is_file():
        if found := sorted(epochs(folder)):
            raise UserError(
                f"Expected the checkpoint {path}, but only epochs {found} are there: name another --load-epoch."
            )
        raise UserError(
            f"Expected what a run has learned in {folder.parent}, but {folder.name}/ there has no checkpoint: train "
            "first, or name another --model-dir."
        )
    state = load_checkpoint(path)
    if problem := _problem(state):
        raise UserError(f"Expected the checkpoint of a run in {path}, but {problem}: train again.")
    return state


def _problem(state: Any) -> str | None:
    """Return what is wrong with the content of a checkpoint, None if nothing is."""
    if not isinstance(state, dict):
        return f"it holds a {type(state).__name__}"
    kinds: dict[str, type] = {"state_dict": dict, "epoch": int, "classnames": list, "backbone": str, "hashes": dict}
    for key, kind in kinds.items():
        if not isinstance(state.get(key, kind()), kind) or (key not in state and key != "hashes"):
            return f'its "{key}" is no {kind.__name__}'
    tensors = state["state_dict"].values()
    return None if all(isinstance(value, Tensor) for value in tensors) else 'its "state_dict" holds other than tensors'


@contextlib.contextmanager
def checked_fit(folder: Path) -> Iterator[None]:
    """Turn errors of loading the state from `folder` into a module or an optimizer into a UserError.

    Raises:
        UserError: names, shapes or types of the state differ from those expected.
    """
    try:
        yield
    except (RuntimeError, KeyError, ValueError, TypeError, IndexError, AttributeError) as error:
        if isinstance(error, UserError):
            raise
        words = " ".join(str(error).split())[:300]
        raise UserError(
            f"Expected the state of a run like this one in {folder}, but it does not fit ({words}): remove the folder "
            "to begin again."
        ) from error
