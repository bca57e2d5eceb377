"""Every method on a small model of every family."""

import pytest

import train
from tests.families.conftest import NAMES
from tests.gpu.sides import METHODS, check_alike, options
from tests.pretended_gpu import pretended_gpu
from tests.run_folders import learned, record
from trainers.base import backbones

# One model of each kind of towers and tokenizer; the others are of the same code.
KINDS = ("BiomedCLIP", "MedCLIP", "MedCLIP-RN50", "MedSigLIP", "PLIP", "PMC-CLIP", "PubMedCLIP", "PubMedCLIP-RN50")
PROMPTS = ("CoOp", "CoCoOp", "vMFCoOp")


def at_once(names, quick):
    """The names as parameters of a test, of which those that are not quick are slow."""
    return [name if name in quick else pytest.param(name, marks=pytest.mark.slow) for name in names]


@pytest.fixture(autouse=True)
def loaded_anew():
    backbones.load_backbone.cache_clear()
    yield
    backbones.load_backbone.cache_clear()


def run(flags, method: str, name: str, folder, *seeds: int) -> None:
    settings = (*options(method), "PROMPTS.TOO_LONG", "cut")  # a vocabulary of few words makes many tokens of a text
    line = flags(method, *settings, backbone=name, more=("--output-dir", folder))
    if len(seeds) > 1:
        line = flags(method, *settings, backbone=name, output=folder, more=("--seed", *seeds))
    assert train.main(line) == 0


@pytest.mark.parametrize("name", at_once(NAMES, ("MedCLIP", "PLIP", "PMC-CLIP", "PubMedCLIP-RN50")))
def test_all_methods(name, named, flags, tmp_path, capsys):
    for method in METHODS:
        run(flags, method, named(name), tmp_path / method)
        found = record(tmp_path / method)
        assert found["total"] == 20 and 0 <= found["metrics"]["accuracy"] <= 100, method
        assert found["backbone"] == name and len(found["hashes"]["backbone"]) == 16
    for method in ("CoOp", "vMFCoOp"):
        assert learned(tmp_path / method)["ctx"].abs().sum() > 0


@pytest.mark.parametrize("name", at_once(KINDS, ("MedSigLIP", "PMC-CLIP")))
def test_three_seeds_together_learn_what_they_learn_alone(name, named, flags, tmp_path, capsys):
    for method in PROMPTS:
        run(flags, method, named(name), tmp_path / method, 1, 2, 3)
        run(flags, method, name, tmp_path / method / "alone")
        (together,) = (tmp_path / method).glob(f"btmri/shots_2/{method}_*/*/seed1")
        check_alike(together, tmp_path / method / "alone")


@pytest.mark.parametrize("name", at_once(KINDS, ("MedSigLIP", "MedCLIP-RN50")))
def test_a_run_on_a_gpu_learns_what_it_learns_on_the_cpu(name, named, flags, tmp_path, capsys):
    run(flags, "vMFCoOp", named(name), tmp_path / "cpu")
    with pretended_gpu() as gpu:
        backbones.load_backbone.cache_clear()
        run(flags, "vMFCoOp", name, tmp_path / "gpu")
    assert gpu.kernels
    check_alike(tmp_path / "gpu", tmp_path / "cpu")
    assert (learned(tmp_path / "gpu")["ctx"] != 0).any()
