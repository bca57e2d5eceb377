"""Every method on the pretended GPU: the tensors and figures of the CPU."""

from functools import partial

import pytest

import train
from tests.gpu.sides import CPU, GPU, METHODS, OPEN, check_alike, options
from tests.pretended_gpu import pretended_gpu
from tests.run_folders import run_folder

SEEDS = (1, 2, 3)


@pytest.mark.parametrize("method", METHODS)
def test_alone_and_three_together_learn_what_they_learn_on_the_cpu(method, flags, tmp_path):
    assert train.main(flags(method, *options(method), *CPU, output=tmp_path / "cpu", more=("--seed", *SEEDS))) == 0
    with pretended_gpu() as gpu:
        assert train.main(flags(method, *options(method), *GPU, output=tmp_path / "alone")) == 0
        assert (
            train.main(flags(method, *options(method), *GPU, output=tmp_path / "together", more=("--seed", *SEEDS)))
            == 0
        )
    assert gpu.kernels
    folders = {side: [run_folder(tmp_path / side, method, seed=s) for s in SEEDS] for side in ("cpu", "together")}
    check_alike(run_folder(tmp_path / "alone", method), folders["cpu"][0])
    for found, expected in zip(folders["together"], folders["cpu"], strict=True):
        check_alike(found, expected)


@pytest.mark.parametrize("method", OPEN)
def test_base_to_novel_gives_the_figures_of_the_cpu(method, flags, tmp_path):
    for side, device in (("cpu", CPU), ("gpu", GPU)):
        line = partial(flags, method, *options(method), *device, output=tmp_path / side)
        with pretended_gpu():
            assert train.main(line(more=("--setting", "base2new", "--subsample", "base"))) == 0
            assert train.main(line(more=("--setting", "base2new", "--subsample", "new", "--eval-only"))) == 0
    for part in ("train_base", "test_new"):
        check_alike(*(run_folder(tmp_path / side / "base2new" / part, method) for side in ("gpu", "cpu")))
