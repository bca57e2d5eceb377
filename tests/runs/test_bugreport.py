"""The text of a bug report: what it tells of a run, finished or not, and what it does not tell of anyone."""

import getpass
import json
import re
import shutil
import socket

import pytest

import train
from dassl.errors import UserError
from runs import bugreport
from runs.bugreport import main, report

PERSON = "Qzxjmann"  # in no word of the code


@pytest.fixture
def home(data_root, tmp_path):
    """A folder of a person, with images that have the person's name."""
    home = tmp_path / f"{PERSON} home"
    data = shutil.copytree(data_root, home / "data") / "BTMRI"
    split = (data / "split_BTMRI.json").read_text()
    for path in list((data / "BTMRI").rglob("*.png")):
        path.rename(path.with_name(f"{PERSON} {path.name}"))
    listed = json.loads(split)
    for entries in listed.values():
        for entry in entries:
            entry[0] = entry[0].replace("/", f"/{PERSON} ")
    (data / "split_BTMRI.json").write_text(json.dumps(listed))
    return home


@pytest.fixture
def made(home, flags, tiny):
    """made(...) -> folder of a run below that person's folder."""

    def make(*opts, status=0):
        assert train.main(flags("CoOp", *opts, root=home / "data", output=home / "output")) == status
        (log,) = (home / "output").rglob("log.txt")
        return log.parent

    return make


def test_a_finished_run(made, capsys):
    folder = made("OPTIM.LR", "0.0123")
    capsys.readouterr()
    assert main([str(folder)]) == 0
    text = capsys.readouterr().out
    for line in ("finished", "trainer: CoOp", "dataset: BTMRI", "shots: 2", "OPTIM.LR 0.0123", "OPTIM.MAX_EPOCH 3"):
        assert f"\n{line}\n" in text
    assert "versions: python 3." in text and ", torch " in text and "device: cpu" in text and "commit: " in text
    assert "* accuracy: " in text and "Checkpoint saved to <path>\n" in text
    assert PERSON not in text and str(folder) not in text and "train0.png" not in text


def test_an_unfinished_run_and_one_without_anything_but_a_log(made):
    folder = made()
    (folder / "metrics.json").unlink()
    assert "\nnot finished\n" in report(folder)
    (folder / "config.yaml").unlink()
    text = report(folder)
    assert "not read: Expected a run's config.yaml in <path>" in text and PERSON not in text
    (folder / "log.txt").unlink()
    with pytest.raises(UserError, match=r"Expected the folder of a run, such as \.\.\./seed1, but"):
        report(folder)


def test_a_failed_run(made, home, monkeypatch):
    from trainers.coop import CoOp

    def fail(self, *_, **__):
        raise FileNotFoundError(2, "No such file or directory", f"{home}/data/{PERSON} 01 scan.png")

    monkeypatch.setattr(CoOp, "loss", fail)
    folder = made(status=1)
    text = report(folder)
    assert "\nfailed\n" in text and 'File "runs/run.py", line ' in text
    assert "FileNotFoundError: [Errno 2] No such file or directory: <path>" in text
    assert PERSON not in text and str(home) not in text


def test_names_of_the_user_the_host_and_the_images_go_from_the_log(made, monkeypatch):
    monkeypatch.setattr(getpass, "getuser", lambda: "accuracy")  # the code has the word
    monkeypatch.setattr(socket, "gethostname", lambda: "checkpoint.example.org")
    folder = made()
    with (folder / "log.txt").open("a") as file:
        file.write("accuracy on checkpoint: glioma_tumor of test\n")
    with (folder / "predictions.csv").open("a") as file:
        file.write("glioma_tumor/saved.png,glioma tumor,glioma tumor,1,0,0,0\n")
    text = report(folder).partition("lines of the log**")[2]
    words = set(re.findall(r"\w+", text.lower()))
    assert "balanced_accuracy" in words and not words & {"accuracy", "checkpoint", "saved", "glioma_tumor"}


def test_ones_own_images_and_backbone_are_told_without_their_folders(write_run):
    folder = write_run(dataset=f"folder-{PERSON}", backbone=f"local-dir:{PERSON}", key=f"folder-{PERSON}")
    text = report(folder)
    assert PERSON not in text
    assert "key: folder-<folder>" in text and "backbone: local-dir:<folder>" in text


def test_a_record_or_log_that_cannot_be_read_is_a_line(write_run, tmp_path):
    folder = write_run()
    (folder / "metrics.json").write_text("{")
    (tmp_path / PERSON).write_text(f"accuracy of {PERSON}")
    (folder / "log.txt").symlink_to(tmp_path / PERSON)
    text = report(folder)
    assert "its record cannot be read: <path> is half-written" in text
    assert "It cannot be read: Expected a readable file at <path>" in text and PERSON not in text


def test_without_a_run_versions_and_device_alone(capsys):
    assert main([]) == 0
    text = capsys.readouterr().out
    assert text.count("**") == 2 and text.startswith("**This machine**") and "device: cpu" in text


def test_a_file_instead_of_the_console_and_fewer_lines(made, tmp_path, capsys):
    folder, to = made(), tmp_path / "report.md"
    capsys.readouterr()
    assert main([str(folder), "--lines", "2", "--out", str(to)]) == 0
    assert capsys.readouterr().out == f"Read it, then paste it into the issue: {to}\n"
    assert to.read_text().rstrip("\n~").count("\n") > 10
    assert "**Last 2 lines of the log**" in to.read_text()


def test_a_folder_that_is_no_run_is_an_error(tmp_path, capsys):
    assert main([str(tmp_path)]) == 1
    assert "error: Expected the folder of a run, such as .../seed1, but" in capsys.readouterr().err


def test_a_user_that_has_no_name(monkeypatch):
    def unknown():
        raise KeyError("getpwuid(): uid not found: 4242")

    monkeypatch.setattr(getpass, "getuser", unknown)
    assert bugreport._people()
