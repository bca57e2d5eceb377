"""A file over HTTP that may be interrupted at any byte: `<file>.part` grows, `<file>` is complete.

`<file>.json` says what they are bytes of; it tells whether those of `<file>.part` belong to what the server has now.
"""

import hashlib
import os
import re
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path

import requests
from tqdm import tqdm

from dassl.errors import UserError
from dassl.utils import read_json, write_json

from .disk import check_room, size

ATTEMPTS = 6  # in a row that bring no new byte
PAUSE = 1.0  # seconds before the second attempt, doubled before each further one
TIMEOUT = 60  # seconds without a byte
CHUNK = 1 << 16
PASSING = (408, 425, 429, 500, 502, 503, 504)  # statuses that another attempt may not meet


class DownloadError(UserError):
    """This source does not give the file; another may."""


@dataclass(frozen=True)
class Remote:
    """What a server says of a file; while it says the same, the bytes are the same."""

    url: str
    bytes: int | None = None
    etag: str = ""
    sha256: str = ""  # told by the Hugging Face hub, "" elsewhere


def fetch(url: str, path: Path) -> None:
    """Bring `url` to `path`, from where an earlier call left off.

    Raises:
        DownloadError: the server refuses, or breaks off again and again, or the bytes are not those it announced.
        DiskFullError: there is not room enough. Where it ends later, the system's OSError; `<path>.part` is kept.
    """
    part, note = beside(path, ".part"), beside(path, ".json")
    failures, most = 0, length(part)
    while True:
        try:
            remote = _go_on(url, part, note)
            break
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
    """Bytes of a file, 0 if there is none."""
    return path.stat().st_size if path.is_file() else 0


def digest(path: Path, algorithm: str = "sha256") -> str:
    found = hashlib.new(algorithm)
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            found.update(block)
    return found.hexdigest()


def _go_on(url: str, part: Path, note: Path) -> Remote:
    """One request for what is missing; raises requests' errors where it is cut short."""
    known = Remote(**read_json(note)) if note.is_file() else Remote("")
    have = length(part) if known.url == url else 0
    if have and have == known.bytes:
        return known
    headers = {"Accept-Encoding": "identity"} | ({"Range": f"bytes={have}-"} if have else {})
    with requests.get(url, headers=headers, stream=True, timeout=TIMEOUT) as response:
        if response.status_code == 416:
            part.unlink(missing_ok=True)
            raise DownloadError(f"{url} ends before the {known.bytes} bytes that were announced")
        response.raise_for_status()
        first, remote = _describe(url, response)
        if first and (first != have or remote != known):
            part.unlink(missing_ok=True)
            raise requests.ConnectionError(f"not the file that it was, {size(have)} are thrown away")
        if not first:
            part.unlink(missing_ok=True)  # before the note changes, which tells whose bytes these are
        write_json(asdict(remote), note)
        if remote.bytes:
            check_room(part.parent, 2 * remote.bytes - first, "for the archive and what it holds")
        with (
            tqdm(total=remote.bytes, initial=first, unit="B", unit_scale=True, desc=part.stem) as bar,
            part.open("ab") as file,
        ):
            try:
                for chunk in response.iter_content(CHUNK):
                    file.write(chunk)
                    bar.update(len(chunk))
            except requests.RequestException as error:
                raise requests.ConnectionError(f"it breaks off after {bar.n} bytes of {remote.bytes}") from error
            file.flush()
            os.fsync(file.fileno())
    if remote.bytes not in (None, length(part)):
        raise requests.ConnectionError(f"it ends after {length(part)} bytes of {remote.bytes}")
    return remote


def _reason(error: requests.RequestException) -> str:
    """What went wrong, without the layers that only pass it on."""
    return str(getattr(error.args[0] if error.args else None, "reason", None) or error)


def _describe(url: str, response: requests.Response) -> tuple[int, Remote]:
    """Where the bytes of a response begin, and the whole file that they belong to.

    The Hugging Face hub redirects to a store, and tells size and SHA-256 of the file with the redirection.
    """

    def header(name: str) -> str:
        return next((r.headers[name] for r in (*response.history, response) if name in r.headers), "").strip('"')

    span = re.fullmatch(r"bytes (\d+)-\d+/(\d+|\*)", response.headers.get("Content-Range", ""))
    first, total = span.groups() if span else (0, response.headers.get("Content-Length", ""))
    linked, etag = header("X-Linked-Size"), header("X-Linked-Etag")
    if linked and str(total) != linked:
        raise DownloadError(f"{url} has {total} bytes, but the hub says that it has {linked}")
    known_hash = etag if re.fullmatch("[0-9a-f]{64}", etag) else ""
    etag = etag or response.headers.get("ETag", "") or response.headers.get("Last-Modified", "")
    return int(first), Remote(url, int(total) if str(total).isdigit() else None, etag, known_hash)
