"""What a user can mend is one sentence; a bug keeps its traceback and names the log."""

import errno
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import dassl
import train
from dassl.errors import DivergedError, UserError, command, sentence
from runs.run import perform
from runs.spec import RunSpec
from tests.run_folders import record, run_folder


@pytest.mark.parametrize("error", [KeyError("b"), ValueError("b"), AssertionError("b"), OSError("b")])
def test_a_bug_in_a_loss_keeps_its_traceback_and_names_the_log(flags, tmp_path, capsys, monkeypatch, error):
    from trainers import coop

    def broken(self, features, labels, prompts):
        raise error

    monkeypatch.setattr(coop.CoOp, "loss", broken)
    assert train.main(flags("CoOp")) == 1
    log, err = run_folder(tmp_path, "CoOp") / "log.txt", capsys.readouterr().err
    assert "Traceback" in err and "in broken" in err
    assert err.splitlines()[-1] == (
        f"error: a bug ({type(error).__name__}), not your input; the traceback is in {log} too."
    )
    assert "Traceback" in log.read_text() and "in broken" in log.read_text()


def test_a_traceback_in_a_log_steers_no_terminal(flags, tmp_path, monkeypatch):
    from trainers import coop

    def broken(self, features, labels, prompts):
        raise UserError("a name of others: \x1b[2J \u202e at https://me:secret@host")

    monkeypatch.setattr(coop.CoOp, "loss", broken)
    assert train.main(flags("CoOp")) == 1
    log = (run_folder(tmp_path, "CoOp") / "log.txt").read_text()
    assert r"a name of others: \x1b[2J \u202e at https://***@host" in log
    assert not {"\x1b", "\u202e"} & set(log) and "secret" not in log


def test_a_bug_in_a_step_of_several_seeds_is_in_every_log(flags, tmp_path, capsys, monkeypatch):
    from trainers import coop

    monkeypatch.setattr(coop.CoOp, "loss", lambda *_: 1 / 0)
    assert train.main(flags("CoOp", more=("--seed", 1, 2))) == 1
    last = capsys.readouterr().err.splitlines()[-1]
    for seed in (1, 2):
        log = run_folder(tmp_path, "CoOp", seed=seed) / "log.txt"
        assert str(log) in last and log.read_text().count("ZeroDivisionError: ") == 1


@pytest.mark.parametrize(
    ("line", "missing"),
    [
        ([], "no --trainer, no --dataset, no --root"),
        (["--trainer", "CoOp", "--root", "data", "--backbone", "CLIP"], "no --dataset"),
        (["--trainer", "coop", "--dataset", "btmri", "--backbone", "PhantomCLIP", "--shots", "4"], "no --root"),
    ],
)
def test_a_line_that_is_not_complete_says_what_is_missing_and_makes_no_folder(
    tmp_path, monkeypatch, capsys, line, missing
):
    monkeypatch.chdir(tmp_path)
    assert train.main(line) == 1
    err = capsys.readouterr().err
    assert re.search(rf"but got {missing}:", err) and err.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("change", [{"trainer": "CoOpp"}, {"root": "nowhere"}])
def test_a_mistake_that_is_seen_before_the_run_makes_no_folder_of_unknown_methods(flags, tmp_path, capsys, change):
    assert train.main(flags(change.pop("trainer", "CoOp"), **change)) == 1
    assert "CoOpp" not in [path.name.partition("_")[0] for path in tmp_path.rglob("*")]
    assert capsys.readouterr().err.startswith("error: ")


def test_an_unknown_backbone_makes_no_folder_that_a_report_would_read(flags, tmp_path, capsys):
    assert train.main(flags("CoOp", backbone="PhantomClip")) == 1
    assert "PhantomCLIP" in capsys.readouterr().err
    assert not [path for path in tmp_path.rglob("*") if "PhantomClip" in path.name]


