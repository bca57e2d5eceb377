"""Rows that were put are found again by every process, with little memory, and after any failure."""

import errno
import os
import subprocess
import sys
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clip import row_store
from clip.row_store import RowStore

ROOT = Path(__file__).parents[2]


def key(i: int) -> bytes:
    return i.to_bytes(4, "little")  # ends in zeros


def row(i: int, width: int = 3) -> np.ndarray:
    return np.full((1, width), i, np.float32)


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.glob("*.rows")}


@settings(max_examples=30, deadline=None)
@given(
    st.lists(st.lists(st.integers(0, 40), min_size=1, max_size=9, unique=True), max_size=12),
    st.lists(st.integers(0, 45), max_size=30),
    st.integers(1, 3),
    st.sampled_from([5, 10**6]),
)
def test_a_table_answers_like_a_dictionary(tmp_path_factory, puts, asked, merge_above, small):
    folder = tmp_path_factory.mktemp("table")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(row_store, "MERGE_ABOVE", merge_above)
        patch.setattr(row_store, "SMALL", small)
        patch.setattr(row_store, "ROWS_AT_ONCE", 4)
        writer, reader = RowStore(folder), RowStore(folder)
        for numbers in puts:
            writer.put([key(i) for i in numbers], np.concatenate([row(i) for i in numbers]))
            reader.get([key(0)])
    held = {i for numbers in puts for i in numbers}
    for table in (writer, reader, RowStore(folder)):
        found = table.get([key(i) for i in asked])
        assert [None if r is None else r.tolist() for r in found] == [[i] * 3 if i in held else None for i in asked]


def test_an_answer_takes_the_memory_of_the_keys_and_of_the_rows_asked_for(tmp_path, monkeypatch):
    monkeypatch.setattr(row_store, "MERGE_ABOVE", 10)
    count, width = 12_000, 512  # 25 MB
    filler = RowStore(tmp_path)
    for start in range(0, count, 1000):
        rows = np.repeat(np.arange(start, start + 1000, dtype=np.float32)[:, None], width, axis=1)
        if start == 10_000:  # merges 11 files
            tracemalloc.start()
        filler.put([key(i) for i in range(start, start + 1000)], rows)
        if start == 10_000:
            _, most = tracemalloc.get_traced_memory()
            tracemalloc.stop()
            assert most < 18e6  # blocks of 4096 rows, and one more while it is read
    assert len(names(tmp_path)) == 2
    tracemalloc.start()
    found = RowStore(tmp_path).get([key(i) for i in range(0, count, 1000)])
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert [r[0] for r in found] == list(range(0, count, 1000))
    assert most < 1e6


def test_large_files_are_not_copied_again(tmp_path, monkeypatch):
    monkeypatch.setattr(row_store, "MERGE_ABOVE", 2)
    monkeypatch.setattr(row_store, "SMALL", 6)
    table = RowStore(tmp_path)
    table.put([key(i) for i in range(6)], np.concatenate([row(i) for i in range(6)]))
    (large,) = names(tmp_path)
    for i in range(6, 9):
        table.put([key(i)], row(i))
    assert len(names(tmp_path)) == 2 and large in names(tmp_path)


def test_keys_of_another_length_are_not_found(tmp_path):
    RowStore(tmp_path).put([b"abc\0"], row(1))
    table = RowStore(tmp_path)
    assert table.get([b"abc"]) == [None] and table.get([b"abc\0\0"]) == [None]
    assert table.get([b"abc\0"])[0].tolist() == [1, 1, 1]


def test_files_that_vanish_while_they_are_read_are_found_where_they_went(tmp_path, monkeypatch):
    monkeypatch.setattr(row_store, "MERGE_ABOVE", 2)
    other, table = RowStore(tmp_path), RowStore(tmp_path)
    for i in range(2):
        other.put([key(i)], row(i))
    refresh, before = table._refresh, names(tmp_path)

    def late():
        refresh()
        if len(names(tmp_path)) == 2:
            other.put([key(2)], row(2))  # merges

    monkeypatch.setattr(table, "_refresh", late)
    assert [r.tolist() for r in table.get([key(0), key(1)])] == [[0] * 3, [1] * 3]
    assert not names(tmp_path) & before


