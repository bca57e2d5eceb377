"""Download from servers that break off, change the file, or send something else."""

import json
import re
from types import SimpleNamespace

import pytest

from datasets.btmri import BTMRI
from datasets.download import disk, fetch, sources
from tests.datasets.archives import assert_ready, assert_untouched, run, said


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
    assert f"{sources.DRIVE}1_lJLZRUmczqZqoN-dNqkAzGzmi4ONoU5 does not come (no network for https://drive.u" in text
    assert_untouched(root)
    assert run(root) == 0
    assert files.ranges[-1] == f"bytes={kept}-" and not (root / "BTMRI.zip.part").exists()
    assert_ready(root, tmp_path / "source")


def test_a_process_that_is_killed(files, root, tmp_path, monkeypatch):
    class Killed(fetch.Progress):
        def update(self, count=1, figures=""):
            super().update(count, figures)
            if self.done > 4000:
                raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(fetch, "Progress", Killed)
        assert run(root) == 130
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


def test_a_page_in_place_of_the_archive(files, root, capsys):
    files.script = [{"page": b"<html>Please log in.</html>"}]
    assert run(root) == 1
    assert f"{files.url} gives no zip: it begins with b'<html>Please log in.</html>'" in said(capsys)
    assert not (root / "BTMRI.zip").exists()
    assert run(root) == 0


def test_refused_at_once_and_brought_from_drive(files, root, tmp_path, monkeypatch):
    assert sources.DRIVE.startswith("https://drive.usercontent.google.com/download?")
    monkeypatch.setattr(sources, "DRIVE", f"{files.server}/drive?id=")
    files.script = [{"status": 404}, {"cut": 3000}]
    assert run(root) == 0
    assert files.ranges[:2] == [None, None] and files.ranges[2].startswith("bytes=")
    assert_ready(root, tmp_path / "source")
    record = json.loads((root / "BTMRI" / "download.json").read_text())
    assert record["source"] == f"{files.server}/drive?id={BTMRI.drive_id}"
    assert not list(root.glob("*drive*"))


def test_no_source_at_all(files, root, capsys):
    files.script = [{"status": 404}]
    assert run(root) == 1
    text = said(capsys)
    assert "404 Client Error" in text and f"{sources.DRIVE}{BTMRI.drive_id} does not come" in text
    assert f"bring BTMRI.zip from elsewhere, put it into {root}, and run again" in text
