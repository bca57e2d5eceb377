"""Read files that others may have written: only regular files of limited size, with errors that name the file."""

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
YAML_LIMIT = MB // 4  # PyYAML takes seconds to read it
DIGITS = 1000  # of a whole number in a yaml file: Python refuses to print a longer hexadecimal number in decimals
NODES = 100_000  # of a yaml file, with each alias counted as often as it is used
MARKS = (  # UTF-32 before UTF-16, whose mark is the beginning of that of UTF-32
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
        limit: the largest number of bytes.
        last: return the last `limit` bytes of a longer file instead of raising.
        links: follow a symbolic link; False for files that others may have written.
        first: return the first `limit` bytes of a longer file instead of raising.
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
        limit: the largest number of bytes that the file may hold; None for any number.
        links: follow a symbolic link; False for files that others may have written.

    Raises:
        FileNotFoundError: there is no file.
        UserError: the file is a folder, a pipe, a device, a link that must not be followed, or larger than `limit`.
    """
    try:
        # O_NONBLOCK: opening a pipe without a writer returns at once.
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
    """Return the text of a file in UTF-8, or in the encoding of its byte order mark; raises as `read_bytes`.

    Args:
        path, limit, last, links, first: as for `read_bytes`.
        strict: raise an error if a byte cannot be decoded; otherwise replace it by a replacement character.

    Raises:
        UserError: the file is not UTF-8; names the line.
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
    """Return the content of a JSON file; raises as `read_text`.

    Raises:
        UserError: the file is not JSON, or nested too deep.
    """
    try:
        return json.loads(read_text(fpath, limit, links=links))
    except UserError:
        raise
    except (ValueError, RecursionError) as error:
        words = "brackets too deep" if isinstance(error, RecursionError) else f"something else ({error})"
        raise UserError(f"Expected JSON in {fpath}, but got {words}: restore the file.") from error


def read_yaml(path: str | Path, links: bool = True, limit: int = YAML_LIMIT) -> Any:
    """Return the content of a yaml file of plain values; objects are never constructed. Raises as `read_text`.

    Raises:
        UserError: the file is larger than `limit` (256 kB), no yaml of plain values, or its aliases expand to too much.
    """
    text = read_text(path, limit, links=links)
    try:
        loader = yaml.SafeLoader(text)
        node = loader.get_single_node()
        if node is None:
            return None
        _count_nodes(node, {})
        return loader.construct_document(node)
    except (yaml.YAMLError, ValueError, RecursionError, MemoryError, TypeError) as error:
        words = " ".join(str(error).split()) or "it is nested too deep"
        raise UserError(
            f"Expected yaml of plain values in {path}, but got an error: {words.rstrip('.')}: correct the file."
        ) from error


def _count_nodes(node: yaml.Node, counted: dict[int, int]) -> int:
    """Return the number of nodes below and with `node` if every alias is written out.

    Args:
        node: the root.
        counted: the results for nodes that were met before, by their `id`.

    Raises:
        ValueError: there are too many, or a number has too many digits.
    """
    if isinstance(node, yaml.ScalarNode):
        if node.tag == "tag:yaml.org,2002:int" and len(node.value) > DIGITS:
            raise ValueError(f"it has a number of more than {DIGITS:,} digits")
        return 1
    if id(node) not in counted:
        counted[id(node)] = NODES  # while its parts are counted: a node that contains itself is endless
        parts = [part for pair in node.value for part in (pair if isinstance(pair, tuple) else [pair])]
        counted[id(node)] = 1 + sum(_count_nodes(part, counted) for part in parts)
    if counted[id(node)] >= NODES:
        raise ValueError(f"it has more than {NODES:,} values, with its aliases written out")
    return counted[id(node)]


def _nofollow(path: str | Path) -> int:
    """Return the flag by which the system refuses a link. Where it has none, as on Windows, check for a link here."""
    if not hasattr(os, "O_NOFOLLOW") and Path(path).is_symlink():
        raise OSError("it is a symbolic link")
    return getattr(os, "O_NOFOLLOW", 0)


def _size(number: int) -> str:
    return f"{number / MB:.0f} MB" if number >= MB else f"{number:,} bytes"
