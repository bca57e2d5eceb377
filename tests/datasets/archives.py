"""Archives of a data set on a server of this machine, and the command that brings them."""

import contextlib
import io
import random
import re
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from datasets.btmri import BTMRI
from datasets.download import __main__ as download
from datasets.download import disk, fetch
from tests.datasets.layout import lay_out, load
from tests.datasets.serving import over_https, send, serve

IMAGES = len(BTMRI.classes) * 13
FIRST = "BTMRI/BTMRI/glioma_tumor/train0.png"


def make_zip(folder: Path, cls=BTMRI, prefix: str = "", **counts: int) -> bytes:
    """Return a zip of random images in the layout of BiomedCoOp."""
    lay_out(folder, cls, **counts)
    noise = random.Random(0)
    for path in sorted(folder.rglob("*.png")):
        path.write_bytes(noise.randbytes(200))
    return zip_folder(folder, prefix)


def zip_folder(folder: Path, prefix: str = "") -> bytes:
    """Return a zip of all that is in a folder, with paths relative to `folder / prefix`."""
    body = io.BytesIO()
    with zipfile.ZipFile(body, "w") as file:
        for path in sorted(folder.rglob("*")):
            file.write(path, path.relative_to(folder / prefix))
    return body.getvalue()


class Files:
    """A server of `content`, with ranges. The next of `script` says what goes wrong; `ranges` are those asked for."""

    def __init__(self, content: bytes):
        self.content, self.etag, self.script, self.ranges = content, '"one"', [], []
        self.has_ranges = True
        self.before: Callable = lambda handler: False  # answers what it returns True for

    def __call__(self, handler) -> None:
        if self.before(handler):
            return
        self.ranges.append(handler.headers["Range"])
        step = self.script.pop(0) if self.script else {}
        if "status" in step:
            send(handler, b"no", step["status"])
            return
        if "page" in step:
            send(handler, step["page"], Content_Type="text/html")
            return
        content, first, headers = self.content, 0, {"ETag": self.etag}
        total = step.get("claims", len(content))
        if self.ranges[-1] and self.has_ranges:
            first = int(re.fullmatch(r"bytes=(\d+)-", self.ranges[-1])[1])
            if first >= len(content):
                send(handler, b"", 416)
                return
            headers["Content_Range"] = f"bytes {first}-{total - 1}/{total}"
        body = content[first : step.get("cut", len(content))]
        send(handler, body, 206 if "Content_Range" in headers else 200, **headers, Content_Length=total - first)
        handler.close_connection = True


@contextlib.contextmanager
def serving_btmri(source: Path) -> Iterator[Files]:
    """Serve BTMRI.zip at the address that the data set has; Google Drive cannot be reached."""
    files = Files(make_zip(source))
    with serve(files) as server, over_https(server) as url, pytest.MonkeyPatch.context() as patch:
        patch.setattr(fetch, "PAUSE", 0.0)
        patch.setattr(fetch, "CHUNK", 500)
        patch.setattr(disk, "RESERVE", 0)
        files.place, files.server, files.url = server, url, f"{url}/BTMRI.zip"
        patch.setattr(BTMRI, "archive", files.url)
        yield files


def run(root: Path, *keys: str) -> int:
    return download.main([*(keys or ["btmri"]), "--root", str(root)])


def said(capsys) -> str:
    """Return the one line that begins with "error:"."""
    (line,) = [line for line in capsys.readouterr().err.splitlines() if line.startswith("error: ")]
    assert line.startswith(("error: Expected ", "error: another process"))
    return line


def assert_ready(root: Path, source: Path) -> None:
    """Check that the images are those of `source`, and that a run finds all of them."""
    for path in source.rglob("*.png"):
        assert (root / path.relative_to(source)).read_bytes() == path.read_bytes()
    data = load(root)
    assert len(data.train_x) + len(data.val) + len(data.test) == IMAGES
    assert not list(root.glob(".BTMRI.unpacking"))


def assert_untouched(root: Path) -> None:
    assert not (root / "BTMRI").exists() and not list(root.glob(".BTMRI.unpacking"))
