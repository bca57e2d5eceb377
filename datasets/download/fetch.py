"""A file over HTTPS that may be interrupted at any byte: `<file>.part` grows, `<file>` is complete.

`<file>.json` says what they are bytes of; it tells whether those of `<file>.part` belong to what the server has now.
"""

import hashlib
import os
import re
import stat
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path

import requests
from tqdm import tqdm

from dassl.errors import UserError
from dassl.reading import read_json
from dassl.writing import open_to_append, write_json

from .disk import DiskFullError, check_room, room, size

ATTEMPTS = 6  # in a row that bring no new byte
PAUSE = 1.0  # seconds before the second attempt, doubled before each further one
TIMEOUT = 60  # seconds without a byte
CHUNK = 1 << 16
PASSING = (408, 425, 429, 500, 502, 503, 504)  # statuses that another attempt may not meet
NOTE = 1 << 16  # bytes; more is no note


class DownloadError(UserError):
    """This source does not give the file; another may."""


@dataclass(frozen=True)
class Remote:
    """What a server says of a file; while it says the same, the bytes are the same."""

    url: str
    bytes: int | None = None
    etag: str = ""
    sha256: str = ""  # told by the Hugging Face hub, "" elsewhere


def fetch(url: str, path: Path, limit: int | None = None) -> None:
    """Bring `url` to `path`, from where an earlier call left off.

    Args:
        url: of https, and so is every address that it leads to.
        path: where the file will be.
        limit: the most bytes that the file may have; None for as many as the disk has room for.

    Raises:
        DownloadError: the server refuses, breaks off again and again, sends too much, leads to an address that is not
            of https, or the bytes are not those it announced.
        DiskFullError: there is not room enough. Where it ends later, a UserError; `<path>.part` is kept.
    """
    part, note = beside(path, ".part"), beside(path, ".json")
    failures, most = 0, length(part)
    while True:
        try:
            remote = _go_on(url, part, note, limit)
            break
        except requests.exceptions.InvalidSchema as error:
            raise DownloadError(f"{url} is no address of https, or leads to one that is not ({error})") from error
        except requests.RequestException as error:
            failures = 1 if length(part) > most else failures + 1
            most = max(most, length(part))
            final = error.response is not None and error.response.status_code not in PASSING
            if final or failures == ATTEMPTS:
                kept = f"; {size(length(part))} are kept in {part}, run again to go on" if length(part) else ""
                raise DownloadError(f"{url} does not come ({_reason(error)}){kept}") from error
            pause = PAUSE * 2 ** (failures - 1)
            print(f"{url}: {_reason(error)}; trying again in {pause:g} s", file=sys.stderr)
            time.sleep(pause)
    if remote.sha256 and digest(part) != remote.sha256:
        part.unlink()
        raise DownloadError(f"{url} came with another SHA-256 than {remote.sha256}, which its server tells")
    part.replace(path)


def beside(path: Path, suffix: str) -> Path:
    return path.with_name(path.name + suffix)


def length(path: Path) -> int:
    """Bytes of a file, 0 if there is none or a link in its place."""
    try:
        found = path.lstat()
    except OSError:
        return 0
    return found.st_size if stat.S_ISREG(found.st_mode) else 0


def digest(path: Path, algorithm: str = "sha256") -> str:
    found = hashlib.new(algorithm)
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            found.update(block)
    return found.hexdigest()


def source_of(path: Path) -> str:
    """The address that a file was brought from; "" where no note lies beside it.

    Raises:
        UserError: the note is none of this module's.
    """
    return _noted(beside(path, ".json")).url


def _noted(note: Path) -> Remote:
    if not note.is_file():
        return Remote("")
    found = read_json(note, NOTE, links=False)
    kinds = {"url": str, "bytes": (int, type(None)), "etag": str, "sha256": str}
    is_one = isinstance(found, dict) and found.keys() == kinds.keys()
    if not is_one or not all(isinstance(found[key], kind) for key, kind in kinds.items()):
        raise UserError(f"Expected a note about a download in {note}, but it holds something else: delete it.")
    return Remote(**found)


def _session() -> requests.Session:
    """A session that has no way to send anything but over https, also where a server redirects."""
    session = requests.Session()
    session.adapters.pop("http://")
    return session


