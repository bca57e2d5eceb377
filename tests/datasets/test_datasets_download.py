"""Bringing a data set from a server on this machine, with all that goes wrong between there and the disk."""

import errno
import hashlib
import io
import json
import random
import re
import shutil
import stat
import sys
import zipfile
from datetime import date
from pathlib import Path
from types import SimpleNamespace
from urllib.parse import urlsplit

import numpy as np
import pytest
from filelock import FileLock
from PIL import Image

from datasets.btmri import BTMRI
from datasets.busi import BUSI
from datasets.dermamnist import DermaMNIST
from datasets.download import __main__ as download
from datasets.download import archive, disk, fetch, sources
from tests.datasets.layout import lay_out, load
from tests.datasets.serving import send, serve

IMAGES = len(BTMRI.classes) * 13
FIRST = "BTMRI/BTMRI/glioma_tumor/train0.png"


def make_zip(folder: Path, cls=BTMRI, prefix: str = "", **counts: int) -> bytes:
    """An archive of random images in the layout of BiomedCoOp."""
    lay_out(folder, cls, **counts)
    noise = random.Random(0)
    for path in sorted(folder.rglob("*.png")):
        path.write_bytes(noise.randbytes(200))
    body = io.BytesIO()
    with zipfile.ZipFile(body, "w") as file:
        for path in sorted(folder.rglob("*")):
            file.write(path, path.relative_to(folder / prefix))
    return body.getvalue()


class Files:
    """Serves `content`, with ranges; the next of `script` says what goes wrong. Keeps the ranges it was asked for."""

    def __init__(self, content: bytes):
        self.content, self.etag, self.script, self.ranges = content, '"one"', [], []
        self.linked, self.has_ranges = {}, True

    def __call__(self, handler) -> None:
        path = urlsplit(handler.path).path
        if self.linked and not path.startswith("/store"):  # as the Hugging Face hub does
            send(handler, b"", 302, Location=f"/store{path}", **self.linked)
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


@pytest.fixture
def files(tmp_path, monkeypatch):
    """A server of BTMRI.zip, where the data set expects it; Google Drive refuses."""
    monkeypatch.setattr(fetch, "PAUSE", 0.0)
    monkeypatch.setattr(fetch, "CHUNK", 500)

    def no(id: str, output: str, resume: bool) -> None:
        raise RuntimeError(f"Too many users\n\thave viewed {id}")

    monkeypatch.setattr(sources.gdown, "download", no)
    files = Files(make_zip(tmp_path / "source"))
    with serve(files) as url:
        files.url = f"{url}/BTMRI.zip"
        monkeypatch.setattr(BTMRI, "archive", files.url)
        yield files


@pytest.fixture
def root(tmp_path):
    return tmp_path / "data"


def run(root: Path, *keys: str) -> int:
    return download.main([*(keys or ["btmri"]), "--root", str(root)])


def said(capsys) -> str:
    """The one sentence that begins with "error:"."""
    (line,) = [line for line in capsys.readouterr().err.splitlines() if line.startswith("error: ")]
    assert line.startswith(("error: Expected ", "error: another process"))
    return line


def assert_ready(root: Path, source: Path) -> None:
    """The images are those of `source`, and a run finds them all."""
    for path in source.rglob("*.png"):
        assert (root / path.relative_to(source)).read_bytes() == path.read_bytes()
    data = load(root)
    assert len(data.train_x) + len(data.val) + len(data.test) == IMAGES
    assert not list(root.glob(".BTMRI.unpacking"))


def assert_untouched(root: Path) -> None:
    assert not (root / "BTMRI").exists() and not list(root.glob(".BTMRI.unpacking"))


# ------------------------------------------------------------------------------------------------------ as it should be


def test_a_data_set_is_brought_checked_and_recorded(files, root, tmp_path, capsys):
    assert run(root) == 0
    assert_ready(root, tmp_path / "source")
    record = json.loads((root / "BTMRI" / "download.json").read_text())
    assert record == {
        "source": files.url,
        "file": "BTMRI.zip",
        "bytes": len(files.content),
        "sha256": hashlib.sha256(files.content).hexdigest(),
        "date": date.today().isoformat(),
    }
    captured = capsys.readouterr()
    assert "Licence of the images: CC0." in captured.out and "Kaggle, masoudnickparvar" in captured.out
    assert re.search(r"BTMRI +in split +found +others\n", captured.out)
    assert re.search(r"pituitary tumor +13 +13 +0\n", captured.out)
    assert "BTMRI.zip" in captured.err and "100%" in captured.err  # the bar
    assert sorted(path.name for path in root.iterdir()) == [".BTMRI.lock", "BTMRI", "BTMRI.zip", "BTMRI.zip.json"]


