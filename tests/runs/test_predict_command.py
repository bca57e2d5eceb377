"""`predict.py`: what it prints, what it writes, and its exit status."""

import csv
import json
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

import predict
import train
from explain import sentences
from runs.predictor import Prediction, Predictor
from tests.conftest import CLASSES
from tests.run_folders import run_folder

ROOT = Path(__file__).parents[2]


@pytest.fixture
def run(flags, tmp_path, tiny, capsys) -> Path:
    assert train.main(flags("CoOp", "OPTIM.LR", 0.05)) == 0
    capsys.readouterr()
    return run_folder(tmp_path, "CoOp")


@pytest.fixture
def images(data_root) -> Path:
    return data_root / "BTMRI" / "BTMRI" / "glioma_tumor"


def words(*args) -> list[str]:
    return [str(arg) for arg in args]


def test_a_table_says_what_the_run_sees(run, images, capsys):
    assert predict.main(words(run, images / "test0.png", images / "test1.png")) == 0
    out, err = capsys.readouterr()
    assert "Run: CoOp with PhantomCLIP on BTMRI, 2 shots, seed 1\n" in out and err == ""
    assert f"Classes (4): {', '.join(CLASSES)}\n" in out and "*** PHANTOM BACKBONE" in out and "PHANTOMS:" not in out
    first, _ = Predictor.from_run(run).predict([images / "test0.png", images / "test1.png"])
    (row,) = (line for line in out.splitlines() if "test0.png" in line)
    assert first.predicted in row and f"{max(first.probabilities):.3f}" in row and f"{first.margin:.3f}" in row
    second, third = sorted(first.probabilities)[-2], sorted(first.probabilities)[-3]
    assert f"{first.runner_up} {second:.3f}" in row and row.rstrip().endswith(f"{third:.3f}")


def test_figures_of_all_classes_are_written_as_csv(run, images, tmp_path):
    (tmp_path / "bad.png").write_text("no picture")
    out = tmp_path / "new" / "out.csv"
    assert predict.main(words(run, images / "test0.png", tmp_path / "bad.png", "--out", out)) == 0
    good, bad = csv.DictReader(out.open(newline=""))
    (expected,) = Predictor.from_run(run).predict([images / "test0.png"])
    assert [float(good[name]) for name in CLASSES] == pytest.approx(expected.probabilities, abs=1e-5)
    assert good["predicted"] == expected.predicted and float(good["margin"]) == pytest.approx(expected.margin, abs=1e-5)
    assert (good["runner_up"], good["error"]) == (expected.runner_up, "")
    assert good["phantom"] == bad["phantom"] == "yes"
    assert bad["predicted"] == bad["margin"] == bad[CLASSES[0]] == "" and "bad.png is not" in bad["error"]


def test_and_as_json(run, images, tmp_path):
    out = tmp_path / "out.json"
    assert (
        predict.main(words(run, images / "test0.png", tmp_path / "gone.png", "--out", out, "--set", "coverage", "0.7"))
        == 0
    )
    found = json.loads(out.read_text())
    assert found["run"]["trainer"] == "CoOp" and found["phantom"] is True and found["classes"] == CLASSES
    good, bad = found["pictures"]
    assert list(good["probabilities"]) == CLASSES and sum(good["probabilities"].values()) == pytest.approx(1)
    kept = json.loads((run / "conformal.json").read_text())
    assert good["set"] == [name for name, p in good["probabilities"].items() if 1 - p <= kept["threshold"]]
    assert set(bad) == {"path", "error"} and found["coverage"]["reached_on_test_images"] == kept["reached"]


def test_a_bad_picture_is_one_line_and_only_bad_ones_are_an_error(run, images, tmp_path, capsys):
    (tmp_path / "bad.png").write_text("no picture")
    assert predict.main(words(run, tmp_path / "bad.png", images / "test0.png", tmp_path / "gone.png")) == 0
    out, err = capsys.readouterr()
    assert len(err.splitlines()) == 2 and all(line.startswith("Not read: ") for line in err.splitlines())
    assert "bad.png" not in out and "test0.png" in out
    assert predict.main(words(run, tmp_path / "bad.png")) == 1
    (tmp_path / "empty").mkdir()
    assert predict.main(words(run, tmp_path / "empty")) == 1


def test_long_tables_are_shortened_on_the_screen_and_whole_in_the_file(run, data_root, tmp_path, capsys):
    out = tmp_path / "out.csv"
    assert predict.main(words(run, data_root / "BTMRI" / "BTMRI", "--out", out)) == 0
    said = capsys.readouterr().out
    assert (
        sum(".png" in line for line in said.splitlines()) == 40
        and f"40 of 56 pictures are shown; {out} has all" in said
    )
    assert len(out.read_text().splitlines()) == 57
    assert predict.main(words(run, data_root / "BTMRI" / "BTMRI")) == 0
    assert "--out FILE.csv writes all" in capsys.readouterr().out


def test_sets_are_shown_told_and_kept(run, images, capsys):
    assert predict.main(words(run, images / "test0.png", "--set", "coverage", "0.7")) == 0
    out = capsys.readouterr().out
    assert "Sets for a coverage of 0.7: calibrated on 8 validation images; of 20 test images" in out and " set\n" in out
    assert predict.main(words(run, images / "test0.png", "--set", "coverage", "0.9")) == 0
    out = capsys.readouterr().out
    assert "every class is in every set" in out and "; ".join(CLASSES) in out


