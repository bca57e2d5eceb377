"""A run that fails before it has learned anything leaves nothing behind; later, its log is kept."""

import pytest

import train
from dassl.errors import UserError
from runs import starts
from tests.run_folders import run_folder

pytestmark = pytest.mark.usefixtures("tiny")
BASE = ("--setting", "base2new", "--subsample")


@pytest.mark.parametrize(
    ("trainer", "opts", "more"),
    [
        ("vMFCoOp", ("PROMPTS.LLM", "nobody"), ("--seed", 1, 2)),
        ("CoOp", ("TRAINER.COOP.N_CTX", 3), ()),
        ("CoOp", (), (*BASE, "new", "--eval-only")),
    ],
)
def test_a_failed_start_leaves_no_folder(flags, tmp_path, trainer, opts, more):
    output = tmp_path / "a" / "output"
    assert train.main(flags(trainer, *opts, output=output, more=more)) == 1
    assert not (tmp_path / "a").exists()


def test_what_was_there_before_stays(flags, tmp_path):
    folder = tmp_path / "own"
    folder.mkdir()
    (folder / "log.txt").write_text("of an earlier start\n")
    assert train.main(flags("CoOp", "TRAINER.COOP.N_CTX", 3, more=("--output-dir", folder))) == 1
    log = (folder / "log.txt").read_text()
    assert log.startswith("of an earlier start\n") and "UserError: Expected ctx_init" in log


def test_another_run_beside_it_stays(flags, tmp_path):
    assert train.main(flags("CoOp", more=("--seed", 1))) == 0
    assert train.main(flags("CoOp", "TRAINER.COOP.CLASS_TOKEN_POSITION", "nowhere", more=("--seed", 2))) == 1
    assert (run_folder(tmp_path, "CoOp") / "metrics.json").is_file()
    assert [path.name for path in tmp_path.rglob("seed*")] == ["seed1"]


@pytest.mark.parametrize("error", [UserError("Expected a picture."), RuntimeError("a bug")])
def test_the_log_of_a_training_that_has_begun_is_kept(flags, tmp_path, monkeypatch, error):
    from trainers import coop

    def broken(*_):
        raise error

    monkeypatch.setattr(coop.CoOp, "loss", broken)
    assert train.main(flags("CoOp")) == 1
    assert str(error) in (run_folder(tmp_path, "CoOp") / "log.txt").read_text()


def test_the_log_of_a_bug_is_kept(flags, tmp_path, monkeypatch, capsys):
    from trainers import coop

    monkeypatch.setattr(coop.CoOp, "build_training", lambda *_: 1 / 0)
    assert train.main(flags("CoOp")) == 1
    log = run_folder(tmp_path, "CoOp") / "log.txt"
    assert "ZeroDivisionError" in log.read_text() and str(log) in capsys.readouterr().err


def test_a_folder_with_more_in_it_is_left(tmp_path):
    made = starts.make_folder(tmp_path / "a" / "b")
    for name in ("log.txt", "notes"):
        (tmp_path / "a" / "b" / name).touch()
    starts.remove_start(tmp_path / "a" / "b")
    starts.remove_empty(made)
    assert sorted(path.name for path in (tmp_path / "a" / "b").iterdir()) == ["log.txt", "notes"]
    assert starts.make_folder(tmp_path / "a" / "b") == []
