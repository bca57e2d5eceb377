"""`--keyword per_class`: a table of classes by methods for each data set and number of shots."""

import csv
from pathlib import Path

import pytest

from report.__main__ import main as report
from report.compare import main as compare

CLASSES = ("glioma tumor", "normal brain", "a rare one")  # in the order of their labels


@pytest.fixture
def write(write_run):
    """write(seed, figures of the classes, ...) -> a finished run."""

    def run(seed: int, *figures: float | None, **more) -> Path:
        per_class = dict(zip(CLASSES, figures, strict=False))
        return write_run(seed=seed, metrics={"accuracy": 70.0, "per_class": per_class}, key="btmri", **more)

    return run


def cells(path: Path) -> list[list[str]]:
    with path.open(newline="") as file:
        return list(csv.reader(file))


def test_classes_are_rows_and_methods_columns(write, tmp_path, capsys, undrawn):
    write(1, 60.0, 90.0, None), write(2, 64.0, 90.0, 100.0)
    write(1, 50.0, 80.0, None, trainer="CoOp"), write(2, 40.0, 80.0, None, trainer="CoOp")
    write(1, 10.0, trainer="ZeroshotCLIP", shots=1)
    assert report([str(tmp_path / "output"), "--keyword", "per_class", "--shots", "16"]) == 0
    folder = tmp_path / "output" / "report" / "PhantomCLIP_phantom_images"
    assert cells(folder / "per_class_btmri_16.csv") == [
        ["class", "ZeroshotCLIP", "CoOp", "vMFCoOp"],
        ["glioma tumor", "10.00", "45.00 ± 5.00", "62.00 ± 2.00"],
        ["normal brain", "-", "80.00 ± 0.00", "90.00 ± 0.00"],
        ["a rare one", "-", "-", "100.00 (1/2 seeds)"],
    ]
    title = "btmri, K = 16: accuracy of each class (%), PhantomCLIP on phantom images"
    assert title in capsys.readouterr().out and title in (tmp_path / "output/report/index.html").read_text()
    assert r"62.00 $\pm$ 2.00" in (folder / "per_class_btmri_16.tex").read_text()
    markdown = (folder / "per_class_btmri_16.md").read_text()
    assert markdown.startswith("## btmri, K = 16") and "population std" in markdown
    assert {path.name.partition(".")[0] for path in folder.glob("*.csv")} == {"per_class_btmri_16"}


def test_each_data_set_and_number_of_shots_has_its_table(write, tmp_path, capsys, undrawn):
    write(1, 60.0, 90.0), write(1, 65.0, 95.0, shots=1)
    write(1, 70.0, 80.0, shots=1, root="base2new/train_base", subsample="base", setting="base2new")
    write(1, 20.0, 30.0, shots=1, root="base2new/test_new", subsample="new", setting="base2new")
    assert report([str(tmp_path / "output"), "--keyword", "per_class"]) == 0
    folder = tmp_path / "output" / "report" / "PhantomCLIP_phantom_images"
    found = {path.stem: cells(path)[1][1] for path in folder.glob("*.csv")}
    assert found == {
        "per_class_btmri_16": "60.00",
        "per_class_btmri_1": "65.00",
        "per_class_btmri_1_base": "70.00",
        "per_class_btmri_1_novel": "20.00",
    }
    assert "K = 1, novel classes: accuracy of each class" in capsys.readouterr().out


def test_missing_runs_are_told_with_their_command(write, tmp_path, capsys, undrawn):
    write(1, 60.0), write(2, 60.0), write(1, 50.0, trainer="CoOp")
    report([str(tmp_path / "output"), "--keyword", "per_class"])
    out = capsys.readouterr().out
    assert "missing: CoOp few-shot on btmri at K = 16, seed 2: " in out and "50.00 (1/2 seeds)" in out


def test_runs_that_tell_no_class_are_named_an_error(write_log, tmp_path, capsys, undrawn):
    write_log("output/btmri/shots_16/CoOp_RN50/nctx4_cscFalse_ctpend/seed1", 77.0)
    assert report([str(tmp_path / "output"), "--keyword", "per_class"]) == 1
    assert "No run has 'per_class': expected one of accuracy" in capsys.readouterr().err
    words = ["--output", str(tmp_path / "output"), "--dataset", "btmri", "--shots", "16", "--backbone", "RN50"]
    assert compare([*words, "--methods", "coop", "--keyword", "per_class"]) == 1
    assert "No finished run tells the accuracy of its classes on btmri" in capsys.readouterr().err


def test_methods_side_by_side(write, tmp_path, capsys):
    write(1, 60.0, 90.0), write(2, 64.0, 90.0), write(1, 65.0, 95.0, shots=1)
    write(1, 50.0, 80.0, trainer="CoOp")
    words = ["--output", str(tmp_path / "output"), "--dataset", "btmri", "--shots", "1", "16"]
    words += ["--backbone", "PhantomCLIP", "--methods", "coop", "vmfcoop", "--keyword", "per_class"]
    assert compare([*words, "--format", "markdown"]) == 0
    out = capsys.readouterr().out
    first, second = out.split("btmri, K = ")[1:]
    assert first.startswith("1, PhantomCLIP (phantom): accuracy of each class") and "CoOp" not in first.split("\n\n")[
        1
    ].replace("vMFCoOp", "")
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in second.split("\n\n")[1].splitlines()]
    assert rows[0] == ["class", "CoOp", "vMFCoOp"]
    assert rows[2] == ["glioma tumor", "50.00 (1/2 seeds)", "62.00 ± 2.00"]
    assert "missing: CoOp at K = 16, seed 2: " in out
    assert not list((tmp_path / "output").rglob("*.png"))


def test_names_of_classes_are_shown_as_text(write_run, tmp_path, undrawn):
    write_run(metrics={"accuracy": 70.0, "per_class": {"=cmd() & <b>": 60.0}}, key="btmri")
    assert report([str(tmp_path / "output"), "--keyword", "per_class"]) == 0
    folder = tmp_path / "output" / "report" / "PhantomCLIP_phantom_images"
    assert cells(folder / "per_class_btmri_16.csv")[1][0] == "'=cmd() & <b>"
    assert r"=cmd() \& \ensuremath{<}b" in (folder / "per_class_btmri_16.tex").read_text()
    assert "<b>" not in (folder / "per_class_btmri_16.md").read_text()