def test_a_file_of_a_run_on_patients_has_no_column_of_phantoms(tmp_path):
    answer = predict.Answer("a.png", Prediction("a.png", [0.75, 0.25], "x", "y", 0.5))
    predict.write_csv([answer], ["x", "y"], False, tmp_path / "out.csv")
    (row,) = csv.DictReader((tmp_path / "out.csv").open(newline=""))
    assert list(row) == ["path", "predicted", "margin", "runner_up", "x", "y", "error"]


@pytest.mark.parametrize(
    "more",
    [
        ("--set", "coverage", "1"),
        ("--set", "coverage", "much"),
        ("--set", "size", "0.9"),
        ("--out", "figures.txt"),
        ("--out", "folder.csv"),
    ],
)
def test_a_wrong_flag_is_told_before_anything_is_read(tmp_path, capsys, monkeypatch, more):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "folder.csv").mkdir()
    assert predict.main(words(tmp_path / "no run", "picture.png", *more)) == 1
    err = capsys.readouterr().err
    assert err.startswith(f"error: Expected {'a file that ends' if more[0] == '--out' else '--set coverage'}")
    assert err.count("\n") == 1


def test_a_number_of_sentences_is_positive(tmp_path, capsys):
    with pytest.raises(SystemExit):
        predict.main(words(tmp_path / "no run", "picture.png", "--top", -1))
    assert "argument --top" in capsys.readouterr().err


def test_sentences_follow_the_table(run, images, tmp_path, capsys, monkeypatch):
    asked = []
    monkeypatch.setenv("COLUMNS", "50")

    def speaking_sentences(predictor, features, predicted, runner_up, count):
        asked.append((features.shape, predicted.tolist(), runner_up.tolist(), count))
        return [[f"sentence {n} of many words in a narrow terminal" for n in range(count)] for _ in features]

    monkeypatch.setattr(sentences, "speaking_sentences", speaking_sentences)
    out = tmp_path / "out.json"
    assert predict.main(words(run, "gone.png", images / "test0.png", "--top", 2, "--out", out)) == 0
    (expected,) = Predictor.from_run(run).predict([images / "test0.png"])
    (given,) = asked
    assert given == ((1, 16), [CLASSES.index(expected.predicted)], [CLASSES.index(expected.runner_up)], 2)
    told = capsys.readouterr().out
    assert f"test0.png: {expected.predicted} rather than {expected.runner_up}" in told
    assert "  * sentence 1 of many words in a narrow terminal\n" in told
    assert [text[:10] for text in json.loads(out.read_text())["pictures"][1]["sentences"]] == [
        "sentence 0",
        "sentence 1",
    ]


def test_names_steer_neither_a_terminal_nor_a_spreadsheet(run, images, tmp_path, capsys):
    folder = tmp_path / "sent"
    folder.mkdir()
    for name in ("=1+1.png", "\u202egnp.png"):
        Image.open(images / "test0.png").save(folder / name)
    (folder / "broken\u202e.png").write_text("")
    out = folder / "out.csv"
    assert predict.main(words(run, folder, folder / "list\x1b[2J.png", "--out", out)) == 0
    said = "".join(capsys.readouterr())
    assert "\x1b" not in said and "\u202e" not in said and "\\u202e" in said and "\\x1b[2J" in said
    (folder / "list.csv").write_text("path\n=1+1.png\n")
    assert predict.main(words(run, folder / "list.csv", "--out", out)) == 0
    assert out.read_text().splitlines()[1].startswith("'=1+1.png,")


def test_help_needs_no_pytorch():
    code = "import sys, predict\ntry:\n    predict.main(['--help'])\nfinally:\n    assert 'torch' not in sys.modules"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "--set" in done.stdout


def test_sets_need_no_room_in_the_folder_of_the_run(run, images, capsys):
    (run / "conformal.json").mkdir()
    assert predict.main(words(run, images / "test0.png", "--set", "coverage", "0.7")) == 0
    assert "Not kept in the run's folder: Expected to write" in capsys.readouterr().out


def test_a_table_of_pictures_is_not_written_over(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "list.csv").write_text("path\na.png\n")
    assert predict.main(words(tmp_path / "no run", "list.csv", "--out", tmp_path / "list.csv")) == 1
    assert "list.csv lists the pictures: give it another name" in capsys.readouterr().err


def test_links_lead_anywhere_if_the_user_says_so(run, images, tmp_path, capsys):
    (tmp_path / "links").mkdir()
    (tmp_path / "links" / "a.png").symlink_to(images / "test0.png")
    assert predict.main(words(run, tmp_path / "links")) == 1
    assert predict.main(words(run, tmp_path / "links", "--options", "DATASET.LINKS", "anywhere")) == 0
    assert "a.png" in capsys.readouterr().out


def test_the_file_is_whole_when_nobody_reads_the_screen(run, images, tmp_path, monkeypatch):
    def show(*args) -> None:
        raise BrokenPipeError

    monkeypatch.setattr(predict, "show", show)
    with pytest.raises(BrokenPipeError):
        predict.main(words(run, images / "test0.png", "--out", tmp_path / "out.csv"))
    assert "test0.png" in (tmp_path / "out.csv").read_text()
