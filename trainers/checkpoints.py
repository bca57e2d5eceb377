"""Checkpoint folders: `model.pth.tar-<epoch>` holding tensors, numbers and words only; Dassl's file names."""

import contextlib
import hashlib
import io
import re
from pathlib import Path

from dassl.errors import UserError
from dassl.utils import load_checkpoint, save_checkpoint


def save(state: dict, folder: Path, quiet: bool = False) -> None:
    """Write `model.pth.tar-<state["epoch"]>` atomically; `quiet` leaves out the line that says so."""
    with contextlib.redirect_stdout(io.StringIO()) if quiet else contextlib.nullcontext():
        save_checkpoint(state, str(folder), model_name="")


def epochs(folder: Path) -> set[int]:
    """The epochs that `folder` holds a checkpoint of."""
    found = (re.fullmatch(r"model\.pth\.tar-(\d+)", path.name) for path in folder.glob("model.pth.tar-*"))
    return {int(match[1]) for match in found if match}


def last_common_epoch(folders: list[Path]) -> int:
    """The last epoch that every one of `folders` holds, 0 if there is none."""
    return max(set.intersection(*map(epochs, folders)), default=0) if folders else 0


def keep_only(folder: Path, epoch: int) -> None:
    """Remove the checkpoints of other epochs."""
    for other in epochs(folder) - {epoch}:
        (folder / f"model.pth.tar-{other}").unlink()


def digest(folder: Path, epoch: int) -> str | None:
    """Digest of the file of `epoch`; None if there is none."""
    path = folder / f"model.pth.tar-{epoch}"
    return hashlib.sha256(path.read_bytes()).hexdigest()[:16] if path.is_file() else None


def load(folder: Path, epoch: int) -> dict:
    """The checkpoint of `epoch`.

    Raises:
        UserError: it is not there; says which epochs are.
    """
    path = folder / f"model.pth.tar-{epoch}"
    if not path.is_file():
        found = sorted(epochs(folder))
        raise UserError(
            f"Expected the checkpoint {path}, but {f'only epochs {found} are there' if found else 'there is none'}: "
            "train first, or name another --model-dir or --load-epoch."
        )
    return load_checkpoint(str(path))
