"""A run's record says whose sentences it read."""

import json
import shutil
from pathlib import Path

import pytest

import train
from runs.record import read_record
from tests.conftest import CLASSES
from tests.run_folders import record, run_folder

pytestmark = pytest.mark.usefixtures("tiny")

CLAUDE = {"llm": "claude", "model": "Claude, version not recorded", "date": "2026-11-24"}


def test_methods_that_read_sentences_say_whose(flags, tmp_path, capsys):
    assert train.main(flags("ZeroshotEnsemble", "OPTIM.MAX_EPOCH", 0)) == 0
    assert "LLM prompts: 50 per class, by claude (Claude, version not recorded, 2026-11-24)" in capsys.readouterr().out
    folder = run_folder(tmp_path, "ZeroshotEnsemble")
    found = record(folder)["prompts"]
    assert CLAUDE.items() <= found.items() and found["instruction"].startswith("Give 50 textual descriptions")
    assert read_record(folder / "metrics.json").prompts == found


def test_others_say_none(flags, tmp_path):
    assert train.main(flags("ZeroshotCLIP", "OPTIM.MAX_EPOCH", 0)) == 0
    folder = run_folder(tmp_path, "ZeroshotCLIP")
    assert record(folder)["prompts"] is None
    assert read_record(folder / "metrics.json").prompts == {}


@pytest.mark.parametrize("told", [{}, {"llm": "m", "model": "Org/M"}])
def test_sentences_beside_the_images_are_ones_own(flags, data_root, tmp_path, capsys, told):
    root = Path(shutil.copytree(data_root / "BTMRI" / "BTMRI", tmp_path / "mine"))
    names = [name.replace(" ", "_") for name in CLASSES]
    assert sorted(path.name for path in root.iterdir()) == sorted(names)
    sentences = {name: [f"A picture of {name}, number {i}." for i in range(50)] for name in CLASSES}
    (root / "prompts.json").write_text(json.dumps({**told, "prompts": sentences}))
    assert train.main(flags("ZeroshotEnsemble", "OPTIM.MAX_EPOCH", 0, root=root, dataset="folder")) == 0
    found = read_record(run_folder(tmp_path, "ZeroshotEnsemble", dataset="folder-mine") / "metrics.json").prompts
    assert found == (told or {"llm": "own"})
    by = ", by m (Org/M)" if told else ""
    assert f"LLM prompts: 50 per class, from prompts.json beside the images{by}\n" in capsys.readouterr().out
