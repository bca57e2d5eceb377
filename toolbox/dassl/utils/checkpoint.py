"""Checkpoints of plain tensors, numbers and strings, written atomically and read without unpickling objects.

A folder of checkpoints holds `model.pth.tar-<epoch>` for each saved epoch, `model-best.pth.tar`, and a text file
`checkpoint` with the name of the newest one.
"""

import pickle
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from dassl.console import printable, tell
from dassl.errors import UserError
from dassl.reading import read_text
from dassl.writing import atomic_write

from .tensor_files import unreadable

BEST = "model-best.pth.tar"
POINTER = "checkpoint"


def save_checkpoint(
    state: Mapping[str, Any],
    save_dir: str | Path,
    is_best: bool = False,
    remove_module_from_keys: bool = True,
    model_name: str = "",
) -> None:
    """Write a checkpoint, and then its name into the file `checkpoint`.

    Args:
        state: "state_dict", "epoch" (number of epochs done) and other plain values, such as the optimiser's state.
        save_dir: the model's folder.
        is_best: also write the checkpoint as `model-best.pth.tar`.
        remove_module_from_keys: remove the prefix "module." that `nn.DataParallel` adds.
        model_name: file name; "" means `model.pth.tar-<epoch>`.

    Raises:
        TypeError: `state` holds something other than tensors, numbers, strings and containers of them.
    """
    plain = _plain(state)
    if remove_module_from_keys:
        plain["state_dict"] = _without_module(plain["state_dict"])
    path = Path(save_dir) / (model_name or f"model.pth.tar-{plain['epoch']}")
    _write(plain, path)
    print(f"Checkpoint saved to {path}")
    with atomic_write(path.with_name(POINTER)) as file:
        file.write(f"{path.name}\n")
    if is_best:
        _write(plain, path.with_name(BEST))
        print(f"Best checkpoint saved to {path.with_name(BEST)}")


def load_checkpoint(fpath: str | Path) -> dict[str, Any]:
    """Read a checkpoint onto the CPU.

    Raises:
        UserError: there is no such file, or it is damaged or holds pickled objects.
    """
    if fpath is None:
        raise UserError("Expected the path of a checkpoint, but got None: give the path.")
    if not Path(fpath).is_file():
        raise UserError(f"Expected a checkpoint at {fpath}, but there is no file: check the folder and the epoch.")
    try:
        return torch.load(fpath, map_location="cpu", weights_only=True)
    except PermissionError:
        raise
    except (pickle.UnpicklingError, RuntimeError, EOFError, OSError) as error:
        raise unreadable(fpath, error, "tensors, numbers and strings of a checkpoint") from error


def resume_from_checkpoint(fdir: str | Path, model: nn.Module, optimizer: Any = None, scheduler: Any = None) -> int:
    """Load the newest checkpoint of a folder into a model and, if given, its optimiser and scheduler.

    Returns:
        The number of epochs done, which is the number of the next epoch.
    """
    path = Path(fdir) / newest_checkpoint(fdir)
    print(f'Loading checkpoint from "{path}"')
    checkpoint = load_checkpoint(path)
    model.load_state_dict(checkpoint["state_dict"])
    print("Loaded model weights")
    for key, target in (("optimizer", optimizer), ("scheduler", scheduler)):
        if target is not None and checkpoint.get(key) is not None:
            target.load_state_dict(checkpoint[key])
            print(f"Loaded {key}")
    print(f"Previous epoch: {checkpoint['epoch']}")
    return checkpoint["epoch"]


def newest_checkpoint(fdir: str | Path) -> str:
    """Return the file name in the file `checkpoint` of a folder.

    Raises:
        UserError: it is the name of a file in another folder.
    """
    path = Path(fdir) / POINTER
    name = read_text(path, limit=4096).split("\n")[0]
    if name in ("", "..") or Path(name).name != name:
        raise UserError(f'Expected {path} to name a file beside it, but got "{printable(name)}": remove it.')
    return name


def load_pretrained_weights(model: nn.Module, weight_path: str | Path) -> None:
    """Load the tensors of a checkpoint that have the name and shape of one of the model's; print the others."""
    checkpoint = load_checkpoint(weight_path)
    weights = _without_module(checkpoint.get("state_dict", checkpoint))
    own = model.state_dict()
    matched = {name: w for name, w in weights.items() if name in own and own[name].shape == w.shape}
    if not matched:
        warnings.warn(f"Nothing in {weight_path} fits the model: no name and shape in common.", stacklevel=2)
        return
    model.load_state_dict({**own, **matched})
    print(f"Successfully loaded pretrained weights from {weight_path}")
    discarded = [name for name in weights if name not in matched]
    if discarded:
        tell(f"Layers discarded due to unmatched keys or size: {discarded}")


def _write(state: dict[str, Any], path: Path) -> None:
    with atomic_write(path, "wb") as file:
        torch.save(state, file)


def _without_module(state_dict: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {name.removeprefix("module."): tensor for name, tensor in state_dict.items()}


def _plain(value: Any, where: str = "state") -> Any:
    """Return a copy of `value` on the CPU that `torch.load(weights_only=True)` accepts."""
    if isinstance(value, np.generic):  # first, because np.float64 is a float
        return value.item()
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    if isinstance(value, np.ndarray):
        return torch.from_numpy(value.copy())
    if isinstance(value, Tensor):
        return value.detach().cpu().clone()  # a clone, because a view is saved with its whole storage
    if isinstance(value, Mapping):
        return {key: _plain(item, f"{where}[{key!r}]") for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        items = [_plain(item, f"{where}[{i}]") for i, item in enumerate(value)]
        return items if isinstance(value, list) else tuple(items)
    raise TypeError(
        f"Expected tensors, numbers and strings in a checkpoint, but got {type(value).__name__} in {where}: store its "
        "numbers instead."
    )
