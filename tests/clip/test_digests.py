"""Digests of files are remembered, and a file that has changed gets a new one."""

import os
import re
import time
from pathlib import Path
from types import SimpleNamespace

import pytest

from clip import digests, memo
from clip.digests import Digests, content_digest, store_root
from dassl.errors import UserError


@pytest.fixture
def reads(monkeypatch) -> list[Path]:
    """Paths of the files that were read, in order."""
    found, real = [], digests.file_digest

    def file_digest(path: str) -> bytes:
        found.append(Path(path))
        return real(path)

    monkeypatch.setattr(digests, "file_digest", file_digest)
    return found


@pytest.fixture
def later(monkeypatch) -> None:
    """Files that are written now look ten seconds old."""
    now = time.time_ns
    monkeypatch.setattr(time, "time_ns", lambda: now() + 10 * 10**9)


def stat_by(monkeypatch, function) -> None:
    """Let `Digests`, and nothing else, ask `function` for the state of a file."""
    system = SimpleNamespace(stat=function, fspath=os.fspath, fsencode=os.fsencode, path=os.path)
    monkeypatch.setattr(digests, "os", system)


def another_process() -> None:
    Digests.known.clear()


def test_a_file_is_read_once(tmp_path, reads, later):
    path = tmp_path / "a.png"
    path.write_bytes(b"picture")
    root = tmp_path / "store"
    assert Digests(root).of(path) == Digests(root).of(str(path)) == content_digest(b"picture")
    another_process()
    assert Digests(root).of_all([path, path]) == [content_digest(b"picture")] * 2
    assert reads == [path]


def test_a_replaced_file_of_equal_size_and_time_is_seen(tmp_path, later):
    path = tmp_path / "a.png"
    path.write_bytes(b"before")
    memo, stat = Digests(tmp_path), path.stat()
    assert memo.of(path) == content_digest(b"before")
    time.sleep(0.05)
    path.write_bytes(b"behind")
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    assert (path.stat().st_size, path.stat().st_mtime_ns) == (stat.st_size, stat.st_mtime_ns)
    assert memo.of(path) == content_digest(b"behind")


@pytest.mark.parametrize("changed", ["st_size", "st_mtime_ns", "st_ctime_ns", "st_ino"])
def test_each_sign_of_a_change_counts(tmp_path, monkeypatch, changed):
    path = tmp_path / "a.png"
    path.write_bytes(b"before")
    stat = SimpleNamespace(st_size=6, st_mtime_ns=1, st_ctime_ns=1, st_ino=1)
    stat_by(monkeypatch, lambda _: stat)
    memo = Digests(tmp_path / "store")
    assert memo.of(path) == content_digest(b"before")
    path.write_bytes(b"behind")
    assert memo.of(path) == content_digest(b"before")  # no sign: this is what the memo is
    setattr(stat, changed, 2)
    assert memo.of(path) == content_digest(b"behind")


@pytest.mark.parametrize("age", [-5, 0, 1.9])
def test_a_fresh_file_is_not_remembered(tmp_path, monkeypatch, age):
    path, root = tmp_path / "a.png", tmp_path / "store"
    path.write_bytes(b"before")
    stat = SimpleNamespace(st_size=6, st_mtime_ns=1, st_ctime_ns=10**18, st_ino=1)  # of a clock that is too coarse
    stat_by(monkeypatch, lambda _: stat)
    monkeypatch.setattr(time, "time_ns", lambda: 10**18 + int(age * 10**9))
    assert Digests(root).of(path) == content_digest(b"before")
    path.write_bytes(b"behind")
    assert Digests(root).of(path) == content_digest(b"behind")
    another_process()
    assert Digests(root).of(path) == content_digest(b"behind")
    assert not (root / "digests.tsv").exists()
    monkeypatch.setattr(time, "time_ns", lambda: 10**18 + 21 * 10**8)
    Digests(root).of(path)
    assert (root / "digests.tsv").read_text().count("\n") == 1


def test_each_file_is_asked_for_its_state_once_a_call(tmp_path, monkeypatch):
    paths = [tmp_path / f"{i}.png" for i in range(3)]
    for path in paths:
        path.write_bytes(path.name.encode())
    asked: list[str] = []
    stat_by(monkeypatch, lambda path: (asked.append(path), Path(path).stat())[1])
    found = Digests(tmp_path / "store").of_all([*paths, *map(str, paths)] * 10)
    assert found == [content_digest(path.name.encode()) for path in paths] * 20
    assert sorted(asked) == sorted(map(str, paths))