def test_again_only_checks(files, root, capsys):
    assert run(root) == 0
    (root / "BTMRI" / "BTMRI" / "glioma_tumor" / "mine.png").write_bytes(b"mine")
    shutil.copy(root / FIRST, root / "BTMRI" / "BTMRI" / "normal_brain" / "again.png")
    capsys.readouterr()
    assert run(root) == 0
    assert len(files.ranges) == 1
    assert re.search(r"glioma tumor +13 +13 +1\n", capsys.readouterr().out)


@pytest.mark.parametrize("harm", ["gone", "empty"])
def test_a_folder_that_lost_an_image_is_told_and_not_touched(files, root, capsys, harm):
    assert run(root) == 0
    (root / FIRST).unlink()
    if harm == "empty":
        (root / FIRST).touch()
    capsys.readouterr()
    assert run(root) == 1
    captured = capsys.readouterr()
    assert re.search(r"glioma tumor +13 +12 +0\n", captured.out)
    assert f"Expected the {IMAGES} images that split_BTMRI.json lists, but 1 are missing or empty" in captured.err
    assert f"glioma_tumor/train0.png: complete it, or move {root / 'BTMRI'} away and run again" in captured.err
    assert len(files.ranges) == 1


def test_an_archive_without_the_outer_folder(files, root, tmp_path):
    files.content = make_zip(tmp_path / "source", prefix="BTMRI")
    assert run(root) == 0
    assert_ready(root, tmp_path / "source")
    assert sorted(path.name for path in (root / "BTMRI").iterdir()) == ["BTMRI", "download.json", "split_BTMRI.json"]


def test_what_macos_adds_is_left_out(files, root, tmp_path):
    body = io.BytesIO(files.content)
    with zipfile.ZipFile(body, "a") as file:
        file.writestr("__MACOSX/BTMRI/._split_BTMRI.json", b"x")
    files.content = body.getvalue()
    assert run(root) == 0
    assert_ready(root, tmp_path / "source")
    assert not list(root.rglob("__MACOSX"))


def test_a_zip_that_was_brought_by_hand_needs_no_network(files, root, tmp_path):
    root.mkdir()
    (root / "BTMRI.zip").write_bytes(files.content)
    assert run(root) == 0
    assert_ready(root, tmp_path / "source")
    assert files.ranges == []
    assert json.loads((root / "BTMRI" / "download.json").read_text())["source"] == "BTMRI.zip, which was there"


def test_a_split_that_is_there_holds(files, root, tmp_path):
    """As in a checkout of BiomedCoOp, whose data/ has the split files."""
    path = lay_out(root, train=5)
    shutil.rmtree(root / "BTMRI" / "BTMRI")
    mine = path.read_text()
    assert run(root) == 0
    assert path.read_text() == mine and len(load(root).train_x) == 20
    assert (root / FIRST).read_bytes() == (tmp_path / "source" / FIRST).read_bytes()


# ------------------------------------------------------------------------------------------------------ what servers do


def test_an_interrupted_download_goes_on_where_it_stopped(files, root, tmp_path):
    files.script = [{"cut": 2000}, {"status": 503}, {"cut": 2100}, {"cut": 5000}]
    assert run(root) == 0
    starts = [int(asked[6:-1]) if asked else 0 for asked in files.ranges]
    assert len(starts) == 5 and starts == sorted(starts) and starts[1] == starts[2]
    assert 1500 <= starts[1] <= 2000 and 4500 <= starts[-1] <= 5000  # at most the last chunk comes again
    assert (root / "BTMRI.zip").read_bytes() == files.content
    assert_ready(root, tmp_path / "source")


