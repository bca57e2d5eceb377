"""Files, images, log and environment."""

import os
import sys

import numpy as np
import pytest
from PIL import Image

from dassl.errors import UserError
from dassl.utils import (
    atomic_write,
    check_isfile,
    collect_env_info,
    listdir_nohidden,
    mkdir_if_missing,
    read_image,
    read_json,
    setup_logger,
    write_json,
)


def crash(*_):
    raise OSError("the machine stopped here")


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
    with pytest.raises(ValueError, match=r"JSON was expected in .*split_X\.json"):
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


def test_images_become_rgb(tmp_path):
    Image.fromarray(np.full((3, 5), 7, "uint8")).save(tmp_path / "grey.png")
    image = read_image(str(tmp_path / "grey.png"))
    assert (image.mode, image.size, image.getpixel((0, 0))) == ("RGB", (5, 3), (7, 7, 7))


@pytest.mark.parametrize("suffix", ["png", "jpg"])
def test_damaged_images_are_named(tmp_path, suffix):
    whole = tmp_path / f"whole.{suffix}"
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype="uint8")).save(whole)
    data = whole.read_bytes()
    for name, content in (("cut", data[: len(data) // 2]), ("text", b"<html>404</html>"), ("empty", b"")):
        path = tmp_path / f"{name}.{suffix}"
        path.write_bytes(content)
        with pytest.raises(UserError, match=rf"An image was expected in .*{name}\.{suffix}, but it cannot be decoded"):
            read_image(path)
    with pytest.raises(UserError, match=r"An image was expected at .*none\.png, found no file"):
        read_image(tmp_path / "none.png")


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


def test_no_output_folder_no_log(stdout_restored):
    console = sys.stdout
    setup_logger(None)
    assert sys.stdout is console


def test_environment_names_versions():
    import torch

    lines = collect_env_info().splitlines()
    assert f"torch: {torch.__version__.split('+')[0]}" in [line.split("+")[0] for line in lines]
    assert any(line.startswith("Python: 3.") for line in lines)
    assert any(line.startswith("CUDA: ") for line in lines)
