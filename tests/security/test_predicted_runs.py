"""A run that someone else made is predicted with by what it holds, or refused in a sentence; nothing of it is run."""

import json
import shutil
from pathlib import Path

import pytest
import torch

import predict
import train
from runs import export
from tests.run_folders import run_folder

pytestmark = [pytest.mark.usefixtures("sentinel", "no_network", "no_stdin")]


@pytest.fixture
def received(flags, tmp_path, data_root, tiny, capsys) -> Path:
    """A finished run whose folder came from elsewhere."""
    assert train.main(flags("CoOp", output=tmp_path / "theirs")) == 0
    shutil.copytree(run_folder(tmp_path / "theirs", "CoOp"), tmp_path / "received")
    capsys.readouterr()
    return tmp_path / "received"


@pytest.fixture
def picture(data_root) -> Path:
    return next((data_root / "BTMRI").rglob("test0.png"))


def in_config(folder: Path, old: str, new: str) -> None:
    path = folder / "config.yaml"
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


def code_in_yaml(folder: Path, sentinel) -> None:
    with (folder / "config.yaml").open("a") as file:
        file.write(f"EVIL: !!python/object/apply:builtins.exec [{json.dumps(sentinel.code)}]\n")


def linked_config(folder: Path, sentinel) -> None:
    (folder / "config.yaml").rename(folder.parent / "theirs.yaml")
    (folder / "config.yaml").symlink_to(folder.parent / "theirs.yaml")


def pickled(folder: Path, sentinel) -> None:
    (path,) = (folder / "prompt_learner").glob("model.pth.tar-*")
    torch.save({"state_dict": sentinel}, path)


def other_shapes(folder: Path, sentinel) -> None:
    (path,) = (folder / "prompt_learner").glob("model.pth.tar-*")
    state = torch.load(path, weights_only=True)
    torch.save(state | {"state_dict": {"ctx": torch.zeros(4, 12, 10**4)}}, path)


def names_that_steer(folder: Path, sentinel) -> None:
    path = folder / "metrics.json"
    found = json.loads(path.read_text())
    found["metrics"]["per_class"] = {"a\x1b[2J": 1.0, "b": 2.0}
    path.write_text(json.dumps(found))


def endless(folder: Path, sentinel) -> None:
    with (folder / "metrics.json").open("wb") as file:
        file.truncate(200 * 1024**3)  # sparse


DAMAGE = [code_in_yaml, linked_config, pickled, other_shapes, names_that_steer, endless]


@pytest.mark.parametrize("damage", DAMAGE)
@pytest.mark.parametrize("command", [predict.main, export.main])
def test_a_hostile_run_is_one_sentence(received, picture, sentinel, capsys, damage, command):
    damage(received, sentinel)
    line = [str(received)] + ([str(picture)] if command is predict.main else [])
    assert command(line) == 1
    err = capsys.readouterr().err
    assert err.startswith("error: ") and err.count("\n") == 1 and "\x1b" not in err


def test_places_of_a_run_are_not_written_to(received, picture, tmp_path, capsys):
    for key in ("OUTPUT_DIR", "RESUME"):
        (line,) = (each for each in (received / "config.yaml").read_text().splitlines() if each.startswith(f"{key}:"))
        in_config(received, line, f"{key}: {tmp_path / 'chosen' / key}")
    in_config(received, "FEATURES:\n  ROOT: ''", f"FEATURES:\n  ROOT: {tmp_path / 'chosen' / 'store'}")
    before = sorted(received.rglob("*"))
    assert predict.main([str(received), str(picture)]) == 0
    assert not (tmp_path / "chosen").exists() and sorted(received.rglob("*")) == before
