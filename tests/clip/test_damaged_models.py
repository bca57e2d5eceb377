"""A model's folder with a damaged or foreign file: one sentence names the file and says what to do."""

import argparse
import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from clip import build_backbone
from clip.files import WEIGHTS
from dassl.errors import UserError

SOURCE = Path(__file__).parents[2] / "clip" / "phantomclip"
SAFE, PICKLED = WEIGHTS
LFS = b"version https://git-lfs.github.com/spec/v1\noid sha256:" + b"a" * 64 + b"\nsize 783734177\n"


@pytest.fixture
def folder(tmp_path) -> Path:
    return shutil.copytree(SOURCE, tmp_path / "model")


def fails(folder: Path, match: str) -> None:
    with pytest.raises(UserError, match=match) as caught:
        build_backbone(f"local-dir:{folder}")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", WEIGHTS)
@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (LFS, r"it is a Git LFS pointer and not the file itself: run `git lfs pull` in its folder"),
        (b"", r"it is empty: copy or download it again"),
        (
            b"<html>404</html>" * 99,
            r"it is damaged, cut short or another kind of file \(.+\): copy or download it again",
        ),
    ],
    ids=["pointer", "empty", "page"],
)
def test_no_weights(folder, name, content, sentence):
    (folder / SAFE).unlink()
    (folder / name).write_bytes(content)
    fails(folder, rf"Expected weights in {folder}/{name}, but {sentence}\.$")


@pytest.mark.parametrize("kind", [SAFE, PICKLED, "old"])
def test_half_of_the_weights(folder, kind):
    weights = load_file(folder / SAFE)
    path = folder / (SAFE if kind == SAFE else PICKLED)
    if kind != SAFE:
        (folder / SAFE).unlink()
        torch.save(weights, path, _use_new_zipfile_serialization=kind != "old")
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    fails(folder, rf"Expected weights in {path}, but it is damaged, cut short .*: copy or download it again\.$")


@pytest.mark.parametrize("zipped", [True, False])
def test_pickled_objects_are_not_loaded(folder, zipped):
    content = {"args": argparse.Namespace(a=1), "state_dict": load_file(folder / SAFE)}
    (folder / SAFE).unlink()
    torch.save(content, folder / PICKLED, _use_new_zipfile_serialization=zipped)
    fails(folder, rf"{PICKLED}, but it holds pickled objects, which are not loaded because they can run code: save")


def test_nothing_is_run(folder, tmp_path):
    class Trap:
        def __reduce__(self):
            return open, (str(tmp_path / "sprung"), "w")

    (folder / SAFE).unlink()
    torch.save({"state_dict": Trap()}, folder / PICKLED)
    fails(folder, "because they can run code")
    assert not (tmp_path / "sprung").exists()


@pytest.mark.parametrize("content", [[1, 2], torch.zeros(3), {}, {"state_dict": [1]}])
def test_no_dictionary_of_tensors(folder, content):
    (folder / SAFE).unlink()
    torch.save(content, folder / PICKLED)
    fails(folder, rf"Expected weights in .*{PICKLED}, but it holds no dictionary of tensors: save a state_dict\.$")


@pytest.mark.parametrize("content", [b"", LFS, b'{"model_cfg": {', b"\xff\xfe", b"[]", b"{}", b'{"model_cfg": {}}'])
def test_no_configuration(folder, content):
    (folder / "open_clip_config.json").write_bytes(content)
    fails(folder, r"open_clip_config\.json")


@pytest.mark.parametrize("content", [b"", LFS, b'{"model_type": "be'])
def test_no_configuration_of_the_text_tower(folder, content):
    (folder / "config.json").write_bytes(content)
    fails(folder, r"/config\.json")


@pytest.mark.parametrize("name", ["tokenizer.json", "tokenizer_config.json", "vocab.txt"])
@pytest.mark.parametrize("content", [LFS, b'{"version": '], ids=["pointer", "half"])
def test_no_tokenizer(folder, name, content):
    if name == "vocab.txt" and content != LFS:
        content = b"\xff\xfe\x00"
    if name == "vocab.txt":
        (folder / "tokenizer.json").unlink()
    (folder / name).write_bytes(content)
    fails(folder, name.replace(".", r"\."))


@pytest.mark.parametrize("chosen", [False, True])
@pytest.mark.parametrize("name", ["pytorch_model.bin", "model.safetensors", "open_clip_pytorch_model.bin"])
def test_damaged_weights_without_a_description(tmp_path, name, chosen):
    """What is wrong is the file, which may be of a family that needs no description, not that there is none."""
    path = tmp_path / name
    for content, sentence in (
        (LFS, "it is a Git LFS pointer"),
        (b"", "it is empty: copy"),
        (b"cut" * 99, "it is damaged, cut short or another kind of file "),
    ):
        path.write_bytes(content)
        fails(path if chosen else tmp_path, rf"Expected weights in {path}, but {sentence}")
    path.unlink()
    if not chosen:
        fails(tmp_path, r"Expected open_clip_config\.json in ")


def test_whole_weights_without_a_description(folder):
    (folder / "open_clip_config.json").unlink()
    fails(folder, r"Expected open_clip_config\.json in ")
    fails(folder / SAFE, r"Expected open_clip_config\.json beside ")
