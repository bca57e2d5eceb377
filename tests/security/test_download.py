"""Downloads from servers, and of archives, that lead elsewhere, never end, or have changed."""

import hashlib
import io
import json
import random
import shutil
import zipfile
from pathlib import Path
from types import SimpleNamespace

import pytest

from datasets.base import BiomedDataset
from datasets.btmri import BTMRI
from datasets.catalogue import by_key
from datasets.download import archive, disk, fetch
from tests.datasets.archives import assert_ready, assert_untouched, run, said
from tests.datasets.serving import over_https, send, serve

# ------------------------------------------------------------------------------------------------------- where it leads


@pytest.fixture
def leading():
    """A server that redirects to an address: its own address over https, and the paths that were asked for."""
    with serve(lambda handler: answer(handler)) as server, over_https(server) as url:
        asked, target = [], {}

        def answer(handler) -> None:
            asked.append(handler.path)
            if handler.path in target:
                send(handler, b"", 302, Location=target[handler.path])
            else:
                send(handler, b"the file")

        yield SimpleNamespace(url=url, server=server, asked=asked, target=target)


@pytest.mark.parametrize("scheme", ["http", "HTTP", "ftp", "file", "gopher", "data", "javascript"])
@pytest.mark.parametrize("steps", [0, 1, 3])
def test_nothing_is_asked_of_an_address_that_is_not_https(leading, tmp_path, scheme, steps):
    """Neither of the first address nor of one that a server leads to, after whatever number of steps."""
    other = leading.server.replace("http", scheme, 1) + "/there"
    places = [f"/{i}" for i in range(steps)]
    addresses = [*(leading.url + place for place in places), other]
    leading.target.update(zip(places, addresses[1:], strict=True))
    with pytest.raises(fetch.DownloadError) as error:
        fetch.fetch(addresses[0], tmp_path / "file")
    assert "is no address of https, or leads to one that is not" in str(error.value)
    assert "\n" not in str(error.value) and leading.asked == places
    assert not (tmp_path / "file").exists()


def test_https_may_lead_to_https(leading, tmp_path):
    leading.target["/0"] = leading.url + "/1"
    fetch.fetch(leading.url + "/0", tmp_path / "file")
    assert (tmp_path / "file").read_bytes() == b"the file" and leading.asked == ["/0", "/1"]


def test_every_archive_is_had_over_https():
    archives = [cls.archive for cls in by_key().values() if cls.archive]
    assert len(archives) == 11 and all(url.startswith("https://") for url in archives)


# ---------------------------------------------------------------------------------------------------- how much it sends


class Endless:
    """Sends zeros without a Content-Length for as long as anyone listens, or `most` of them."""

    def __init__(self, most: int = 1 << 40):
        self.most, self.sent = most, 0

    def __call__(self, handler) -> None:
        handler.send_response(200)
        handler.end_headers()
        while self.sent < self.most:
            handler.wfile.write(bytes(1 << 16))
            self.sent += 1 << 16
        handler.close_connection = True


@pytest.fixture
def endless():
    answer = Endless()
    with serve(answer) as server, over_https(server) as url:
        answer.url = url
        yield answer


def test_a_body_without_end_ends_at_the_limit(endless, tmp_path):
    with pytest.raises(fetch.DownloadError, match=r"goes on beyond 1\.00MB, which is the most that it may have"):
        fetch.fetch(endless.url, tmp_path / "file", limit=1_000_000)
    assert endless.sent < 50_000_000
    assert not (tmp_path / "file").exists() and not (tmp_path / "file.part").exists()


def test_a_body_without_end_or_limit_ends_before_the_disk_is_full(endless, tmp_path, monkeypatch):
    free = disk.RESERVE + 2_000_000
    monkeypatch.setattr(disk.shutil, "disk_usage", lambda path: SimpleNamespace(free=free))
    with pytest.raises(disk.DiskFullError, match=r"to end while there is room in .* goes on beyond 2\.00MB"):
        fetch.fetch(endless.url, tmp_path / "file")
    assert not (tmp_path / "file.part").exists()


