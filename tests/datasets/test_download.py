"""Download a data set: the normal case, a full disk, and other processes."""

import errno
import hashlib
import io
import json
import re
import shutil
import zipfile
from datetime import date
from types import SimpleNamespace

import pytest
from filelock import FileLock

from datasets.download import archive, disk, fetch
from tests.datasets.archives import (
    FIRST,
    IMAGES,
    assert_ready,
    assert_untouched,
    make_zip,
    run,
    said,
)
from tests.datasets.layout import lay_out, load


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
    assert captured.err == ""  # no bar, as this is no terminal
    assert sorted(path.name for path in root.iterdir()) == [
        ".BTMRI.lock",
        "BTMRI",
        "BTMRI.zip",
        "BTMRI.zip.json",
        "BTMRI.zip.known.json",
    ]


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


def test_too_little_room_is_told_before_anything_is_written(files, root, monkeypatch, capsys):
    free = 2 * len(files.content) - 1
    monkeypatch.setattr(disk.shutil, "disk_usage", lambda path: SimpleNamespace(free=free))
    assert run(root) == 1
    text = said(capsys)
    assert f"free in {root} for the archive and what it holds, but there are {disk.format_size(free)}" in text
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
            taken = self.file.write(chunk[: self.left])
            self.left -= taken
            if not taken:
                raise OSError(errno.ENOSPC, "No space left on device")
            return taken

    with monkeypatch.context() as patch:
        patch.setattr(fetch, "open_to_append", lambda path, real=fetch.open_to_append: Full(real(path)))
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
