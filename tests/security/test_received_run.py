"""A run's folder that somebody else made: what is in it is checked before it is believed, and never run."""

import os
import pickle
from pathlib import Path

import pytest
import torch

import train

OPTS = ("OPTIM.MAX_EPOCH", 2, "FEATURES.VIEWS", 1)


class Code:
    """What a pickle can do when it is loaded."""

    def __init__(self, sentinel: Path):
        self.sentinel = sentinel

    def __reduce__(self):
        return os.mkdir, (str(self.sentinel),)


@pytest.fixture
def run(flags, tmp_path):
    """`run(*more)` starts the same run again and returns its exit code; `run.folder` is where it lies."""

    def again(*more: str) -> int:
        return train.main(flags("CoOp", *OPTS, output=tmp_path / "runs", more=more))

    assert again() == 0
    (again.folder,) = (path.parent for path in (tmp_path / "runs").rglob("metrics.json"))
    return again


def told(capsys, *words: str) -> None:
    """The last error is one sentence with these words, and no traceback."""
    err = capsys.readouterr().err
    assert "Traceback" not in err and err.count("error: ") == 1 and all(word in err for word in words), err


@pytest.mark.parametrize(
    "content",
    [
        "",
        "[]",
        "3",
        "[" * 100_000,
        '{"hashes": []}',
        '{"hashes": {}, "sentences_per_class": "50"}',
        '{"hashes": {}, "sentences_per_class": -1}',
        '{"hashes": {"config": ["\\u001b[2J"]}}',
        '{"hashes": {"config": null}, "loaded": "\\u001b]0;x\\u0007"}',
        "a named pipe",
        "a folder",
        "a link",
        "too large",
    ],
)
def test_results_of_something_else_are_named(run, capsys, tmp_path, content):
    path = run.folder / "metrics.json"
    before = path.read_text()
    path.unlink()
    if content == "a named pipe":
        os.mkfifo(path)
    elif content == "a folder":
        path.mkdir()
    elif content == "a link":
        (tmp_path / "elsewhere.json").write_text(before)
        path.symlink_to(tmp_path / "elsewhere.json")
    elif content == "too large":
        path.write_text(before + " " * 16 * 1024 * 1024)
    else:
        path.write_text(content)
    capsys.readouterr()
    assert run() == 1
    told(capsys, str(path))


def checkpoint(run, change) -> Path:
    """Replace what the run has learned by `change(state)`; its results go, so that it would be loaded."""
    (run.folder / "metrics.json").unlink()
    (path,) = run.folder.glob("*/model.pth.tar-*")
    state = torch.load(path, weights_only=True)
    torch.save(change(state), path)
    return path


def without(key: str):
    return lambda state: {name: value for name, value in state.items() if name != key}


def with_(key: str, value):
    return lambda state: state | {key: value}


@pytest.mark.parametrize(
    "change",
    [
        lambda state: [state],
        lambda _: torch.zeros(3),
        without("state_dict"),
        without("backbone"),
        with_("state_dict", []),
        with_("state_dict", {"ctx": 3}),
        with_("state_dict", {}),
        with_("state_dict", {"ctx": torch.zeros(1)}),
        with_("epoch", "2"),
        with_("hashes", []),
        with_("classnames", None),
        with_("backbone", ["x"]),
    ],
)
@pytest.mark.parametrize("way", ["resumed", "tested"])
def test_a_checkpoint_of_something_else_is_named(run, capsys, change, way):
    path = checkpoint(run, change)
    capsys.readouterr()
    more = ("--eval-only", "--model-dir", str(run.folder)) if way == "tested" else ()
    assert run(*more) == 1
    told(capsys, str(path.parent))


@pytest.mark.parametrize("key", ["optimizer", "scheduler"])
@pytest.mark.parametrize(
    "state", [{}, [], {"state": 1, "param_groups": 2}, {"param_groups": [{"lr": "x"}], "state": {}}]
)
def test_the_state_of_another_optimizer_is_named(run, capsys, key, state):
    path = checkpoint(run, lambda found: found | {"optimizer": {}, "scheduler": {}, key: state})
    capsys.readouterr()
    assert run() == 1
    told(capsys, str(path.parent))


@pytest.mark.parametrize("form", ["pickle", "torch"])
@pytest.mark.parametrize("way", ["resumed", "tested"])
def test_a_pickle_is_not_loaded(run, capsys, tmp_path, form, way):
    sentinel = tmp_path / "sentinel"
    path = checkpoint(run, lambda state: state | {"extra": Code(sentinel)})
    if form == "pickle":
        path.write_bytes(pickle.dumps(Code(sentinel)))
    capsys.readouterr()
    more = ("--eval-only", "--model-dir", str(run.folder)) if way == "tested" else ()
    assert run(*more) == 1
    told(capsys, str(path), "can run code")
    assert not sentinel.exists()