def test_a_body_up_to_the_limit_is_taken(endless, tmp_path):
    endless.most = 1 << 20
    fetch.fetch(endless.url, tmp_path / "file", limit=1 << 20)
    assert (tmp_path / "file").read_bytes() == bytes(1 << 20)


def test_more_than_the_limit_is_refused_before_a_byte_is_written(files, tmp_path):
    with pytest.raises(fetch.DownloadError, match=r"kB, but 5\.00kB are the most that it may have"):
        fetch.fetch(files.url, tmp_path / "file", limit=5000)
    assert not list(tmp_path.glob("file*"))


def test_the_limit_of_an_archive_is_what_its_authors_state_and_a_quarter(files, root, monkeypatch, capsys):
    monkeypatch.setattr(BTMRI, "archive_mb", len(files.content) / 1_300_000)
    assert run(root) == 1
    assert "are the most that it may have" in said(capsys)
    monkeypatch.setattr(BTMRI, "archive_mb", len(files.content) / 1_200_000)
    assert run(root) == 0


def test_a_download_that_goes_on_counts_what_is_there(files, tmp_path):
    """A server that sends more and more in pieces does not get beyond the limit either."""
    path = tmp_path / "file"
    files.script = [{"cut": 8000}] + [{"status": 500}] * (fetch.ATTEMPTS - 1)
    with pytest.raises(fetch.DownloadError, match="run again to go on"):
        fetch.fetch(files.url, path, limit=len(files.content))
    with pytest.raises(fetch.DownloadError, match="are the most that it may have"):
        fetch.fetch(files.url, path, limit=len(files.content) - 1)


# ------------------------------------------------------------------------------------------------------ where it writes


@pytest.mark.parametrize("name", ["BTMRI.zip.part", "BTMRI.zip.json", "BTMRI.zip.known.json", ".BTMRI.unpacking"])
def test_a_link_where_something_is_written_is_not_followed(files, root, tmp_path, name):
    sentinel = tmp_path / "sentinel"
    sentinel.mkdir() if name == ".BTMRI.unpacking" else sentinel.write_bytes(files.content)
    kept = sentinel / "mine" if sentinel.is_dir() else sentinel
    kept.write_bytes(b"mine" if sentinel.is_dir() else kept.read_bytes())
    before = kept.read_bytes()
    root.mkdir()
    (root / name).symlink_to(sentinel)
    run(root)
    assert kept.read_bytes() == before
    assert sentinel.is_file() or [path.name for path in sentinel.iterdir()] == ["mine"]


def test_a_partial_file_that_is_a_link_is_named(files, root, tmp_path, capsys):
    (tmp_path / "sentinel").write_bytes(b"mine")
    root.mkdir()
    (root / "BTMRI.zip.part").symlink_to(tmp_path / "sentinel")
    files.script = []
    run(root)
    assert (tmp_path / "sentinel").read_bytes() == b"mine"


@pytest.mark.parametrize(
    "note",
    [[], 7, {}, {"url": 7, "bytes": 1, "etag": "", "sha256": ""}, {"url": "u", "bytes": "1", "etag": "", "sha256": ""}],
)
def test_a_note_of_someone_else_is_named(files, root, capsys, note):
    root.mkdir()
    (root / "BTMRI.zip.json").write_text(json.dumps(note))
    assert run(root) == 1
    assert f"Expected a note about a download in {root / 'BTMRI.zip.json'}" in said(capsys)


# --------------------------------------------------------------------------------------------------- whether it changed