def damage(content: bytes) -> dict[str, bytes]:
    flipped = bytes([content[0] ^ 1]) + content[1:]
    return {"cut": content[:-1], "header": content[:40], "empty": b"", "flipped": flipped, "longer": content + b"x"}


@pytest.mark.parametrize("kind", ["cut", "header", "empty", "flipped", "longer"])
def test_a_damaged_file_is_left_out_with_a_warning_and_is_merged_away(tmp_path, monkeypatch, kind):
    table = RowStore(tmp_path)
    table.put([key(1)], row(1))
    (path,) = tmp_path.glob("*.rows")
    path.write_bytes(damage(path.read_bytes())[kind])
    table = RowStore(tmp_path)
    with pytest.warns(UserWarning, match=f"{path} is damaged"):
        assert table.get([key(1)]) == [None]
    assert table.get([key(1)]) == [None]  # once is enough
    monkeypatch.setattr(row_store, "MERGE_ABOVE", 1)
    table.put([key(1)], row(1))
    assert RowStore(tmp_path).get([key(1)])[0].tolist() == [1] * 3
    assert not path.exists()


def test_a_file_that_becomes_shorter_is_left_out(tmp_path):
    table = RowStore(tmp_path)
    table.put([key(1), key(2)], np.concatenate([row(1), row(2)]))
    (path,) = tmp_path.glob("*.rows")
    path.write_bytes(path.read_bytes()[:-4])
    with pytest.warns(UserWarning, match="shorter"):
        assert table.get([key(2)]) == [None]


def test_files_of_older_stores_are_passed_over(tmp_path):
    (tmp_path / "0123.safetensors").write_bytes(b"rows of another time")
    assert RowStore(tmp_path).get([key(1)]) == [None]


def test_what_killed_writers_left_goes_after_a_day(tmp_path, monkeypatch):
    monkeypatch.setattr(row_store, "MERGE_ABOVE", 1)
    old, new = tmp_path / ".a.rows.1.tmp", tmp_path / ".b.rows.2.tmp"
    for path in (old, new):
        path.touch()
    os.utime(old, (0, 0))
    table = RowStore(tmp_path)
    for i in range(2):
        table.put([key(i)], row(i))
    assert not old.exists() and new.exists()


def test_a_merge_without_room_is_put_off(tmp_path, monkeypatch):
    monkeypatch.setattr(row_store, "MERGE_ABOVE", 1)
    table, fsync, calls = RowStore(tmp_path), os.fsync, []

    def full(number):
        calls.append(number)
        if len(calls) == 3:  # the file of the merge
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        fsync(number)

    monkeypatch.setattr(os, "fsync", full)
    for i in range(2):
        table.put([key(i)], row(i))
    assert len(calls) == 3 and len(names(tmp_path)) == 2
    assert [r.tolist() for r in table.get([key(0), key(1)])] == [[0] * 3, [1] * 3]


WRITER = """
import sys, time, numpy as np
from clip import row_store
row_store.MERGE_ABOVE = 8
first, folder = int(sys.argv[1]), sys.argv[2]
table = row_store.RowStore(folder)
for i in range(first, first + 40):
    table.put([i.to_bytes(4, "little")], np.full((1, 3), i, np.float32))
    print(i, flush=True)
"""


def start(first: int, folder: Path) -> subprocess.Popen:
    command = [sys.executable, "-c", WRITER, str(first), str(folder)]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)


def held(folder: Path, numbers: range) -> list[bool]:
    rows = RowStore(folder).get([key(i) for i in numbers])
    assert all(row is None or row.tolist() == [i] * 3 for i, row in zip(numbers, rows, strict=True))
    return [row is not None for row in rows]


@pytest.mark.slow
def test_two_processes_writing_at_once_lose_nothing(tmp_path):
    writers = [start(0, tmp_path), start(40, tmp_path)]
    assert [writer.wait() for writer in writers if writer.communicate()] == [0, 0]
    assert all(held(tmp_path, range(80)))
    assert len(names(tmp_path)) <= 2 * 8  # 80 were written: some were merged


def test_a_killed_writer_leaves_what_it_wrote(tmp_path):
    writer = start(0, tmp_path)
    for line in writer.stdout:
        if int(line) == 30:  # a merge has happened
            break
    writer.kill()
    writer.communicate()
    assert all(held(tmp_path, range(31)))
