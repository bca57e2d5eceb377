"""Download archives that are damaged, hostile, or of something else."""

import io
import re
import shutil
import stat
import zipfile
from pathlib import Path

import pytest

from datasets.busi import BUSI
from tests.datasets.archives import (
    FIRST,
    assert_untouched,
    make_zip,
    run,
    said,
    zip_folder,
)


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
    assert new == {"data", "data/.BTMRI.lock", "data/BTMRI.zip", "data/BTMRI.zip.json", "data/BTMRI.zip.known.json"}
    assert not Path("/tmp/evil.txt").exists() and not list(Path.cwd().glob("*evil.txt"))


def test_an_archive_that_lacks_images(files, root, tmp_path, capsys):
    shutil.rmtree(tmp_path / "source" / "BTMRI" / "BTMRI" / "normal_brain")
    files.content = zip_folder(tmp_path / "source")
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
    files.content = zip_folder(tmp_path / "source")
    assert run(root) == 1
    assert 'glioma_tumor/train0.png has label 0 "glioma"' in said(capsys)
    assert_untouched(root)