def test_an_archive_is_noted_at_first_and_a_change_is_told(files, root, tmp_path, capsys):
    assert run(root) == 0
    first = hashlib.sha256(files.content).hexdigest()
    assert f"BTMRI.zip is noted in BTMRI.zip.known.json ({len(files.content)} bytes, SHA-256 {first})" in (
        capsys.readouterr().out
    )
    shutil.rmtree(root / "BTMRI")
    assert run(root) == 0
    told = capsys.readouterr().out
    assert "BTMRI.zip is noted" not in told and "is another than" not in told
    shutil.rmtree(root / "BTMRI")
    (root / "BTMRI.zip").unlink()
    body = io.BytesIO(files.content)
    with zipfile.ZipFile(body, "a") as file:
        file.writestr("BTMRI/more.txt", b"x")
    files.content = body.getvalue()
    assert run(root) == 0
    second = hashlib.sha256(files.content).hexdigest()
    (line,) = [line for line in capsys.readouterr().out.splitlines() if "is another than on" in line]
    assert first in line and second in line
    assert json.loads((root / "BTMRI.zip.known.json").read_text())["sha256"] == second


def test_an_archive_whose_sum_is_known_must_have_it(files, root, tmp_path, monkeypatch, capsys):
    assert BiomedDataset.archive_sha256 == ""
    monkeypatch.setattr(BTMRI, "archive_sha256", "0" * 64)
    assert run(root) == 1
    assert f"Expected the SHA-256 {'0' * 64} of {root / 'BTMRI.zip'}, but it has " in said(capsys)
    assert_untouched(root)
    monkeypatch.setattr(BTMRI, "archive_sha256", hashlib.sha256(files.content).hexdigest())
    assert run(root) == 0
    assert_ready(root, tmp_path / "source")


@pytest.mark.parametrize("note", ["[]", "{}", "{", '{"bytes": "1", "sha256": "", "date": ""}'])
def test_a_known_file_that_is_none_is_named(files, root, capsys, note):
    root.mkdir()
    (root / "BTMRI.zip.known.json").write_text(note)
    assert run(root) == 1
    assert str(root / "BTMRI.zip.known.json") in said(capsys)


# -------------------------------------------------------------------------------------------------- what it unpacks to


def bomb(root: Path, *entries: tuple[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> Path:
    root.mkdir()
    with zipfile.ZipFile(root / "BTMRI.zip", "w", method) as file:
        for name, content in entries:
            file.writestr(name, content)
    return root / "BTMRI.zip"


@pytest.mark.parametrize(
    ("entries", "method", "why"),
    [
        ([("BTMRI/zeros.png", bytes(20_000_000))], zipfile.ZIP_DEFLATED, "to hold at most 100 times its"),
        ([("BTMRI/lzma.png", b"x")], zipfile.ZIP_LZMA, "is packed in a way that is not read here"),
        ([("BTMRI/bzip2.png", b"x")], zipfile.ZIP_BZIP2, "is packed in a way that is not read here"),
        ([(f"BTMRI/{i}.png", b"") for i in range(300)], zipfile.ZIP_STORED, "at most 250 entries in"),
        ([("BTMRI/" + "n" * 300, b"x")], zipfile.ZIP_STORED, "Expected a sound zip in"),
    ],
)
def test_an_archive_that_would_fill_the_disk_or_the_memory(files, root, monkeypatch, capsys, entries, method, why):
    monkeypatch.setattr(archive, "MOST_ENTRIES", 250)
    bomb(root, *entries, method=method)
    assert run(root) == 1
    text = said(capsys)
    assert str(root / "BTMRI.zip") in text and why in text
    assert_untouched(root)


def test_room_is_kept_free(files, root, monkeypatch, capsys):
    """What unpacks within the ratio, but not within the room beside the reserve."""
    bomb(root, ("BTMRI/a", random.Random(0).randbytes(256_000)))
    monkeypatch.setattr(disk, "RESERVE", 1_000_000)
    monkeypatch.setattr(disk.shutil, "disk_usage", lambda path: SimpleNamespace(free=1_200_000))
    assert run(root) == 1
    assert "Expected 256kB free in" in said(capsys)
    assert_untouched(root)


def test_an_entry_that_states_less_than_it_holds(files, root, capsys):
    path = bomb(root, ("BTMRI/zeros.png", bytes(1_000_000)))
    content = path.read_bytes()
    path.write_bytes(content.replace((1_000_000).to_bytes(4, "little"), (1000).to_bytes(4, "little")))
    assert run(root) == 1
    assert "Expected a sound zip in" in said(capsys)
    assert_untouched(root)
