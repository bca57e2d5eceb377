"""Command lines of studies of the miniature BTMRI."""

import pytest


@pytest.fixture
def flags(data_root, tmp_path):
    """`flags(trainer, flag, ..., opts=(KEY, value, ...))`: a study of two seeds and two epochs."""

    def make(trainer: str, *more, root=data_root, opts=()) -> list[str]:
        line = ["--trainer", trainer, "--datasets", "btmri", "--shots", 2, "--seeds", 101, 102, "--root", root]
        line += ["--backbone", "PhantomCLIP", "--output", tmp_path / "studies", *more]
        return [str(word) for word in (*line, "OPTIM.MAX_EPOCH", 2, "DATALOADER.NUM_WORKERS", 0, *opts)]

    return make
