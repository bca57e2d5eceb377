"""A small folder of BTMRI phantoms, and grids over it."""

from collections.abc import Callable
from pathlib import Path

import pytest

from datasets import phantoms
from datasets.phantoms.folder import Counts
from grid import __main__ as command
from grid.plan import Grid
from runs.spec import RunSpec


@pytest.fixture(scope="session")
def data_root(tmp_path_factory) -> Path:
    root = tmp_path_factory.mktemp("data")
    phantoms.prepare("BTMRI", root, counts=Counts(train=3, val=1, test_total=12), progress=False)
    return root


@pytest.fixture
def line(data_root, tmp_path) -> Callable[..., list[str]]:
    """`line(method, ..., opts=(KEY, value, ...), flag=value)`: a grid of two shots, two seeds and four epochs."""

    def make(*methods: str, opts=(), more=(), **flags) -> list[str]:
        given = {"datasets": "btmri", "shots": 2, "root": data_root, "output": tmp_path, "backbone": "PhantomCLIP"}
        words = [word for name, value in (given | flags).items() for word in (f"--{name}", value)]
        words += ["--methods", *methods, *([] if "seeds" in flags else ["--seeds", 1, 2]), *more]
        return [str(word) for word in (*words, "OPTIM.MAX_EPOCH", 4, "DATALOADER.NUM_WORKERS", 0, *opts)]

    return make


@pytest.fixture
def grid(line) -> Callable[..., Grid]:
    """`grid(method, ...)`: the grid of the line."""

    def make(*methods: str, **more) -> Grid:
        return command.parse(line(*methods, **more))[0]

    return make


@pytest.fixture
def job(tmp_path) -> Callable[..., RunSpec]:
    """`job(trainer, dataset)`: two seeds, to be written below tmp_path."""

    def make(trainer: str, dataset: str = "btmri", seeds=(1, 2)) -> RunSpec:
        return RunSpec(trainer, dataset, 2, seeds, output=str(tmp_path))

    return make
