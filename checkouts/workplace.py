"""Folders in which a checkout's code works: copies of its code and settings, so that its own folder stays as it is."""

import contextlib
import shutil
import tempfile
import weakref
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path

from dassl.errors import UserError
from dassl.images import SUFFIXES

# Folders at the top of a checkout that hold data and results, unless there are Python modules in them.
NO_CODE = {"data", "output", "outputs", "results", "log", "logs", "cache", "caches", "wandb", "tensorboard"}


def data_and_results(folder: Path) -> list[str]:
    """Return the names of the folders at the top of a checkout that hold data or results."""
    found = [path for path in folder.iterdir() if path.name.lower() in NO_CODE and path.is_dir()]
    return sorted(path.name for path in found if not any(path.glob("*.py")))


def copy_code(folder: Path, owner: object) -> Path:
    """Return a copy of the code and settings in a checkout, which is removed when `owner` is no longer used.

    Left out are `data_and_results`, pictures, hidden files and environments.

    Args:
        folder: of the checkout, or of a copy of it.
        owner: for which the copy is made.

    Raises:
        UserError: something cannot be read, or the copy cannot be written.
    """
    room = tempfile.mkdtemp(prefix="checkout-")
    weakref.finalize(owner, shutil.rmtree, room, ignore_errors=True)
    copy = Path(room) / folder.name
    try:
        _copy(folder, copy, data_and_results(folder))
    except OSError as error:
        raise UserError(
            f"Expected to copy the code of {folder} to {room}, but {error}: make it readable, or TMPDIR name a folder "
            "with space."
        ) from error
    return copy


def _copy(folder: Path, copy: Path, left_out: Collection[str] = ()) -> None:
    """Copy what `copy_code` does not leave out of a folder; `left_out` are further names."""
    copy.mkdir()
    for path in folder.iterdir():
        if path.name in left_out or path.name.startswith(".") or path.suffix.lower() in SUFFIXES:
            continue
        place = copy / path.name
        if path.is_dir():
            around = path.is_symlink() and folder.resolve().is_relative_to(path.resolve())
            if not (around or path.name == "__pycache__" or (path / "pyvenv.cfg").is_file()):
                _copy(path, place)
        elif path.is_file():
            shutil.copyfile(path, place)  # no link: through it, code could write into the checkout


@contextlib.contextmanager
def links(files: Mapping[str, Path]) -> Iterator[None]:
    """Put links to files into the working directory, in place of what it has there, and remove them at the end.

    Args:
        files: by their paths in the working directory, such as "clip/checkpoints/text_encoder.pth".
    """
    places = {Path(name): file for name, file in files.items()}
    for place, file in places.items():
        place.parent.mkdir(parents=True, exist_ok=True)
        place.unlink(missing_ok=True)
        place.symlink_to(file.resolve())
    try:
        yield
    finally:
        for place in places:
            place.unlink(missing_ok=True)