def test_numbers_of_shots_are_any_and_no_others(flags, tmp_path, capsys):
    assert train.main(flags("ZeroshotCLIP", "OPTIM.MAX_EPOCH", 0, shots=5)) == 0
    assert record(run_folder(tmp_path, "ZeroshotCLIP", shots=5))["shots"] == 5
    for shots in ("0", "-1", "many"):
        with pytest.raises(SystemExit):
            train.main(flags("ZeroshotCLIP", shots=shots))
        assert "whole number of at least 1, such as 1, 5 or 16" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("OPTIM:\n\tLR: 0.1\n", "cannot start any token"),
        ("OPTIM:\n  LRR: 0.1\n", "OPTIM.LRR"),
        ("OPTIM:\n  LR: fast\n", "OPTIM.LR"),
        ("- OPTIM\n", "it holds ['OPTIM']"),
        (None, "there is none"),
    ],
)
def test_a_config_file_that_cannot_be_merged_is_named(flags, tmp_path, capsys, text, words):
    path = tmp_path / "mine.yaml"
    if text:
        path.write_text(text)
    assert train.main(flags("CoOp", more=("--config-file", path))) == 1
    err = capsys.readouterr().err
    assert str(path) in err and words in err and err.count("\n") == 1


@pytest.mark.parametrize("opts", [("OPTIM.LRR", 1), ("OPTIM.LR",), ("OPTIM.LR", "fast"), ("OPTIM.LR.X", 3)])
def test_a_setting_that_does_not_exist_is_named(flags, capsys, opts):
    assert train.main(flags("CoOp", *opts)) == 1
    err = capsys.readouterr().err
    assert "in the settings" in err and "OPTIM.LR" in err and err.count("\n") == 1


def test_sentence_tells_users_mistakes_from_bugs():
    assert sentence(UserError("Expected a, but got b: do c.")) == "Expected a, but got b: do c."
    assert sentence(DivergedError("nan")) == "nan"
    full = sentence(OSError(errno.ENOSPC, "No space left on device", "out/log.txt"))
    assert "out/log.txt" in full and "No space left on device" in full and "make room" in full
    assert "Expected to read or write, but" in sentence(OSError(errno.EDQUOT, "Disk quota exceeded"))
    for bug in (ValueError("a"), KeyError("a"), OSError("a"), OSError(errno.ENOENT, "b"), RuntimeError()):
        assert sentence(bug) is None


def test_a_command_prints_the_sentence_and_returns_1(capsys):
    @command
    def main(error: Exception | None = None) -> int:
        if error:
            raise error
        return 0

    assert main() == 0
    assert main(UserError("Expected a.")) == 1
    assert capsys.readouterr().err == "error: Expected a.\n"
    with pytest.raises(KeyError):
        main(KeyError("b"))


def test_a_name_in_an_error_begins_no_line_and_steers_no_terminal(flags, tmp_path, capsys):
    """From Python too, where no command stands around it."""
    name = "btmri\nerror: all is well \x1b[2J"
    assert train.main(flags("CoOp", dataset=name)) == 1
    assert capsys.readouterr().err.count("\n") == 1
    (outcome,) = perform(RunSpec("CoOp", name, 2, seeds=1, root=tmp_path))
    err = capsys.readouterr().err
    assert outcome.state == "failed" and err.count("\n") == 1 and "\x1b" not in err


@pytest.mark.parametrize(
    ("flag", "lines", "told"), [("-u", 1, True), ("-u", 9**6, True), ("-E", 1, False), ("-E", 9**6, True)]
)
def test_a_reader_that_ends_early_is_told_without_a_traceback(monkeypatch, flag, lines, told):
    monkeypatch.delenv("PYTHONUNBUFFERED", raising=False)
    code = "import sys; sys.path[:0] = sys.argv[2:]; import dassl.errors as e\n"
    code += "sys.exit(e.command(lambda: print('x\\n' * int(sys.argv[1])) or 0)())"
    reading, writing = os.pipe()
    os.close(reading)
    toolbox = str(Path(dassl.__file__).parents[1])
    line = [sys.executable, flag, "-c", code, str(lines), toolbox]
    run = subprocess.run(line, stdout=writing, stderr=subprocess.PIPE, text=True)
    os.close(writing)
    assert run.returncode == 1 and run.stderr.count("\n") == told
    assert run.stderr.startswith("error: Expected a reader") == told


def test_another_broken_pipe_keeps_its_traceback():
    @command
    def main() -> int:
        raise BrokenPipeError

    with pytest.raises(BrokenPipeError):
        main()


def test_base_to_novel_takes_base_or_novel_classes(flags, tmp_path, tiny, capsys):
    assert train.main(flags("CoOp", setting="base2new")) == 1
    assert "add --subsample base" in capsys.readouterr().err and not list(tmp_path.iterdir())
