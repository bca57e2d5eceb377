"""Phantoms are known by their own mark, whatever the folders around them are called."""

import json
import shutil
from pathlib import Path

import pytest

import train
from datasets.base import PHANTOM_NOTICE
from datasets.phantoms import is_marked
from report.collect import read_run
from report.logs import PHANTOMS
from tests.run_folders import record, run_folder

NO_EPOCHS = ("OPTIM.MAX_EPOCH", 0)
MARK = json.dumps({"phantom": "BTMRI", "version": 5})


@pytest.fixture
def root(data_root, tmp_path):
    """`root(name, mark)`: a data root of its own; `mark` is a folder in it that bears the phantoms' mark."""

    def make(name: str, mark: str | None = None) -> Path:
        folder = Path(shutil.copytree(data_root, tmp_path / name))
        if mark is not None:
            (folder / mark / "phantom.json").write_text(MARK)
        return folder

    return make


def test_rendered_images_are_phantoms_under_any_path(root, flags, tmp_path, capsys):
    assert train.main(flags("ZeroshotCLIP", *NO_EPOCHS, root=root("images", mark="BTMRI"))) == 0
    folder = run_folder(tmp_path, "ZeroshotCLIP")
    assert record(folder)["phantom"] is True and read_run(folder).phantom_images
    assert PHANTOM_NOTICE in capsys.readouterr().out


def test_a_folder_of_rendered_images_is_one_of_phantoms(root, flags, tmp_path):
    images = root("images", mark="BTMRI") / "BTMRI" / "BTMRI"
    assert train.main(flags("ZeroshotCLIP", *NO_EPOCHS, root=images, dataset="folder")) == 0
    assert record(run_folder(tmp_path, "ZeroshotCLIP", dataset="folder-BTMRI"))["phantom"] is True


def test_a_study_that_is_called_phantom_is_none(root, flags, tmp_path, capsys):
    line = flags("ZeroshotCLIP", *NO_EPOCHS, root=root("phantoms"), output=tmp_path / "phantom")
    assert train.main(line) == 0
    folder = run_folder(tmp_path / "phantom", "ZeroshotCLIP")
    assert record(folder)["phantom"] is False and not read_run(folder).phantom_images
    assert PHANTOM_NOTICE not in capsys.readouterr().out


def test_weights_are_known_by_their_mark_too(data_root, flags, tmp_path):
    source = Path(train.__file__).parent / "clip" / "phantomclip"
    for name, marked in (("copied", True), ("phantom", False)):
        weights = Path(shutil.copytree(source, tmp_path / name))
        if not marked:
            (weights / "phantom.json").unlink()
        line = flags("ZeroshotCLIP", *NO_EPOCHS, backbone=f"local-dir:{weights}", output=tmp_path / f"of-{name}")
        assert train.main(line) == 0
        (path,) = (tmp_path / f"of-{name}").rglob("metrics.json")
        found = read_run(path.parent)
        assert json.loads(path.read_text())["phantom_backbone"] is marked
        assert (found.phantom, found.phantom_images) == (marked, False)


def test_a_mark_is_one_of_ours(tmp_path):
    assert not is_marked(tmp_path)
    for text in ("", "[]", '{"name": "phantom"}'):
        (tmp_path / "phantom.json").write_text(text)
        assert not is_marked(tmp_path)
    (tmp_path / "phantom.json").write_text(MARK)
    assert is_marked(tmp_path) and is_marked(tmp_path / "images" / "glioma")


def test_a_link_to_rendered_images_leads_to_their_mark(root, tmp_path):
    images = root("images", mark="BTMRI") / "BTMRI" / "BTMRI"
    (tmp_path / "link").symlink_to(images)
    assert is_marked(tmp_path / "link")


@pytest.mark.parametrize(
    ("log", "rendered"),
    [
        (f"{PHANTOM_NOTICE}\n", True),
        ("DATASET:\n  ROOT: phantoms\n", True),
        ("DATASET:\n  ROOT: /studies/phantom-ct\n", False),
        ("Loading the phantom study\n  ROOT: data\n", False),
    ],
)
def test_a_log_tells_by_what_it_prints_of_phantoms(tmp_path, log, rendered):
    folder = tmp_path / "phantom" / "btmri" / "shots_4" / "CoOp_BiomedCLIP" / "nctx4_cscFalse_ctpend" / "seed1"
    folder.mkdir(parents=True)
    (folder / "log.txt").write_text(f"{log}Finish training\n=> result\n* accuracy: 50.00%\n")
    run = read_run(folder)
    assert run.finished and run.phantom_images is run.phantom is rendered
    assert bool(PHANTOMS.search(log)) is rendered
