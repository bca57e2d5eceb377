"""Commands to try after a comparison: they name a run and a picture that are there."""

import shlex
import sys
from pathlib import Path

import numpy as np
import pytest

from report import compare
from runs import trying
from runs.predictions import PREDICTIONS
from tests.report.predicted import write_answers


@pytest.fixture(autouse=True)
def entered(monkeypatch):
    """The environment of the tests counts as one that was entered, whoever made it."""
    monkeypatch.setenv("VIRTUAL_ENV", sys.prefix)
    monkeypatch.delenv(trying.CALLER, raising=False)


@pytest.fixture
def run(write_run):
    """A run whose first test image is in `data_root`."""
    folder = write_answers(write_run(), np.arange(4), np.eye(4))
    path = folder / PREDICTIONS
    path.write_text(path.read_text().replace("image0.png", "glioma_tumor/test0.png"))
    return folder


def words(run: Path, root, dataset: str = "btmri") -> list[str]:
    first, second = trying.commands_to_try(run, dataset, root, run.parents[4])
    assert second.startswith(f"python -m report {run.parents[4]}  # ") and second.endswith("/report/index.html")
    return shlex.split(first)


def test_the_picture_is_there(run, data_root):
    *command, picture = words(run, data_root)
    assert command == ["python", "predict.py", str(run)]
    assert Path(picture) == data_root / "BTMRI" / "BTMRI" / "glioma_tumor" / "test0.png" and Path(picture).is_file()


def test_own_images_lie_in_their_folder(run, data_root):
    assert Path(words(run, data_root / "BTMRI" / "BTMRI", "folder")[-1]).is_file()


@pytest.mark.parametrize("path", ["none.png", "../BTMRI/glioma_tumor/test0.png", "/etc/passwd"])
def test_a_picture_that_is_not_there_or_elsewhere_is_not_named(run, data_root, path):
    file = run / PREDICTIONS
    file.write_text(file.read_text().replace("glioma_tumor/test0.png", path))
    assert words(run, data_root)[-1] == "PICTURE"


def test_without_predictions_root_or_data_set(run, data_root):
    assert words(run, "")[-1] == words(run, data_root, "other")[-1] == "PICTURE"
    (run / PREDICTIONS).write_text("nonsense")
    assert words(run, data_root)[-1] == "PICTURE"
    (run / PREDICTIONS).unlink()
    assert words(run, data_root)[-1] == "PICTURE"


def test_an_environment_that_a_script_made_is_named_unless_it_was_entered(run, data_root, monkeypatch):
    monkeypatch.setattr(sys, "prefix", str(trying.ROOT / ".venv"))
    monkeypatch.delenv("VIRTUAL_ENV", raising=False)
    assert trying.commands_to_try(run, "btmri", data_root, Path("output"))[1].startswith(".venv/bin/python -m report ")
    monkeypatch.setenv("VIRTUAL_ENV", "/somewhere")
    assert words(run, data_root)[0] == "python"


def test_they_are_the_last_lines_of_a_comparison(run, data_root, capsys):
    line = ["--output", str(run.parents[4]), "--dataset", "btmri", "--shots", "16", "--backbone", "PhantomCLIP"]
    assert compare.main([*line, "--root", str(data_root), "--methods", "zeroshot", "vmfcoop"]) == 0
    *_, title, first, second = capsys.readouterr().out.splitlines()
    assert title == "Try:" and first.startswith(f"    python predict.py {run} {data_root}/BTMRI/BTMRI/glioma_tumor/")
    assert second.startswith(f"    python -m report {run.parents[4]}")


def test_whoever_called_a_script_from_elsewhere_goes_to_the_repository_first(run, data_root, tmp_path, monkeypatch):
    monkeypatch.setenv(trying.CALLER, str(tmp_path))
    first, *others = trying.commands_to_try(run, "btmri", data_root, run.parents[4])
    assert first == f"cd {trying.ROOT}" and len(others) == 2
    monkeypatch.setenv(trying.CALLER, str(trying.ROOT))
    assert len(trying.commands_to_try(run, "btmri", data_root, run.parents[4])) == 2
