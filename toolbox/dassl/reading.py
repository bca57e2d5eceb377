"""Files that others may have written: read whole if they are regular files of a stated size, else named in an error."""

import codecs
import json
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

import yaml

from dassl.errors import UserError

MB = 1024 * 1024
LIMIT = 64 * MB
YAML_LIMIT = MB // 4  # which takes PyYAML seconds
DIGITS = 1000  # of a whole number in a yaml file; in hexadecimals, more could not be shown
NODES = 100_000  # of a yaml file, each alias counted as what it stands for
MARKS = (  # UTF-32 before UTF-16, whose mark begins like it
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
KINDS = {stat.S_IFDIR: "a folder", stat.S_IFIFO: "a named pipe", stat.S_IFSOCK: "a socket"}


def read_bytes(
    path: str | Path, limit: int = LIMIT, last: bool = False, links: bool = True, first: bool = False
) -> bytes:
    """Return the content of a regular file; raises as `open_bytes`.

    Args:
        path: the file.
        limit: the most bytes that are read.
        last: of a longer file return the last `limit` bytes instead of raising.
        links: follow a symbolic link; for files of others say False.
        first: of a longer file return the first `limit` bytes instead of raising.
    """
    with open_bytes(path, None if last or first else limit, links) as file:
        if last and os.fstat(file.fileno()).st_size > limit:
            file.seek(-limit, os.SEEK_END)
        content = file.read(limit + 1)
    if len(content) > limit and not (last or first):  # it has grown
        raise _too_large(path, limit)
    return content[:limit]


@contextmanager
def open_bytes(path: str | Path, limit: int | None = LIMIT, links: bool = True) -> Iterator[BinaryIO]:
    """Open a regular file to read its bytes.

    Args:
        path: the file.
        limit: the most bytes that it may hold; None for any number.
        links: follow a symbolic link; for files of others say False.

    Raises:
        FileNotFoundError: there is none.
        UserError: it is a folder, a pipe, a device, a link that must not be followed, or larger than `limit`.
    """
    try:
        # Not blocking, so that a pipe without a writer is found to be one.
        number = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | (0 if links else _nofollow(path)))
    except FileNotFoundError:
        raise
    except OSError as error:
        words = "is a symbolic link" if Path(path).is_symlink() and not links else f"gives: {error.strerror}"
        raise UserError(f"Expected a readable file at {path}, but it {words}: put the file itself there.") from error
    try:
        status = os.fstat(number)
        if not stat.S_ISREG(status.st_mode):
            kind = KINDS.get(stat.S_IFMT(status.st_mode), "a device")
            raise UserError(f"Expected a file at {path}, but it is {kind}: put the file itself there.")
        if limit is not None and status.st_size > limit:
            raise _too_large(path, limit)
    except BaseException:
        os.close(number)
        raise
    with os.fdopen(number, "rb") as file:
        yield file


def _too_large(path: str | Path, limit: int) -> UserError:
    return UserError(f"Expected at most {_size(limit)} in {path}, but it holds more: is it the right file?")


def read_text(
    path: str | Path,
    limit: int = LIMIT,
    last: bool = False,
    links: bool = True,
    strict: bool = True,
    first: bool = False,
) -> str:
    """Return the text of a file: UTF-8, or what its byte order mark says; raises as `read_bytes`.

    Args:
        path, limit, last, links, first: as for `read_bytes`.
        strict: raise where it is no text; otherwise a replacement character stands for each broken byte.

    Raises:
        UserError: it is not UTF-8; names the place.
    """
    content = read_bytes(path, limit, last, links, first)
    encoding = next((name for mark, name in MARKS if content.startswith(mark)), "utf-8-sig")
    try:
        return content.decode(encoding, "strict" if strict else "replace")
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        raise UserError(
            f"Expected UTF-8 text in {path}, but line {line} has a byte that is none "
            f"(0x{content[error.start]:02x}): save it as UTF-8."
        ) from error


def read_json(fpath: str | Path, limit: int = LIMIT, links: bool = True) -> Any:
    """Return what a JSON file holds; raises as `read_text`.

    Raises:
        UserError: the file is not JSON, or nested too deep; names it.
    """
    try:
        return json.loads(read_text(fpath, limit, links=links))
    except UserError:
        raise
    except (ValueError, RecursionError) as error:
        words = "brackets too deep" if isinstance(error, RecursionError) else f"something else ({error})"
        raise UserError(f"Expected JSON in {fpath}, but got {words}: restore the file.") from error


def read_yaml(path: str | Path, links: bool = True, limit: int = YAML_LIMIT) -> Any:
    """Return what a yaml file of plain values holds; nothing in it is made into an object. Raises as `read_text`.

    Raises:
        UserError: it is larger than `limit` (256 kB), no yaml, or its aliases stand for too much; names it.
    """
    text = read_text(path, limit, links=links)
    try:
        loader = yaml.SafeLoader(text)
        node = loader.get_single_node()
        if node is None:
            return None
        _count(node, {})
        return loader.construct_document(node)
    except (yaml.YAMLError, ValueError, RecursionError, MemoryError, TypeError) as error:
        words = " ".join(str(error).split()) or "it is nested too deep"
        raise UserError(f"Expected yaml of plain values in {path}, but: {words.rstrip('.')}.") from error


def _count(node: yaml.Node, counted: dict[int, int]) -> int:
    """How many nodes the document has once every alias is written out."""
    if isinstance(node, yaml.ScalarNode):
        if node.tag == "tag:yaml.org,2002:int" and len(node.value) > DIGITS:
            raise ValueError(f"it has a number of more than {DIGITS:,} digits")
        return 1
    if id(node) not in counted:
        counted[id(node)] = NODES  # stands while its own parts are counted: a node within itself has no end
        parts = [part for pair in node.value for part in (pair if isinstance(pair, tuple) else [pair])]
        counted[id(node)] = 1 + sum(_count(part, counted) for part in parts)
    if counted[id(node)] >= NODES:
        raise ValueError(f"it has more than {NODES:,} values, with what its aliases stand for")
    return counted[id(node)]


def _nofollow(path: str | Path) -> int:
    """The flag by which the system refuses a link; where it has none, such as on Windows, look first."""
    if not hasattr(os, "O_NOFOLLOW") and Path(path).is_symlink():
        raise OSError("it is a symbolic link")
    return getattr(os, "O_NOFOLLOW", 0)


def _size(number: int) -> str:
    return f"{number / MB:.0f} MB" if number >= MB else f"{number:,} bytes"
