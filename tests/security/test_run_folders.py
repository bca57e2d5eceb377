"""Folders of runs: neither settings nor names of data sets move them elsewhere."""

from pathlib import Path

import pytest

import train
from runs.config import configure
from runs.layout import data_name, seeds_folder


@pytest.mark.parametrize(
    "settings_",
    [
        {"TRAINER.COOP.CLASS_TOKEN_POSITION": "/../../../../../../gone"},
        {"TRAINER.COOP.CLASS_TOKEN_POSITION": "end/../../x"},
        {"MODEL.BACKBONE.NAME": "local-dir:../../../../../x"},
    ],
)
def test_settings_cannot_move_the_folder_of_a_run(tmp_path, settings_):
    line = (
        f"--root {tmp_path} --dataset btmri --trainer CoOp --backbone PhantomCLIP --shots 1 --seed 1 --output".split()
    )
    spec = train.parse([*line, str(tmp_path / "out"), *(word for pair in settings_.items() for word in pair)])
    cfg = configure(spec, 1)
    folder = Path(cfg.OUTPUT_DIR)
    assert ".." not in folder.parts and len(folder.relative_to(tmp_path / "out").parts) == 5


@pytest.mark.parametrize("dataset", ["../trainers/CoOp/few_shot", "../common", "/etc/x", "btmri/../btmri", ""])
def test_a_data_set_is_a_name_and_no_path(tmp_path, dataset, capsys):
    line = ["--root", tmp_path, "--dataset", dataset, "--trainer", "CoOp", "--backbone", "PhantomCLIP", "--shots", 1]
    assert train.main([*map(str, line), "--seed", "1", "--output", str(tmp_path / "out")]) == 1
    assert "error: Expected " in capsys.readouterr().err and not (tmp_path / "out").exists()


def test_a_folder_called_like_a_way_out_stays_below_the_output():
    for root in ("/data/..x", "/data/x\n", "/data/" + "é" * 120):
        folder = seeds_folder("out", data_name("table", root), 1, "../CoOp", "a/../../b", "..")
        assert folder.parts[0] == "out" and ".." not in folder.parts and len(folder.parts) == 5
        assert all(len(part.encode()) < 256 for part in folder.parts)
