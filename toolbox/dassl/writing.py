"""Every file that is written: whole or not at all, never through a link, by a name that nobody can guess."""

import errno
import json
import os
import re
import secrets
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from dassl.errors import SURROUNDINGS, UserError

SYSTEM_ERROR = re.compile(r"os error (\d+)")  # how libraries in Rust, such as safetensors, end their words
IN_THE_WAY = {errno.EEXIST, errno.ENOTDIR, errno.EISDIR, errno.ENAMETOOLONG, errno.ELOOP}  # what lies at the path
CUT_SHORT = ("PytorchStreamWriter", "unexpected pos", "iostream error")  # PyTorch, in a RuntimeError


@contextmanager
def writing(path: str | Path) -> Iterator[None]:
    """Name `path` and the way out if what is done within fails for lack of room or rights, whoever was writing.

    Raises:
        UserError: the disk is full, read-only or forbidden, a quota is used up, or something else lies there.
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
        return error.strerror if error.errno in SURROUNDINGS | IN_THE_WAY else None
    if (system := SYSTEM_ERROR.search(str(error))) and int(system[1]) in SURROUNDINGS:
        return os.strerror(int(system[1]))
    if isinstance(error, RuntimeError) and any(words in str(error) for words in CUT_SHORT):
        return "a file that was cut short (is the disk full?)"
    return None


@contextmanager
def atomic_write(
    path: str | Path,
    mode: str = "w",
    newline: str | None = None,
    within: str | Path | None = None,
    private: bool = False,
) -> Iterator[IO]:
    """Open a file that appears under `path` when it is complete, or not at all: a crash leaves the old one.

    It is written beside `path` under a random name and then renamed, so that a link that lies at `path` is replaced,
    and what it leads to stays as it is.

    Args:
        path: missing folders are made.
        mode: "w" for text (UTF-8) or "wb".
        newline: as `open` has it; `csv` wants "".
        within: folder that the file must lie in; below it no folder may be a link to elsewhere.
        private: only the owner may read it, and the folders that are made for it.

    Raises:
        UserError: the disk is full, read-only or forbidden, a folder has this name or is a link; names `path`.
    """
    path = Path(path)
    if within is not None:
        check_within(path, within)
    if path.is_dir() and not path.is_symlink():
        raise UserError(f"Expected to write the file {path}, but there is a folder of that name: move it away.")
    # In the same folder, since a rename is atomic only within one file system.
    temporary = path.with_name(f".{secrets.token_hex(8)}.tmp")
    with writing(path):
        make_folder(path.parent, private)
        try:
            with _new(temporary, mode, newline, private) as file:
                yield file
                file.flush()
                os.fsync(file.fileno())
            os.replace(temporary, path)  # noqa: PTH105 - the call that tests interrupt
        finally:
            temporary.unlink(missing_ok=True)


def _new(path: Path, mode: str, newline: str | None, private: bool) -> IO:
    """A file that was not there, not even as a link."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)
    number = os.open(path, flags, 0o600 if private else 0o666)
    return os.fdopen(number, mode, encoding=None if "b" in mode else "utf-8", newline=newline)


def open_to_append(path: str | Path, private: bool = False) -> IO[bytes]:
    """Return a file open for appending, each write in one piece; missing folders are made.

    Args:
        path: made if it is not there.
        private: only the owner may read it, and the folders that are made for it.

    Raises:
        UserError: it is a link or no regular file, or the disk is full, read-only or forbidden; names `path`.
    """
    path = Path(path)
    with writing(path):
        make_folder(path.parent, private)
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_NOFOLLOW", 0)
        try:
            number = os.open(path, flags | getattr(os, "O_BINARY", 0), 0o600 if private else 0o666)
        except OSError as error:
            if path.is_symlink() or (path.exists() and not path.is_file()):
                raise UserError(
                    f"Expected to append to the file {path}, but it is a link or no file: remove it, or choose another "
                    "folder."
                ) from error
            raise
        if not stat.S_ISREG(os.fstat(number).st_mode):
            os.close(number)
            raise UserError(f"Expected to append to the file {path}, but it is no file: remove it.")
        return os.fdopen(number, "ab", buffering=0)


def make_folder(path: str | Path, private: bool = False) -> None:
    """Make a folder and its parents unless they exist.

    Args:
        path: the folder.
        private: only the owner may enter what is made.
    """
    path = Path(path)
    if private:
        for folder in reversed([path, *path.parents]):
            if not folder.exists():
                folder.mkdir(mode=0o700, exist_ok=True)
    path.mkdir(parents=True, exist_ok=True)


def check_within(path: str | Path, folder: str | Path) -> None:
    """Raise a UserError unless `path` lies in `folder`, with no link among the folders between the two."""
    folder, path = Path(os.path.abspath(folder)), Path(os.path.abspath(path))  # noqa: PTH100 - links are not followed
    if folder not in path.parents:
        raise UserError(f"Expected to write below {folder}, but the file would be {path}: correct its name.")
    for parent in path.parents:
        if parent == folder:
            return
        if parent.is_symlink():
            raise UserError(
                f"Expected to write below {folder}, but {parent} is a link to elsewhere: remove the link, or write to "
                "another folder."
            )


def write_json(obj: Any, fpath: str | Path, private: bool = False, within: str | Path | None = None) -> None:
    """Write a JSON file as `atomic_write` does."""
    text = json.dumps(obj, indent=4, separators=(",", ": "))
    with atomic_write(fpath, within=within, private=private) as file:
        file.write(text)