def test_a_download_that_ended_goes_on_with_the_next_run(files, root, tmp_path, capsys):
    files.script = [{"cut": 3000}] + [{"status": 500}] * (fetch.ATTEMPTS - 1)
    assert run(root) == 1
    text = said(capsys)
    kept = (root / "BTMRI.zip.part").stat().st_size
    assert f"are kept in {root / 'BTMRI.zip.part'}, run again to go on" in text and 2500 <= kept <= 3000
    assert "Google Drive's 1_lJLZRUmczqZqoN-dNqkAzGzmi4ONoU5 does not come (Too many users have viewed" in text
    assert_untouched(root)
    assert run(root) == 0
    assert files.ranges[-1] == f"bytes={kept}-" and not (root / "BTMRI.zip.part").exists()
    assert_ready(root, tmp_path / "source")


def test_a_process_that_is_killed(files, root, tmp_path, monkeypatch):
    class Bar(fetch.tqdm):
        def update(self, n=1):
            super().update(n)
            if self.n > 4000:
                raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(fetch, "tqdm", Bar)
        run(root)
    (root / ".BTMRI.unpacking").mkdir()  # and left by one that was killed later
    (root / ".BTMRI.unpacking" / "old.png").touch()
    assert run(root) == 0
    assert files.ranges == [None, "bytes=4500-"]
    assert_ready(root, tmp_path / "source")


@pytest.mark.parametrize("ranges", [True, False])
def test_a_file_that_has_changed_in_between_is_not_spliced(files, root, tmp_path, ranges):
    other, files.etag = files.content, '"other"'
    files.content = other[:3000] + b"old" + other[3003:]
    files.script = [{"cut": 4000}] + [{"status": 500}] * (fetch.ATTEMPTS - 1)
    assert run(root) == 1
    files.content, files.etag, files.has_ranges = other, '"one"', ranges
    assert run(root) == 0
    assert (root / "BTMRI.zip").read_bytes() == other
    assert_ready(root, tmp_path / "source")


def test_bytes_of_another_file_are_not_used_even_when_the_run_ends_there(files, root, monkeypatch):
    files.script = [{"cut": 4000}] + [{"status": 500}] * (fetch.ATTEMPTS - 1)
    assert run(root) == 1
    files.etag = '"two"'
    with monkeypatch.context() as patch:
        patch.setattr(disk.shutil, "disk_usage", lambda path: SimpleNamespace(free=0))
        assert run(root) == 1
    assert not (root / "BTMRI.zip.part").exists()


def test_a_server_without_ranges_is_asked_for_all_of_it_again(files, root):
    files.has_ranges, files.script = False, [{"cut": 3000}]
    assert run(root) == 0
    assert files.ranges[0] is None and files.ranges[1].startswith("bytes=") and len(files.ranges) == 2
    assert (root / "BTMRI.zip").read_bytes() == files.content


def test_less_than_was_announced(files, root, capsys):
    claimed = len(files.content) + 100
    files.script = [{"claims": claimed}] * 10
    assert run(root) == 1
    assert re.search(rf"{files.url} does not come \(it breaks off after \d+ bytes of {claimed}\)", said(capsys))
    assert not (root / "BTMRI.zip").exists()
    assert_untouched(root)
    files.script = []
    assert run(root) == 0
    assert (root / "BTMRI.zip").read_bytes() == files.content


def test_nothing_beyond_what_came_although_more_was_announced(files, root, capsys):
    files.content, files.rest = files.content[:5000], files.content
    files.script = [{"claims": 6000}]
    assert run(root) == 1
    assert f"{files.url} ends before the 6000 bytes that were announced" in said(capsys)
    files.content = files.rest
    assert run(root) == 0


def test_the_hub_tells_size_and_sum(files, root, tmp_path):
    digest = hashlib.sha256(files.content).hexdigest()
    files.linked = {"X_Linked_Size": len(files.content), "X_Linked_Etag": f'"{digest}"'}
    files.script = [{"cut": 4000}]
    assert run(root) == 0
    assert json.loads((root / "BTMRI.zip.json").read_text())["sha256"] == digest
    assert_ready(root, tmp_path / "source")


@pytest.mark.parametrize(
    ("linked", "sentence"),
    [
        ({"X_Linked_Size": 12345}, r"has \d+ bytes, but the hub says that it has 12345"),
        ({"X_Linked_Etag": f'"{"0" * 64}"'}, "came with another SHA-256 than 0{64}, which its server tells"),
    ],
)
def test_another_size_or_sum_than_the_hub_tells(files, root, capsys, linked, sentence):
    files.linked = linked
    assert run(root) == 1
    assert re.search(sentence, said(capsys))
    assert not (root / "BTMRI.zip").exists() and not (root / "BTMRI.zip.part").exists()
    assert_untouched(root)


