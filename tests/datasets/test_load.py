"""Data sets from Python: what a notebook loads is what a run has, and needs no configuration."""

import subprocess
import sys
from pathlib import Path

import pytest

import train
from dassl.config import get_cfg_default
from dassl.errors import UserError
from datasets import load, load_dataset
from datasets.btmri import BTMRI
from datasets.catalogue import find_class
from datasets.settings import extend_cfg
from runs.config import configure
from tests.datasets.layout import lay_out

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("subsample", ["all", "base", "new"])
def test_a_notebook_has_the_draw_of_a_run(tmp_path, subsample):
    lay_out(tmp_path)
    data = load_dataset("btmri", root=tmp_path, shots=2, seed=3, subsample=subsample)
    line = (
        f"--dataset btmri --trainer CoOp --backbone PhantomCLIP --shots 2 --seed 3 --subsample {subsample} --eval-only"
    )
    spec = train.parse(["--root", str(tmp_path), *line.split()])
    run = find_class("btmri")(configure(spec, 3))
    assert (data.split_hash, data.classnames) == (run.split_hash, run.classnames)
    assert [data.records(part) for part in ("train", "val", "test")] == [run.train_x, run.val, run.test]


def test_paths_and_labels_are_lists_in_one_order(tmp_path):
    lay_out(tmp_path)
    data = load_dataset("btmri", root=tmp_path, shots=1)
    assert data.paths("train") == [item.impath for item in data.train_x] and data.labels("train") == [0, 1, 2, 3]
    assert data.labels("test") == [0, 0, 1, 1, 2, 2, 3, 3] and len(data.paths("test")) == 8
    with pytest.raises(UserError, match='one of the parts train, val, test, but got "dev"'):
        data.paths("dev")


def test_settings_are_those_of_a_configuration(tmp_path):
    images = tmp_path / "mine"
    (images / "scans").mkdir(parents=True)
    rows = ["file,kind,dx"]
    for i in range(12):
        (images / "scans" / f"{i}.png").touch()
        rows.append(f"{i},x{i % 3},{'ab'[i % 2]}")
    (images / "labels.csv").write_text("\n".join(rows))
    data = load_dataset("table", root=images, shots=-1, table={"label": "kind"}, links="anywhere")
    assert data.classnames == ["x0", "x1", "x2"] and data.key == "mine"
    (images / "split_TableDataset.json").unlink()
    assert load_dataset("table", root=images, shots=-1).classnames == ["a", "b"]


@pytest.mark.parametrize("settings", [{"link": "inside"}, {"table": {"labels": "dx"}}, {"num_shots": 4}])
def test_an_unknown_setting_is_named(tmp_path, settings):
    lay_out(tmp_path)
    with pytest.raises(UserError, match="Expected settings of a data set"):
        load_dataset("btmri", root=tmp_path, **settings)


def test_an_unknown_data_set_is_answered_with_those_that_exist(tmp_path):
    with pytest.raises(UserError, match=r"btmri, busi, .*, folder, .*, table, but got 'brains'"):
        load_dataset("brains", root=tmp_path)


def test_no_file_of_settings_is_needed(tmp_path, monkeypatch):
    monkeypatch.setattr(load, "CONFIGS", tmp_path / "nowhere")
    lay_out(tmp_path)
    assert load_dataset("btmri", root=tmp_path, shots=1).split_hash


def test_a_file_of_settings_counts_if_it_is_there(tmp_path, monkeypatch):
    monkeypatch.setattr(load, "CONFIGS", tmp_path)
    (tmp_path / "btmri.yaml").write_text("DATASET:\n  GROUP_PATTERN: '([0-9]+)[.]png'\n")
    lay_out(tmp_path)
    assert set(load_dataset("btmri", root=tmp_path, shots=1).groups.values()) == set("012345")


@pytest.mark.parametrize("extend", [extend_cfg, lambda cfg: None])
def test_the_toolbox_configuration_is_enough(tmp_path, extend):
    """With the keys of this package, and also without them."""
    lay_out(tmp_path)
    cfg = get_cfg_default()
    extend(cfg)
    cfg.DATASET.ROOT, cfg.DATASET.NUM_SHOTS = str(tmp_path), 1
    assert len(BTMRI(cfg).train_x) == 4


OWN = """
from dassl.data.datasets import DATASET_REGISTRY
from datasets.base import BiomedDataset

@DATASET_REGISTRY.register()
class Ours(BiomedDataset):
    dataset_dir = "Ours"
    classes = ("one", "two")
    source = "us"
"""


@pytest.mark.slow
def test_a_data_set_of_ones_own_is_one_file(tmp_path):
    """In a copy of the package, as nothing else has to be changed."""
    package = tmp_path / "code" / "datasets"
    package.mkdir(parents=True)
    for path in (ROOT / "datasets").iterdir():
        if path.name != "__pycache__":
            (package / path.name).symlink_to(path)
    (package / "ours.py").write_text(OWN)
    cls = type("Ours", (BTMRI,), {"dataset_dir": "Ours", "classes": ("one", "two")})
    lay_out(tmp_path, cls)
    code = (
        "from datasets import catalogue, load_dataset\n"
        f"data = load_dataset('ours', root={str(tmp_path)!r}, shots=1)\n"
        "assert 'ours' in catalogue.names() and catalogue.by_key()['ours'] is type(data)\n"
        "print(data.key, data.classnames)\n"
    )
    places = f"{tmp_path / 'code'}:{ROOT}:{ROOT / 'toolbox'}"
    done = subprocess.run(
        [sys.executable, "-P", "-c", code], env={"PYTHONPATH": places, "PATH": ""}, capture_output=True, text=True
    )
    assert "ours ['one', 'two']" in done.stdout, done.stderr


@pytest.mark.slow
def test_renderers_are_loaded_only_when_they_are_asked_for():
    code = "import sys, datasets; print([name for name in sys.modules if name.startswith('datasets.phantoms')])"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
