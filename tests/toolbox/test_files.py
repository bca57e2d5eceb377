"""Files, log and environment."""

import errno
import os
import sys
from pathlib import Path

import pytest
import torch

from dassl.errors import UserError
from dassl.utils import (
    atomic_write,
    check_isfile,
    collect_env_info,
    listdir_nohidden,
    mkdir_if_missing,
    read_json,
    setup_logger,
    write_json,
    writing,
)


def crash(*_):
    raise OSError("the machine stopped here")


def crash_with(number: int):
    raise OSError(number, os.strerror(number))


def test_json_round_trip_makes_folders(tmp_path):
    path = tmp_path / "a" / "b" / "split.json"
    value = {"train": [["x/ü.png", 0, "normal"]], "val": [], "test": [1.5, None, True]}
    write_json(value, str(path))
    assert read_json(str(path)) == value
    assert listdir_nohidden(path.parent) == ["split.json"]


def test_a_crash_before_the_rename_leaves_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "metrics.json"
    write_json({"accuracy": 1}, path)
    monkeypatch.setattr(os, "replace", crash)
    with pytest.raises(OSError, match="stopped here"):
        write_json({"accuracy": 2}, path)
    assert read_json(path) == {"accuracy": 1}
    assert [p.name for p in tmp_path.iterdir()] == ["metrics.json"]


def test_an_error_while_writing_leaves_the_old_file(tmp_path):
    path = tmp_path / "log.txt"
    path.write_text("old")
    with pytest.raises(TypeError), atomic_write(path) as file:
        file.write("half of the new")
        file.write(3)
    assert path.read_text() == "old"
    with pytest.raises(TypeError):
        write_json({"x": object()}, path)
    assert path.read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["log.txt"]


def test_the_complete_text_is_there_before_the_rename(tmp_path, monkeypatch):
    seen = []
    replace = os.replace
    monkeypatch.setattr(os, "replace", lambda a, b: (seen.append((a.read_text(), a.parent == b.parent)), replace(a, b)))
    write_json([1], tmp_path / "x.json")
    assert seen == [("[\n    1\n]", True)]


def test_damaged_json_is_named(tmp_path):
    path = tmp_path / "split_X.json"
    path.write_text('{"train": [')
    with pytest.raises(ValueError, match=r"Expected JSON in .*split_X\.json"):
        read_json(path)


def test_folders(tmp_path):
    mkdir_if_missing(tmp_path / "a" / "b")
    mkdir_if_missing(tmp_path / "a" / "b")
    for name in ("z.png", "a.png", ".DS_Store"):
        (tmp_path / "a" / "b" / name).touch()
    assert listdir_nohidden(str(tmp_path / "a" / "b"), sort=True) == ["a.png", "z.png"]
    assert sorted(listdir_nohidden(tmp_path / "a" / "b")) == ["a.png", "z.png"]
    assert check_isfile(tmp_path / "a" / "b" / "z.png") is True
    with pytest.warns(UserWarning, match="No file at .*missing"):
        assert check_isfile(tmp_path / "missing") is False


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM])
def test_a_disk_that_cannot_be_written_is_named(tmp_path, monkeypatch, number):
    path = tmp_path / "metrics.json"
    write_json({"accuracy": 1}, path)
    monkeypatch.setattr(os, "fsync", lambda _: crash_with(number))  # a full disk tells no file name
    with pytest.raises(UserError, match=rf"Expected to write {path}, but got: {os.strerror(number)}: make room, or"):
        write_json({"accuracy": 2}, path)
    assert read_json(path) == {"accuracy": 1}
    assert [p.name for p in tmp_path.iterdir()] == ["metrics.json"]


def test_what_libraries_say_of_a_full_disk_is_understood(tmp_path):
    from safetensors import SafetensorError

    for error, words in (
        (SafetensorError("Error while serializing: I/O error: No space left on device (os error 28)"), "No space left"),
        (RuntimeError("[enforce fail at inline_container.cc:672] . unexpected pos 704 vs 598"), "cut short"),
        (RuntimeError("PytorchStreamWriter failed writing file data/0: file write failed"), "cut short"),
    ):
        with (
            pytest.raises(UserError, match=f"Expected to write here/x, but got: .*{words}") as caught,
            writing("here/x"),
        ):
            raise error
        assert caught.value.__cause__ is error


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="a device of Linux")
@pytest.mark.parametrize("size", [10, 2**20])
def test_a_tensor_on_a_full_disk_is_named(size):
    words = "Expected to write /dev/full, but got: "
    with pytest.raises(UserError, match=words), writing("/dev/full"), Path("/dev/full").open("wb") as file:
        torch.save({"a": torch.zeros(size)}, file)


@pytest.mark.parametrize(
    "error", [RuntimeError("size mismatch"), OSError("no number"), FileNotFoundError(2, "none"), UserError("mend it")]
)
def test_other_errors_pass_while_writing(error):
    with pytest.raises(type(error)) as caught, writing("here"):
        raise error
    assert caught.value is error


def test_log_copies_what_is_printed_and_is_appended_to(tmp_path, capsys, stdout_restored):
    console = sys.stdout
    setup_logger(str(tmp_path / "run"))
    print("first run: κ")
    log = tmp_path / "run" / "log.txt"
    assert log.read_text(encoding="utf-8") == "first run: κ\n"  # without a flush: a killed run leaves what it said
    setup_logger(tmp_path / "run")
    print("second run")
    assert log.read_text(encoding="utf-8") == "first run: κ\nsecond run\n"
    setup_logger(str(tmp_path / "other.txt"))
    print("elsewhere")
    sys.stdout.flush()
    assert (tmp_path / "other.txt").read_text() == "elsewhere\n"
    assert "elsewhere" not in log.read_text(encoding="utf-8")
    assert sys.stdout.encoding == console.encoding
    with sys.stdout as logger:
        assert logger.console is console
    print("to the console only")
    assert capsys.readouterr().out == "first run: κ\nsecond run\nelsewhere\nto the console only\n"
    assert (tmp_path / "other.txt").read_text() == "elsewhere\n"


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="a device of Linux")
def test_a_log_without_room_is_named(tmp_path, stdout_restored, monkeypatch):
    monkeypatch.setattr("dassl.utils.logger.open_to_append", lambda _: open("/dev/full", "ab", buffering=0))  # noqa: PTH123, SIM115
    setup_logger(tmp_path)
    with pytest.raises(UserError, match=rf"Expected to write {tmp_path}/log\.txt, but got: No space left on device"):
        print("a line")
    with pytest.raises(UserError, match=r"log\.txt"):
        sys.stdout.close()
    print("to the console only")


def test_no_output_folder_no_log(stdout_restored):
    console = sys.stdout
    setup_logger(None)
    assert sys.stdout is console


def test_environment_names_versions():
    lines = collect_env_info().splitlines()
    assert f"torch: {torch.__version__.split('+')[0]}" in [line.split("+")[0] for line in lines]
    assert any(line.startswith("Python: 3.") for line in lines)
    assert any(line.startswith("CUDA: ") for line in lines)
