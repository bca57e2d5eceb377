"""What the console shows of runs that are trained side by side."""

import io

import pytest

import train
from runs.labelled import Labelled
from tests.run_folders import run_folder

pytestmark = pytest.mark.usefixtures("tiny")


def test_every_line_of_a_run_begins_with_its_label():
    stream = io.StringIO()
    labelled = Labelled(stream, "seed 1 | ")
    labelled.write("a\n\nb")
    labelled.write("c\nd\n")
    labelled.silent = True
    labelled.write("e\n")
    assert stream.getvalue() == "seed 1 | a\n\nseed 1 | bc\nseed 1 | d\n"


def test_seeds_share_one_beginning_and_each_log_has_all_of_its_own(flags, tmp_path, capsys):
    assert train.main(flags("CoOp", more=("--seed", 1, 2, 3))) == 0
    shown = capsys.readouterr().out
    assert shown.count("** Config **") == shown.count("Loading trainer") == 1
    for seed in (1, 2, 3):
        log = (run_folder(tmp_path, "CoOp", seed=seed) / "log.txt").read_text()
        assert "** Config **" in log and "Loading trainer" in log and "seed 1 | " not in log
        assert f"seed {seed} | * accuracy: " in shown and f"seed {seed} | epoch [3/3]" in shown
        assert (f"seed {seed} | Built as seed 1" in shown) == (seed > 1)


def test_a_run_alone_has_no_label(flags, capsys):
    assert train.main(flags("CoOp")) == 0
    assert "seed 1 | " not in capsys.readouterr().out
