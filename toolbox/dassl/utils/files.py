"""Files and folders: atomic writing, JSON, images."""

import json
import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from PIL import Image

from dassl.errors import UserError


@contextmanager
def atomic_write(path: str | Path, mode: str = "w") -> Iterator[IO]:
    """Open a file that appears under `path` when it is complete, or not at all: a crash leaves the old one.

    Args:
        path: missing folders are made.
        mode: "w" for text (UTF-8) or "wb".
    """
    path = Path(path)
    mkdir_if_missing(path.parent)
    # In the same folder: a rename is atomic only within one file system.
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with temporary.open(mode, encoding=None if "b" in mode else "utf-8") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)  # noqa: PTH105 - the call that tests interrupt
    finally:
        temporary.unlink(missing_ok=True)


def read_json(fpath: str | Path) -> Any:
    """Read a JSON file.

    Raises:
        UserError: the file is not JSON; names it.
    """
    try:
        return json.loads(Path(fpath).read_text(encoding="utf-8"))
    except ValueError as error:
        raise UserError(f"JSON was expected in {fpath}, found something else ({error}); restore the file.") from error


def write_json(obj: Any, fpath: str | Path) -> None:
    """Write a JSON file atomically, with missing folders."""
    text = json.dumps(obj, indent=4, separators=(",", ": "))
    with atomic_write(fpath) as file:
        file.write(text)


def mkdir_if_missing(dirname: str | Path) -> None:
    """Make a folder and its parents unless they exist."""
    Path(dirname).mkdir(parents=True, exist_ok=True)


def listdir_nohidden(path: str | Path, sort: bool = False) -> list[str]:
    """Names in a folder that do not start with a dot."""
    names = [item.name for item in Path(path).iterdir() if not item.name.startswith(".")]
    return sorted(names) if sort else names


def check_isfile(fpath: str | Path) -> bool:
    """Whether `fpath` is a file; warns if not."""
    found = Path(fpath).is_file()
    if not found:
        warnings.warn(f"No file at {fpath}.", stacklevel=2)
    return found


def read_image(path: str | Path) -> Image.Image:
    """Decode an image file to RGB.

    Raises:
        UserError: there is no such file.
        UserError: the file is no image or is cut short.
    """
    try:
        with Image.open(path) as image:
            return image.convert("RGB")
    except FileNotFoundError as error:
        raise UserError(f"An image was expected at {path}, found no file; check the data folder.") from error
    except Exception as error:  # decoders raise OSError, SyntaxError, ValueError, zlib.error, ... on damaged files
        raise UserError(f"An image was expected in {path}, but it cannot be decoded ({error}); restore it.") from error
