"""A checkout stays as it is, whatever its code writes and from wherever it is called; ours and theirs are one table."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import train
from report.__main__ import main as report
from report.compare import main as compare
from tests.checkouts.untidy_checkout import UNTIDY, snapshot, write
from tests.conftest import CLASSES
from tests.run_folders import record
from tests.watching import images, watching

FEW = ("OPTIM.MAX_EPOCH", "2", "DATALOADER.NUM_WORKERS", "0")
NOT_CODE = {"data", "output", "caches", ".git", "__pycache__"}  # of the checkout


@pytest.fixture
def work(tmp_path, data_root, monkeypatch) -> Path:
    """The working directory: images in data/, a backbone in model/, and the checkout in ../BiomedCoOp."""
    folder = tmp_path / "work"
    shutil.copytree(data_root, folder / "data")
    shutil.copytree(Path(train.__file__).parent / "clip" / "phantomclip", folder / "model")
    write(tmp_path / "BiomedCoOp", data_root)
    monkeypatch.chdir(folder)
    return folder


def theirs(*more: str, backbone: str = "PhantomCLIP", seeds: str = "1 2 3", opts=FEW) -> list[str]:
    """The line of the README, with relative paths."""
    line = ["--with", "../BiomedCoOp", "--trainer", UNTIDY, "--backbone", backbone, "--root", "data", *more]
    return [*line, "--dataset", "btmri", "--shots", "2", "--seed", *seeds.split(), *opts]


def ours(backbone: str) -> list[str]:
    line = ["--trainer", "CoOp", "--backbone", backbone, "--root", "data", "--dataset", "btmri", "--shots", "2"]
    return [*line, "--seed", "1", "2", "3", *FEW]


def test_nothing_is_written_into_it_or_read_from_it_but_code_and_settings(work, capsys):
    checkout = work.parent / "BiomedCoOp"
    before = snapshot(checkout)
    with watching() as happened:
        assert train.main(theirs()) == 0
    assert snapshot(checkout) == before
    opened = [Path.cwd() / each for each in happened if isinstance(each, Path)]
    inside = [path.resolve().relative_to(checkout) for path in opened if path.resolve().is_relative_to(checkout)]
    assert Path("trainers/Tiny/untidy.py") in inside
    assert [path for path in inside if NOT_CODE & {*path.parts}] == []
    assert images(happened, work / "data", CLASSES)
    out = capsys.readouterr().out
    logs = [path.read_text() for path in (work / "output").rglob("log.txt")]
    assert "".join(logs).count("few-shot cache of an earlier run: False features: False") == 3  # none finds another's
    assert f"it works in a copy without caches, data, output, and nothing is written into {checkout}" in out + "".join(
        logs
    )
    folders = sorted((work / "output" / "BiomedCoOp" / "btmri" / "shots_2" / UNTIDY).glob("*/seed*"))
    assert len(folders) == 3
    for folder in folders:
        names = {path.name for path in folder.rglob("*")}
        assert {"metrics.json", "predictions.csv", "config.yaml", "log.txt", "model.pth.tar-2"} <= names
        assert (folder / "log.txt").read_text().splitlines()[-1].startswith("Elapsed: ")
    assert train.main(theirs()) == 0
    assert "Finished already, nothing to do: seeds 1 2 3 in output/BiomedCoOp/" in capsys.readouterr().out
    assert snapshot(checkout) == before


def test_a_process_leaves_no_copies_behind(work, tmp_path, monkeypatch):
    monkeypatch.setenv("TMPDIR", str(tmp_path / "temporary"))
    (tmp_path / "temporary").mkdir()
    words = [sys.executable, train.__file__, *theirs(seeds="1")]
    done = subprocess.run(words, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert not list((tmp_path / "temporary").glob("checkout-*"))


@pytest.mark.parametrize("backbone", ["PhantomCLIP", "local-dir:model"])
def test_ours_and_theirs_are_one_table_with_a_paired_difference(work, backbone, capsys, undrawn):
    assert train.main(theirs(backbone=backbone)) == train.main(ours(backbone)) == 0
    capsys.readouterr()
    assert report(["output", "--against", "coop", "--format", "csv"]) == 0
    told = capsys.readouterr().out.splitlines()
    assert len([line for line in told if line.startswith("# ")]) == 1  # one group
    assert [line.partition(",")[0] for line in told if ",here (phantom)," in line] == ["CoOp", UNTIDY] * 2
    (difference,) = [line.split(",") for line in told if line.startswith(f"{UNTIDY},2,")]
    assert difference[3] == "3"

    line = ["--dataset", "btmri", "--shots", "2", "--backbone", backbone, "--methods", UNTIDY, "coop"]
    assert compare([*line, "--format", "markdown", *FEW]) == 0
    told = capsys.readouterr().out.splitlines()
    cells = [[cell.strip() for cell in row.split("|")] for row in told if row.startswith(f"| {UNTIDY}")]
    assert [row[3] for row in cells][1:] == ["3"] and "missing" not in "\n".join(told)


def test_runs_of_two_checkouts_are_not_mixed(work, capsys, undrawn):
    assert train.main(theirs(seeds="1")) == 0
    shutil.copytree(work / "output" / "BiomedCoOp", work / "output" / "Fork")
    line = ["--dataset", "btmri", "--shots", "2", "--backbone", "PhantomCLIP", "--methods", UNTIDY]
    assert compare([*line, *FEW]) == 1
    assert "are the same data set, shots and seed: compare only one" in capsys.readouterr().err


def test_all_paths_are_those_of_the_caller(work, capsys):
    checkout = work.parent / "BiomedCoOp"
    before = snapshot(checkout)
    (work / "mine.yaml").write_text("OPTIM:\n  LR: 0.125\n")
    config, opts = ("--config-file", "mine.yaml"), (*FEW, "FEATURES.ROOT", "store")
    assert train.main(theirs(*config, "--output-dir", "first", seeds="1", opts=opts)) == 0
    assert (work / "first" / "metrics.json").is_file() and (work / "store" / "digests.tsv").is_file()
    again = theirs(*config, "--output-dir", "second", "--resume", "first", seeds="1", opts=opts)
    assert train.main(again) == 0
    tested = theirs(*config, "--output-dir", "third", "--eval-only", "--model-dir", "first", seeds="1", opts=opts)
    assert train.main(tested) == 0
    assert f"Found checkpoint at {work}/first (" in (work / "second" / "log.txt").read_text()
    assert f"Load {work}/first/pixels/model.pth.tar-2" in (work / "third" / "log.txt").read_text()
    first, second, third = (record(work / name)["metrics"] for name in ("first", "second", "third"))
    assert first == second == third
    assert snapshot(checkout) == before and not (work / "output").exists()
