"""Download a file over HTTPS and go on after an interruption at any byte.

Bytes go to `<file>.part`, which becomes `<file>` when it is complete. `<file>.json` notes URL, size and ETag, so that
the part of another version of the file is not continued. For the Hugging Face hub, `hub.py` asks its own library where
a file lies and what it must be. That library's download is not used: it throws away what an interrupted call brought
(huggingface_hub 2.4), has no limit of bytes, and only warns of a full disk.
"""

import hashlib
import os
import re
import stat
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, NoReturn

import requests

from dassl.errors import UserError
from dassl.progress import Progress
from dassl.reading import read_json
from dassl.writing import open_to_append, write_json

from .disk import DiskFullError, check_room, format_size, room

ATTEMPTS = 6  # in a row that bring no new byte
PAUSE = 1.0  # seconds before the second attempt, doubled before each further one
TIMEOUT = 60  # seconds without a byte
CHUNK = 1 << 16
TRANSIENT = (408, 425, 429, 500, 502, 503, 504)  # HTTP statuses that another attempt may not meet
NOTE_BYTES = 1 << 16  # no note is longer


class DownloadError(UserError):
    """A source does not give the file; another may."""


@dataclass(frozen=True)
class Remote:
    """A file on a server. While all of these stay the same, its bytes do.

    Attributes:
        url: of https.
        bytes: its size; None if the server does not tell it.
        etag: the server's mark of this version of the file; "" if it has none.
        sha256: of the file; "" if it is unknown.
    """

    url: str
    bytes: int | None = None
    etag: str = ""
    sha256: str = ""


def fetch(source: str | Remote, path: Path, limit: int | None = None) -> None:
    """Download a file to `path`, from where an earlier call stopped.

    Args:
        source: address of https, or what is known of the file there. All redirections must be of https, too.
        path: where the file will be.
        limit: the most bytes that the file may have; None for as many as the disk has room for.

    Raises:
        DownloadError: the server refuses, breaks off again and again, sends too much, leads to an address that is not
            of https, or sends other bytes than it announced.
        DiskFullError: there is not enough room. Whenever this raises, `<path>.part` is kept if it can be continued.
    """
    wanted = Remote(source) if isinstance(source, str) else source
    url, part, note = wanted.url, beside(path, ".part"), beside(path, ".json")
    _check_limit(wanted, limit)
    failures, most = 0, length(part)
    while True:
        try:
            remote = _download_rest(wanted, part, note, limit)
            break
        except requests.exceptions.InvalidSchema as error:
            raise DownloadError(f"{url} is no address of https, or leads to one that is not ({error})") from error
        except requests.RequestException as error:
            failures = 1 if length(part) > most else failures + 1
            most = max(most, length(part))
            final = error.response is not None and error.response.status_code not in TRANSIENT
            if final or failures == ATTEMPTS:
                kept = f"; {format_size(length(part))} are kept in {part}, run again to go on" if length(part) else ""
                raise DownloadError(f"{url} does not come ({_reason(error)}){kept}") from error
            wait(url, _reason(error), failures)
    if remote.sha256 and digest(part) != remote.sha256:
        part.unlink()
        raise DownloadError(f"{url} came with another SHA-256 than {remote.sha256}, which its server tells")
    part.replace(path)


def wait(url: str, reason: str, failures: int) -> None:
    """Print why an attempt failed, and wait; twice as long after each further failure."""
    pause = PAUSE * 2 ** (failures - 1)
    print(f"{url}: {reason}; trying again in {pause:g} s", file=sys.stderr)
    time.sleep(pause)


def beside(path: Path, suffix: str) -> Path:
    """Return the path with a suffix after its own.

    >>> beside(Path("data/BTMRI.zip"), ".part").name
    'BTMRI.zip.part'
    """
    return path.with_name(path.name + suffix)


def length(path: Path) -> int:
    """Return the bytes of a file; 0 if there is no file, or a link in its place."""
    try:
        found = path.lstat()
    except OSError:
        return 0
    return found.st_size if stat.S_ISREG(found.st_mode) else 0


