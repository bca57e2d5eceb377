"""Files and folders: atomic writing, JSON."""

import json
import os
import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from dassl.errors import SURROUNDINGS, UserError

SYSTEM_ERROR = re.compile(r"os error (\d+)")  # how libraries in Rust, such as safetensors, end their words
CUT_SHORT = ("PytorchStreamWriter", "unexpected pos", "iostream error")  # PyTorch, in a RuntimeError


@contextmanager
def writing(path: str | Path) -> Iterator[None]:
    """Name `path` and the way out if what is done within fails for lack of room or rights, whoever was writing.

    Raises:
        UserError: the disk is full, read-only or forbidden, or a quota is used up.
    """
    try:
        yield
    except Exception as error:
        words = _about_the_disk(error)
        if words is None:
            raise
        raise UserError(f"Expected to write {path}, but got: {words}: make room, or choose another folder.") from error


def _about_the_disk(error: Exception) -> str | None:
    """What is wrong with the disk, or None if `error` is about something else."""
    if isinstance(error, OSError):
        return error.strerror if error.errno in SURROUNDINGS else None
    if (system := SYSTEM_ERROR.search(str(error))) and int(system[1]) in SURROUNDINGS:
        return os.strerror(int(system[1]))
    if isinstance(error, RuntimeError) and any(words in str(error) for words in CUT_SHORT):
        return "a file that was cut short (is the disk full?)"
    return None


@contextmanager
def atomic_write(path: str | Path, mode: str = "w", newline: str | None = None) -> Iterator[IO]:
    """Open a file that appears under `path` when it is complete, or not at all: a crash leaves the old one.

    Args:
        path: missing folders are made.
        mode: "w" for text (UTF-8) or "wb".
        newline: as `open` has it; `csv` wants "".

    Raises:
        UserError: the disk is full, read-only or forbidden; names `path`.
    """
    path = Path(path)
    # In the same folder: a rename is atomic only within one file system.
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    with writing(path):
        mkdir_if_missing(path.parent)
        try:
            with temporary.open(mode, encoding=None if "b" in mode else "utf-8", newline=newline) as file:
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