def test_a_page_in_place_of_the_archive(files, root, capsys):
    files.script = [{"page": b"<html>Please log in.</html>"}]
    assert run(root) == 1
    assert f"{files.url} gives no zip: it begins with b'<html>Please log in.</html>'" in said(capsys)
    assert not (root / "BTMRI.zip").exists()
    assert run(root) == 0


def test_refused_at_once_and_brought_from_drive(files, root, tmp_path, monkeypatch):
    def bring(id: str, output: str, resume: bool) -> None:
        assert id == BTMRI.drive_id and resume
        Path(output).write_bytes(files.content)

    monkeypatch.setattr(sources.gdown, "download", bring)
    files.script = [{"status": 404}]
    assert run(root) == 0
    assert files.ranges == [None]
    assert_ready(root, tmp_path / "source")
    record = json.loads((root / "BTMRI" / "download.json").read_text())
    assert record["source"] == f"https://drive.google.com/uc?id={BTMRI.drive_id}"


def test_no_source_at_all(files, root, capsys):
    files.script = [{"status": 404}]
    assert run(root) == 1
    text = said(capsys)
    assert "404 Client Error" in text and "Too many users have viewed" in text
    assert f"bring BTMRI.zip from elsewhere, put it into {root}, and run again" in text


# --------------------------------------------------------------------------------------------------- what archives hold