def digest(path: Path, algorithm: str = "sha256") -> str:
    """Return the hexadecimal digest of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, algorithm).hexdigest()


def source_of(path: Path) -> str:
    """Return the address that a file was downloaded from; "" if there is no note beside it.

    Raises:
        UserError: the note is not one of this module.
    """
    return _read_note(beside(path, ".json")).url


def _read_note(note: Path) -> Remote:
    if not note.is_file():
        return Remote("")
    found = read_json(note, NOTE_BYTES, links=False)
    kinds: dict[str, tuple[type, ...]] = {"url": (str,), "bytes": (int, type(None)), "etag": (str,), "sha256": (str,)}
    is_note = isinstance(found, dict) and found.keys() == kinds.keys()
    if not is_note or not all(isinstance(found[key], kind) for key, kind in kinds.items()):
        raise UserError(f"Expected a note about a download in {note}, but it holds something else: delete it.")
    return Remote(**found)


def _session() -> requests.Session:
    """Return a session that can send over https alone, also where a server redirects."""
    session = requests.Session()
    session.adapters.pop("http://")
    return session


def _download_rest(wanted: Remote, part: Path, note: Path, limit: int | None) -> Remote:
    """Make one request for the bytes that are missing; raise requests' errors if they do not all come."""
    url, known = wanted.url, _read_note(note)
    have = length(part) if known.url == url else 0
    if have and have == known.bytes:
        return known
    headers = {"Accept-Encoding": "identity"} | ({"Range": f"bytes={have}-"} if have else {})
    with _session() as session, session.get(url, headers=headers, stream=True, timeout=TIMEOUT) as response:
        if response.status_code == 416:
            part.unlink(missing_ok=True)
            raise DownloadError(f"{url} ends before the {known.bytes} bytes that were announced")
        response.raise_for_status()
        first, remote = _describe(wanted, response)
        if first and (first != have or remote != known):
            part.unlink(missing_ok=True)
            raise requests.ConnectionError(f"not the file that it was, {format_size(have)} are thrown away")
        _check_limit(remote, limit)
        if not first:
            part.unlink(missing_ok=True)  # before the note changes, which tells whose bytes these are
        write_json(asdict(remote), note)
        if remote.bytes:
            check_room(part.parent, 2 * remote.bytes - first, "for the archive and what it holds")
        _append(response, part, first, remote, limit)
    if remote.bytes not in (None, length(part)):
        raise requests.ConnectionError(f"it ends after {length(part)} bytes of {remote.bytes}")
    return remote


def _append(response: requests.Response, part: Path, first: int, remote: Remote, limit: int | None) -> None:
    """Append the body of a response to the `first` bytes of `part`, up to the limit or the end of the disk."""
    free = first + room(part.parent)
    most = free if limit is None else min(free, limit)
    with (
        Progress(remote.bytes, part.stem, "B", initial=first, unit_scale=True) as progress,
        open_to_append(part) as file,
    ):
        try:
            for chunk in response.iter_content(CHUNK):
                if progress.done + len(chunk) > most:
                    _stop(remote.url, part, limit, most)
                _write(file, chunk)
                progress.update(len(chunk))
        except requests.RequestException as error:
            raise requests.ConnectionError(f"it breaks off after {progress.done} bytes of {remote.bytes}") from error
        os.fsync(file.fileno())


def _check_limit(remote: Remote, limit: int | None) -> None:
    if limit is not None and (remote.bytes or 0) > limit:
        raise DownloadError(
            f"{remote.url} has {format_size(remote.bytes or 0)}, but {format_size(limit)} are the most that it may have"
        )


def _stop(url: str, part: Path, limit: int | None, most: int) -> NoReturn:
    """Give up on a server that sends more than the limit, or more than the disk has room for."""
    part.unlink(missing_ok=True)  # a body without end is not this file
    if most == limit:
        raise DownloadError(f"{url} goes on beyond {format_size(most)}, which is the most that it may have")
    raise DiskFullError(
        f"Expected {url} to end while there is room in {part.parent}, but it goes on beyond {format_size(most)}: free "
        "some, or choose another folder by --root."
    )


def _write(file: IO[bytes], chunk: bytes) -> None:
    """Write all of a chunk: an unbuffered file may take only a part of it at once."""
    view = memoryview(chunk)
    while view:
        view = view[file.write(view) :]


def _reason(error: requests.RequestException) -> str:
    """Return what went wrong, without the layers that only pass it on."""
    return str(getattr(error.args[0] if error.args else None, "reason", None) or error)


def _describe(wanted: Remote, response: requests.Response) -> tuple[int, Remote]:
    """Return where the bytes of a response begin, and the whole file that they belong to."""
    span = re.fullmatch(r"bytes ([0-9]+)-[0-9]+/([0-9]+|\*)", response.headers.get("Content-Range", ""))
    first, told = span.groups() if span else (0, response.headers.get("Content-Length", ""))
    total = int(told) if re.fullmatch("[0-9]{1,18}", str(told)) else None
    if wanted.bytes is not None and total != wanted.bytes:
        raise DownloadError(f"{wanted.url} has {total} bytes, but the hub says that it has {wanted.bytes}")
    etag = wanted.etag or response.headers.get("ETag", "").strip('"') or response.headers.get("Last-Modified", "")
    return int(first), Remote(wanted.url, total, etag, wanted.sha256)
