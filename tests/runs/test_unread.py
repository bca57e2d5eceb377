"""A yaml file of this run's method or data set that no run reads is an error, which names the place that is read."""

import re
import shutil
from pathlib import Path

import pytest

import train
from dassl.engine import TRAINER_REGISTRY
from dassl.errors import UserError
from runs import config, files, methods
from runs.config import configure
from runs.spec import RunSpec
from tests.run_folders import run_folder
from trainers import register_all


@pytest.fixture
def configs(tmp_path, monkeypatch) -> Path:
    """A copy of configs/ that the code reads."""
    copy = Path(shutil.copytree(config.CONFIGS, tmp_path / "configs"))
    monkeypatch.setattr(config, "CONFIGS", copy)
    monkeypatch.setattr(files, "CONFIGS", copy)
    monkeypatch.setattr(methods, "CONFIGS", copy)
    return copy


def write(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("OPTIM:\n  LR: 0.5\n")
    return path


def spec(trainer: str = "KgCoOp", dataset: str = "btmri", **more) -> RunSpec:
    return RunSpec(trainer, dataset, 1, root="x", **more)


@pytest.mark.parametrize(
    ("file", "place"),
    [
        ("trainers/KgCoOp.yaml", "trainers/KgCoOp/few_shot.yaml"),
        ("trainers/kgcoop.yml", "trainers/KgCoOp/few_shot.yaml"),
        ("KgCoOp.yaml", "trainers/KgCoOp/few_shot.yaml"),
        ("trainers/kgcoop/few_shot.yaml", "trainers/KgCoOp/few_shot.yaml"),
        ("trainers/Kg_CoOp/few_shot.yaml", "trainers/KgCoOp/few_shot.yaml"),
        ("trainers/KgCoOp/fewshot.yaml", "trainers/KgCoOp/few_shot.yaml"),
        ("trainers/KgCoOp/few_shot.yml", "trainers/KgCoOp/few_shot.yaml"),
        ("trainers/KgCoOp/btmri.yaml", "trainers/KgCoOp/few_shot.yaml"),
        ("trainers/KgCoOp/few_shot/btmrii.yaml", "trainers/KgCoOp/few_shot/<data set>.yaml"),
        ("trainers/KgCoOp/few_shot/BTMRI.yaml", "trainers/KgCoOp/few_shot/<data set>.yaml"),
        ("trainers/KgCoOp/fewshot/btmri.yaml", "trainers/KgCoOp/few_shot/<data set>.yaml"),
        ("datasets/BTMRI.yaml", "datasets/btmri.yaml"),
        ("datasets/btmrii.yaml", "datasets/btmri.yaml"),
        ("datasets/btmri.yml", "datasets/btmri.yaml"),
        ("datasets/btmri-mine.yaml", "datasets/btmri.yaml"),
        ("btmri.yaml", "datasets/btmri.yaml"),
        ("shots/x.yaml", "shots/1.yaml"),
        ("shots/01.yaml", "shots/1.yaml"),
        ("common.yml", "common.yaml"),
    ],
)
def test_a_file_that_no_run_reads_is_told_with_its_place(configs, file, place):
    path = write(configs / file)
    told = re.escape(f"Expected settings in {configs / place}, but got {path}, which no run reads (this one reads ")
    with pytest.raises(UserError, match=told + re.escape(str(configs / "common.yaml"))):
        configure(spec())
    named = spec(config_file=str(path)) if path.suffix in (".yaml", ".yml") else None
    assert named and configure(named).OPTIM.LR == 0.5, "unless it is named"


def test_settings_of_a_data_set_in_base_to_novel_need_those_of_the_method(configs):
    write(configs / "trainers" / "TipAdapter" / "base2new" / "btmri.yaml")
    with pytest.raises(UserError, match=r"TipAdapter/few_shot/btmri\.yaml, but got .*/base2new/btmri\.yaml"):
        configure(spec("TipAdapter"))


@pytest.mark.parametrize(
    "file",
    [
        "trainers/CoOp.yaml",
        "trainers/CoOp/fewshot.yaml",
        "trainers/KgCoOpLLM/x.yaml",
        "trainers/KgCoOp/tuned/PhantomCLIP/btmri.yaml",
        "trainers/KgCoOp/few_shot/folder.yaml",
        "trainers/KgCoOp/base2new/busi.yaml",
        "trainers/KgCoOp/.few_shot.yaml",
        "trainers/KgCoOp/notes.txt",
        "datasets/brains.yaml",
        "datasets/Busi.yaml",
        "shots/5.yaml",
        "mine.yaml",
    ],
)
def test_files_of_others_and_files_that_are_read_are_no_error(configs, file):
    write(configs / file)
    configure(spec())


def test_files_beside_one_that_is_named_are_no_error(configs):
    """As in Dassl, where a folder holds variants of a method's settings."""
    first, _ = (write(configs / "trainers" / "KgCoOp" / f"vit_ep{n}.yaml") for n in (50, 100))
    configure(spec(config_file=str(first)))
    with pytest.raises(UserError, match="vit_ep"):
        configure(spec())


def test_no_committed_file_is_passed_over():
    register_all()
    for trainer in TRAINER_REGISTRY.registered_names():
        if trainer in methods.METHODS.values():
            for dataset in ("btmri", "folder"):
                configure(spec(trainer, dataset))


def test_the_log_lists_the_files(flags, tmp_path):
    assert train.main(flags("CoOp", more=("--no-train",))) == 0
    log = (run_folder(tmp_path, "CoOp") / "log.txt").read_text()
    files = "configs/common.yaml, configs/trainers/CoOp/few_shot.yaml, configs/datasets/btmri.yaml"
    assert f"Settings from {files}, configs/shots/2.yaml" in log


def test_own_images_have_a_folder(flags, capsys, tmp_path):
    line = flags("CoOp", root="phantoms", dataset="folder", more=("--seed", 1, 2))
    assert train.main(line) == 1
    err = capsys.readouterr().err
    assert err.count("Expected the folder of your images with the data set folder, but got none") == 1
    assert "DATA=..." in err and not [path for path in tmp_path.iterdir() if path.is_dir()]


def test_an_unknown_data_set_is_told_with_the_file_to_write(flags, capsys):
    assert train.main(flags("CoOp", dataset="brains")) == 1
    assert "One of your own is written in datasets/brains.py (README, A data set" in capsys.readouterr().err