def _go_on(url: str, part: Path, note: Path, limit: int | None) -> Remote:
    """One request for what is missing; raises requests' errors where it is cut short."""
    known = _noted(note)
    have = length(part) if known.url == url else 0
    if have and have == known.bytes:
        return known
    headers = {"Accept-Encoding": "identity"} | ({"Range": f"bytes={have}-"} if have else {})
    with _session() as session, session.get(url, headers=headers, stream=True, timeout=TIMEOUT) as response:
        if response.status_code == 416:
            part.unlink(missing_ok=True)
            raise DownloadError(f"{url} ends before the {known.bytes} bytes that were announced")
        response.raise_for_status()
        first, remote = _describe(url, response)
        if first and (first != have or remote != known):
            part.unlink(missing_ok=True)
            raise requests.ConnectionError(f"not the file that it was, {size(have)} are thrown away")
        if limit is not None and (remote.bytes or 0) > limit:
            raise DownloadError(f"{url} has {size(remote.bytes or 0)}, but {size(limit)} are the most that it may have")
        if not first:
            part.unlink(missing_ok=True)  # before the note changes, which tells whose bytes these are
        write_json(asdict(remote), note)
        if remote.bytes:
            check_room(part.parent, 2 * remote.bytes - first, "for the archive and what it holds")
        with (
            tqdm(total=remote.bytes, initial=first, unit="B", unit_scale=True, desc=part.stem) as bar,
            open_to_append(part) as file,
        ):
            most = _most(part, first, limit)
            try:
                for chunk in response.iter_content(CHUNK):
                    if bar.n + len(chunk) > most:
                        raise _too_much(url, part, limit, most)
                    _write(file, chunk)
                    bar.update(len(chunk))
            except requests.RequestException as error:
                raise requests.ConnectionError(f"it breaks off after {bar.n} bytes of {remote.bytes}") from error
            os.fsync(file.fileno())
    if remote.bytes not in (None, length(part)):
        raise requests.ConnectionError(f"it ends after {length(part)} bytes of {remote.bytes}")
    return remote


def _most(part: Path, first: int, limit: int | None) -> int:
    """The most bytes that `part` may grow to, of which it has `first`."""
    most = first + room(part.parent)
    return most if limit is None else min(most, limit)


def _too_much(url: str, part: Path, limit: int | None, most: int) -> UserError:
    part.unlink(missing_ok=True)  # whoever sends without end did not send this file
    if most == limit:
        return DownloadError(f"{url} goes on beyond {size(most)}, which is the most that it may have")
    return DiskFullError(
        f"Expected {url} to end while there is room in {part.parent}, but it goes on beyond {size(most)}: free some, "
        "or choose another folder by --root."
    )


def _write(file, chunk: bytes) -> None:
    """Write all of it: an unbuffered file may take a part."""
    view = memoryview(chunk)
    while view:
        view = view[file.write(view) :]


def _reason(error: requests.RequestException) -> str:
    """What went wrong, without the layers that only pass it on."""
    return str(getattr(error.args[0] if error.args else None, "reason", None) or error)


def _describe(url: str, response: requests.Response) -> tuple[int, Remote]:
    """Where the bytes of a response begin, and the whole file that they belong to.

    The Hugging Face hub redirects to a store, and tells size and SHA-256 of the file with the redirection.
    """

    def header(name: str) -> str:
        return next((r.headers[name] for r in (*response.history, response) if name in r.headers), "").strip('"')

    span = re.fullmatch(r"bytes ([0-9]+)-[0-9]+/([0-9]+|\*)", response.headers.get("Content-Range", ""))
    first, total = span.groups() if span else (0, response.headers.get("Content-Length", ""))
    linked, etag = header("X-Linked-Size"), header("X-Linked-Etag")
    if linked and str(total) != linked:
        raise DownloadError(f"{url} has {total} bytes, but the hub says that it has {linked}")
    known_hash = etag if re.fullmatch("[0-9a-f]{64}", etag) else ""
    etag = etag or response.headers.get("ETag", "") or response.headers.get("Last-Modified", "")
    return int(first), Remote(url, int(total) if re.fullmatch("[0-9]{1,18}", str(total)) else None, etag, known_hash)