@pytest.mark.parametrize("harm", ["a changed image", "cut short", "no zip", "encrypted", "an entry twice"])
@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_a_damaged_archive(files, root, capsys, harm):
    content, body = bytearray(files.content), io.BytesIO(files.content)
    if harm == "a changed image":
        content[len(content) // 2] ^= 255
    elif harm == "cut short":  # the end, with the table of contents, is there
        del content[1000:2000]
    elif harm == "no zip":
        content = b"Rar!" * 100
    elif harm == "encrypted":
        at = content.rfind(b"PK\x01\x02")  # the last entry of the table of contents
        content[at + 8] |= 1
    else:
        with zipfile.ZipFile(body, "a") as file:
            file.writestr(FIRST, b"other")
        content = body.getvalue()
    root.mkdir()
    (root / "BTMRI.zip").write_bytes(content)
    assert run(root) == 1
    text = said(capsys)
    assert f"Expected a sound zip in {root / 'BTMRI.zip'}" in text and "delete it, and run again" in text
    assert_untouched(root)


def entry(name: str, mode: int = stat.S_IFREG | 0o644) -> zipfile.ZipInfo:
    info = zipfile.ZipInfo("placeholder")
    info.filename, info.create_system, info.external_attr = name, 3, mode << 16
    return info


@pytest.mark.parametrize(
    ("info", "why"),
    [
        (entry("../evil.txt"), "leads out of the folder"),
        (entry("BTMRI/../../../evil.txt"), "leads out of the folder"),
        (entry("/tmp/evil.txt"), "leads out of the folder"),
        (entry("..\\evil.txt"), "leads out of the folder"),
        (entry("C:\\evil.txt"), "leads out of the folder"),
        (entry("C:evil.txt"), "leads out of the folder"),
        (entry("BTMRI/link", stat.S_IFLNK | 0o777), "is a link or a device"),
        (entry("BTMRI/pipe", stat.S_IFIFO | 0o644), "is a link or a device"),
        (entry("BTMRI/disk", stat.S_IFBLK | 0o644), "is a link or a device"),
    ],
    ids=lambda value: getattr(value, "filename", None),
)
def test_a_hostile_archive(files, root, tmp_path, capsys, info, why):
    body = io.BytesIO(files.content)
    with zipfile.ZipFile(body, "a") as file:
        file.writestr(info, b"/etc/passwd")
    files.content = body.getvalue()
    before = set(tmp_path.rglob("*"))
    assert run(root) == 1
    text = said(capsys)
    assert f"Expected files and folders in {root / 'BTMRI.zip'}, but its entry {info.filename!r} {why}" in text
    assert_untouched(root)
    new = {path.relative_to(tmp_path).as_posix() for path in set(tmp_path.rglob("*")) - before}
    assert new == {"data", "data/.BTMRI.lock", "data/BTMRI.zip", "data/BTMRI.zip.json"}
    assert not Path("/tmp/evil.txt").exists() and not list(Path.cwd().glob("*evil.txt"))


def test_an_archive_that_lacks_images(files, root, tmp_path, capsys):
    shutil.rmtree(tmp_path / "source" / "BTMRI" / "BTMRI" / "normal_brain")
    body = io.BytesIO()
    with zipfile.ZipFile(body, "w") as file:
        for path in (tmp_path / "source").rglob("*"):
            file.write(path, path.relative_to(tmp_path / "source"))
    files.content = body.getvalue()
    assert run(root) == 1
    captured = capsys.readouterr()
    assert re.search(r"normal brain +13 +0 +0\n", captured.out)
    assert "but 13 are missing or empty, the first is normal_brain/train0.png: delete " in captured.err
    assert "or take the images from their source (Kaggle, masoudnickparvar" in captured.err
    assert_untouched(root)


def test_an_archive_of_another_data_set(files, root, tmp_path, capsys):
    files.content = make_zip(tmp_path / "other", BUSI)
    assert run(root) == 1
    assert f"Expected BTMRI/BTMRI/<class>/<image> in {root / 'BTMRI.zip'}, but it has BUSI" in said(capsys)
    assert_untouched(root)


def test_a_split_with_classes_of_another_kind(files, root, tmp_path, capsys):
    path = tmp_path / "source" / "BTMRI" / "split_BTMRI.json"
    path.write_text(path.read_text().replace('"glioma tumor"', '"glioma"'))
    body = io.BytesIO()
    with zipfile.ZipFile(body, "w") as file:
        for path in (tmp_path / "source").rglob("*"):
            file.write(path, path.relative_to(tmp_path / "source"))
    files.content = body.getvalue()
    assert run(root) == 1
    assert 'glioma_tumor/train0.png has label 0 "glioma"' in said(capsys)
    assert_untouched(root)


# ------------------------------------------------------------------------------------------------- the disk, and others


def test_too_little_room_is_told_before_anything_is_written(files, root, monkeypatch, capsys):
    free = 2 * len(files.content) - 1
    monkeypatch.setattr(disk.shutil, "disk_usage", lambda path: SimpleNamespace(free=free))
    assert run(root) == 1
    text = said(capsys)
    assert f"free in {root} for the archive and what it holds, but there are {disk.size(free)}" in text
    assert "choose another folder by --root" in text
    assert not (root / "BTMRI.zip.part").exists() and len(files.ranges) == 1


def test_too_little_room_to_unpack(files, root, monkeypatch, capsys):
    root.mkdir()
    (root / "BTMRI.zip").write_bytes(files.content)
    monkeypatch.setattr(disk.shutil, "disk_usage", lambda path: SimpleNamespace(free=IMAGES * 200))
    assert run(root) == 1
    assert "to unpack BTMRI.zip, but there are 10.4kB" in said(capsys)
    assert_untouched(root)


def test_the_disk_fills_while_it_downloads(files, root, tmp_path, monkeypatch, capsys):
    class Full:
        """A file on a disk that has room for 3,000 bytes."""

        def __init__(self, file):
            self.file, self.left = file, 3000

        def __enter__(self):
            return self

        def __exit__(self, *error):
            self.file.close()

        def write(self, chunk):
            self.file.write(chunk[: self.left])
            self.left -= len(chunk)
            if self.left < 0:
                raise OSError(errno.ENOSPC, "No space left on device")

    def open_on_it(path, mode="r", real=Path.open, **more):
        return Full(real(path, mode, **more)) if "a" in mode else real(path, mode, **more)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "open", open_on_it)
        assert run(root) == 1
    assert f"Expected more room in {root}, but the disk is full" in said(capsys)
    assert (root / "BTMRI.zip.part").read_bytes() == files.content[:3000]
    assert run(root) == 0
    assert files.ranges == [None, "bytes=3000-"]
    assert_ready(root, tmp_path / "source")


