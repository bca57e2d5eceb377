"""Writing files: whole or not at all, never through a link, by two processes at once."""

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from dassl.errors import UserError
from dassl.reading import read_json
from dassl.writing import atomic_write, check_within, open_to_append, write_json

# Containers on one disk have the same process numbers: 331 of 724 writes failed so, three reads were damaged.
WRITER = """
import os, sys
os.getpid = lambda: 1
from dassl.reading import read_json
from dassl.writing import write_json
for i in range(1000):
    write_json({"values": [i] * 200}, sys.argv[1])
    values = read_json(sys.argv[1])["values"]
    assert len(values) == 200 and len(set(values)) == 1
"""


@pytest.fixture
def sentinel(tmp_path) -> Path:
    """Return a file of the user in another folder."""
    path = tmp_path / "elsewhere" / "sentinel"
    path.parent.mkdir()
    path.write_text("mine")
    return path


def test_two_processes_with_one_number_write_the_same_file(tmp_path):
    writers = [
        subprocess.Popen([sys.executable, "-c", WRITER, str(tmp_path / "shot_16-seed_1.json")], stderr=subprocess.PIPE)
        for _ in range(2)
    ]
    for writer in writers:
        _, errors = writer.communicate(timeout=300)
        assert writer.returncode == 0, errors.decode()
    assert list(tmp_path.iterdir()) == [tmp_path / "shot_16-seed_1.json"]


@pytest.mark.parametrize("links", ["the file", "what may be written beside it"])
def test_a_link_is_replaced_and_what_it_leads_to_stays(links, tmp_path, sentinel):
    names = ["a.json"] if links == "the file" else [f"{dot}a.json{end}" for dot in ("", ".") for end in ENDS]
    for name in names:
        (tmp_path / name).symlink_to(sentinel)
    write_json([1], tmp_path / "a.json")
    assert sentinel.read_text() == "mine" and read_json(tmp_path / "a.json", links=False) == [1]


ENDS = (".part", ".partial", ".tmp", f".{os.getpid()}.tmp", ".lock")


@pytest.mark.parametrize("kind", ["link", "dangling link", "folder", "named pipe"])
def test_nothing_is_appended_to_a_link_or_to_what_is_no_file(kind, tmp_path, sentinel):
    path = tmp_path / "log.txt"
    if kind == "folder":
        path.mkdir()
    elif kind == "named pipe":
        os.mkfifo(path)
    else:
        path.symlink_to(sentinel if kind == "link" else tmp_path / "nothing")
    with pytest.raises(UserError, match=r"Expected to append to the file .*log\.txt"):
        open_to_append(path)
    assert sentinel.read_text() == "mine" and not (tmp_path / "nothing").exists()


@pytest.mark.parametrize("inside", ["a/b.csv", "a/c/d.csv"])
def test_a_file_stays_in_its_folder(inside, tmp_path, sentinel):
    report = tmp_path / "report"
    report.mkdir()
    with atomic_write(report / inside, within=report) as file:
        file.write("1")
    assert (report / inside).read_text() == "1"
    (report / "link").symlink_to(sentinel.parent)
    for path in (report / "link" / inside, report / ".." / inside, tmp_path / "reports" / inside, Path("/") / inside):
        with pytest.raises(UserError, match="Expected to write below"), atomic_write(path, within=report) as file:
            file.write("2")
    assert [path.name for path in sentinel.parent.iterdir()] == ["sentinel"]


def test_the_folder_itself_may_be_a_link(tmp_path, sentinel):
    (tmp_path / "output").symlink_to(sentinel.parent)
    check_within(tmp_path / "output" / "a" / "b.csv", tmp_path / "output")


def test_private_means_the_owner_alone(tmp_path):
    before = os.umask(0)
    try:
        write_json([1], tmp_path / "store" / "deep" / "a.json", private=True)
        open_to_append(tmp_path / "memo" / "a.tsv", private=True).close()
        write_json([1], tmp_path / "shared" / "b.json")
    finally:
        os.umask(before)
    mode = {path.relative_to(tmp_path).as_posix(): stat.S_IMODE(path.stat().st_mode) for path in tmp_path.rglob("*")}
    assert mode == {
        "store": 0o700,
        "store/deep": 0o700,
        "store/deep/a.json": 0o600,
        "memo": 0o700,
        "memo/a.tsv": 0o600,
        "shared": 0o777,
        "shared/b.json": 0o666,
    }


def test_what_was_there_before_is_whole_if_writing_fails(tmp_path):
    write_json([1], tmp_path / "a.json")
    with pytest.raises(ZeroDivisionError), atomic_write(tmp_path / "a.json") as file:
        file.write("[2")
        file.flush()
        1 / 0  # noqa: B018
    assert read_json(tmp_path / "a.json") == [1] and len(list(tmp_path.iterdir())) == 1


def test_a_folder_in_the_place_of_a_file_is_named(tmp_path):
    (tmp_path / "metrics.json").mkdir()
    with pytest.raises(UserError, match=r"the file .*metrics\.json, but there is a folder"):
        write_json([1], tmp_path / "metrics.json")
    assert not list((tmp_path / "metrics.json").iterdir()) and len(list(tmp_path.iterdir())) == 1