@pytest.mark.parametrize("name", ["none.png", "folder"])
def test_what_cannot_be_read_is_named_and_the_rest_is_remembered(tmp_path, later, name):
    (tmp_path / "folder").mkdir()
    (tmp_path / "a.png").write_bytes(b"picture")
    with pytest.raises(UserError, match=rf"Expected a readable file at {tmp_path}/{name}, but got: .*: check the data"):
        Digests(tmp_path).of_all([tmp_path / "a.png", tmp_path / name])
    assert content_digest(b"picture").hex() in (tmp_path / "digests.tsv").read_text()


@pytest.mark.parametrize("name", [b"caf\xe9.png", "é.png".encode(), b"two\nlines.png", b"a\x85b\x0c.png"])
def test_any_name_of_a_file_will_do(tmp_path, reads, later, name):
    path = os.fsdecode(os.fsencode(tmp_path) + b"/" + name)
    Path(path).write_bytes(b"picture")
    for _ in range(2):
        another_process()
        assert Digests(tmp_path).of(path) == content_digest(b"picture")
    assert len(reads) == 1


def test_a_name_forges_no_line_and_is_not_told(tmp_path, later):
    """A folder's name with line break, digest, tab and state of another file adds no line for that file."""
    victim = tmp_path / "victim.png"
    victim.write_bytes(b"picture")
    root, stat = tmp_path / "store", victim.stat()
    state = f"{stat.st_size} {stat.st_mtime_ns} {stat.st_ctime_ns} {stat.st_ino} "
    keys = [f"{state}{victim}", content_digest(f"{state}{victim}".encode()).hex()]
    for number, key in enumerate(keys):
        folder = Path(f"{tmp_path}/class{number}\n{'0' * 32}\t{key}\n")
        folder.mkdir(parents=True)
        (folder / "DOE_John.png").write_bytes(b"other")
        Digests(root).of(folder / "DOE_John.png")
    another_process()
    assert Digests(root).of(victim) == content_digest(b"picture")
    memo = (root / "digests.tsv").read_bytes()
    assert b"DOE" not in memo and b"victim" not in memo and re.fullmatch(rb"([0-9a-f]{32}\t[0-9a-f]{32}\n){3}", memo)
    assert stat_of(root / "digests.tsv") == 0o600 and stat_of(root) == 0o700


def stat_of(path: Path) -> int:
    """Return the permissions of a file."""
    return path.stat().st_mode & 0o777


def test_lines_that_are_none_are_passed_over(tmp_path, reads, later):
    path = tmp_path / "a.png"
    path.write_bytes(b"picture")
    Digests(tmp_path).of(path)
    whole = (tmp_path / "digests.tsv").read_bytes()
    junk = b"\xff\xfe\x00\n" + b"z" * 32 + b"\t1 2 3 4 /x\n" + b"\xe9" * 32 + b"\tx\n" + whole[:20] + b"\n\n"
    (tmp_path / "digests.tsv").write_bytes(junk + whole + whole[:40])
    another_process()
    assert Digests(tmp_path).of(path) == content_digest(b"picture")
    assert reads == [path]
    assert (tmp_path / "digests.tsv").read_bytes() == whole, "older memos tell names of files"


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="a device of Linux")
def test_a_memo_without_room_is_named(tmp_path, later, monkeypatch):
    (tmp_path / "a.png").write_bytes(b"picture")
    full = open("/dev/full", "ab", buffering=0)  # noqa: PTH123, SIM115
    monkeypatch.setattr(memo, "open_to_append", lambda *_, **__: full)
    with pytest.raises(UserError, match=r"Expected to write .*digests\.tsv, but got: No space left on device"):
        Digests(tmp_path).of(tmp_path / "a.png")


def test_where_what_is_computed_once_is_kept(tmp_path, monkeypatch):
    monkeypatch.setenv("VMFCOOP_CACHE", "~/somewhere")
    assert store_root(tmp_path) == tmp_path
    assert store_root() == store_root("") == Path.home() / "somewhere"
    monkeypatch.delenv("VMFCOOP_CACHE")
    assert "vmfcoop" in store_root().parts