def test_the_disk_fills_while_it_unpacks(files, root, tmp_path, monkeypatch, capsys):
    def full(source, sink):
        sink.write(source.read(100))
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(archive.shutil, "copyfileobj", full)
        assert run(root) == 1
    assert f"Expected more room in {root}, but the disk is full" in said(capsys)
    assert_untouched(root)
    assert (root / "BTMRI.zip").read_bytes() == files.content
    assert run(root) == 0 and len(files.ranges) == 1
    assert_ready(root, tmp_path / "source")


def test_one_process_at_a_time(files, root, capsys):
    root.mkdir()
    with FileLock(root / ".BTMRI.lock"):
        assert run(root) == 1
    assert f"another process is bringing btmri to {root}" in said(capsys)
    assert files.ranges == []
    assert run(root) == 0


def test_uk_biobank_is_had_by_application_only(files, root, tmp_path, capsys):
    assert run(root, "cmri", "btmri") == 1
    captured = capsys.readouterr()
    assert "Licence of the images: UK Biobank material transfer agreement; no redistribution." in captured.out
    assert (
        "error: Expected a data set that may be passed on, but CMRI may not: apply at https://www.ukb" in captured.err
    )
    assert_ready(root, tmp_path / "source")  # the others are brought all the same


def test_an_unknown_name_is_told_the_known_ones(root, capsys):
    with pytest.raises(SystemExit):
        run(root, "brains")
    assert "btmri" in capsys.readouterr().err and not root.exists()


# ------------------------------------------------------------------------------------------------------------- medmnist


@pytest.fixture
def medmnist(files, monkeypatch):
    """A package of that name, whose DermaMNIST has 14, 7 and 7 images; the server has its file."""
    pixels = np.random.default_rng(0).integers(0, 255, (28, 224, 224, 3), np.uint8)
    labels = np.arange(28)[:, None] % 7
    body, arrays = io.BytesIO(), {}
    for part, first, last in (("train", 0, 14), ("val", 14, 21), ("test", 21, 28)):
        arrays |= {f"{part}_images": pixels[first:last], f"{part}_labels": labels[first:last]}
    np.savez(body, **arrays)
    files.content, files.pixels = body.getvalue(), pixels
    info = {"url_224": files.url, "MD5_224": hashlib.md5(files.content).hexdigest()}

    class Part:
        def __init__(self, split: str, size: int, root: str):
            with np.load(Path(root) / f"dermamnist_{size}.npz") as found:
                self.imgs, self.labels = found[f"{split}_images"], found[f"{split}_labels"]

    package = SimpleNamespace(INFO={"dermamnist": info}, DermaMNIST=Part)
    monkeypatch.setitem(sys.modules, "medmnist", package)
    return info


def test_dermamnist_from_medmnist(files, medmnist, root):
    files.script = [{"cut": 2000}]
    assert run(root, "dermamnist", "--medmnist") == 0
    assert files.ranges[0] is None and files.ranges[1].startswith("bytes=")
    data = load(root, DermaMNIST)
    assert [len(part) for part in (data.train_x, data.val, data.test)] == [14, 7, 7]
    item = data.train_x[8]
    assert item.impath.endswith("DermaMNIST/DermaMNIST/basal_cell_carcinoma/train8_1.png")
    assert (item.label, item.classname) == (1, "basal cell carcinoma")
    assert np.array_equal(np.asarray(Image.open(item.impath)), files.pixels[8])
    assert np.array_equal(np.asarray(Image.open(data.test[3].impath)), files.pixels[24])
    record = json.loads((root / "DermaMNIST" / "download.json").read_text())
    assert record["source"] == files.url and record["file"] == "dermamnist_224.npz"
    assert record["sha256"] == hashlib.sha256(files.content).hexdigest()


def test_medmnist_with_another_sum(files, medmnist, root, capsys):
    medmnist["MD5_224"] = "0" * 32
    assert run(root, "dermamnist", "--medmnist") == 1
    assert f"Expected the MD5 {'0' * 32} of {root / 'dermamnist_224.npz'}" in said(capsys)
    assert not (root / "DermaMNIST").exists()


def test_medmnist_has_two_of_the_data_sets(files, medmnist, root, capsys):
    assert run(root, "btmri", "--medmnist") == 1
    assert "Expected DermaMNIST or OCTMNIST for --medmnist, but got BTMRI" in said(capsys)


def test_no_medmnist(files, root, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "medmnist", None)
    assert run(root, "octmnist", "--medmnist") == 1
    assert "pip install 'medmnist>=3.0'" in said(capsys)
