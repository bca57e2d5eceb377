"""Write files whole or not at all, and never through a symbolic link."""

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

from dassl.errors import DISK_ERRORS, UserError

SYSTEM_ERROR = re.compile(r"os error (\d+)")  # ends the errors of libraries in Rust, such as safetensors
PATH_ERRORS = {errno.EEXIST, errno.ENOTDIR, errno.EISDIR, errno.ENAMETOOLONG, errno.ELOOP}  # of something at the path
CUT_SHORT = ("PytorchStreamWriter", "unexpected pos", "iostream error")  # in a RuntimeError of PyTorch


@contextmanager
def writing(path: str | Path) -> Iterator[None]:
    """Turn errors of the disk inside the `with` block, of whatever library, into a `UserError` that names `path`.

    Raises:
        UserError: the disk is full, read-only or forbidden, a quota is used up, or something else lies at `path`.
    """
    try:
        yield
    except Exception as error:
        words = _disk_problem(error)
        if words is None:
            raise
        raise UserError(f"Expected to write {path}, but got: {words}: make room, or choose another folder.") from error


def _disk_problem(error: Exception) -> str | None:
    """Return what is wrong with the disk, or None if `error` has another cause."""
    if isinstance(error, OSError):
        return error.strerror if error.errno in DISK_ERRORS | PATH_ERRORS else None
    if (system := SYSTEM_ERROR.search(str(error))) and int(system[1]) in DISK_ERRORS:
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
    """Open a file for writing that replaces `path` only when it is complete: a crash leaves the old file.

    The file is written beside `path` under a random name and then renamed. A link at `path` is replaced, and its target
    stays as it is.

    Args:
        path: the file; missing folders are made.
        mode: "w" for text (UTF-8) or "wb".
        newline: as for `open`; `csv` needs "".
        within: folder that the file must lie in; no folder between the two may be a link.
        private: give only the owner access to the file and to the folders that are made.

    Raises:
        UserError: the disk is full, read-only or forbidden, or a folder has this name or is a link.
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
    """Open a new file; raise a FileExistsError if there is a file or a link."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)
    number = os.open(path, flags, 0o600 if private else 0o666)
    return os.fdopen(number, mode, encoding=None if "b" in mode else "utf-8", newline=newline)


def open_to_append(path: str | Path, private: bool = False) -> IO[bytes]:
    """Return an unbuffered file open for appending, so that each write arrives in one piece.

    Args:
        path: the file; it and missing folders are made.
        private: give only the owner access to what is made.

    Raises:
        UserError: `path` is a link or no regular file, or the disk is full, read-only or forbidden.
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
        private: give only the owner access to the folders that are made.
    """
    path = Path(path)
    if private:
        for folder in reversed([path, *path.parents]):
            if not folder.exists():
                folder.mkdir(mode=0o700, exist_ok=True)
    path.mkdir(parents=True, exist_ok=True)


def check_within(path: str | Path, folder: str | Path) -> None:
    """Raise a UserError unless `path` lies below `folder`, with no link among the folders between the two."""
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
    """Write `obj` to a JSON file by `atomic_write`."""
    text = json.dumps(obj, indent=4, separators=(",", ": "))
    with atomic_write(fpath, within=within, private=private) as file:
        file.write(text)
