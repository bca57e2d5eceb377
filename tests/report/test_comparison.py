"""What stands around the table of a comparison, the files that it is kept in, and names that are none."""

import csv
import re
from pathlib import Path

import pytest

from report.__main__ import main as report
from report.base2new import main as base2new
from report.compare import main
from runs.methods import title_of, trainer_name

ROOT = Path(__file__).resolve().parents[2]

CLASSES = {"glioma tumor": 80.0, "meningioma tumor": 81.0, "pituitary tumor": 82.0, "normal brain": 83.0}


@pytest.fixture(autouse=True)
def pictures(undrawn):
    """Draws nothing."""


@pytest.fixture
def runs(write_run, tmp_path):
    """Zero-shot with one seed, two methods with two, of four classes."""
    metrics = {"macro_f1": 70.0, "balanced_accuracy": 70.0, "auroc": 90.0, "ece": 5.0, "per_class": CLASSES}
    for trainer, seed, value in (
        ("ZeroshotCLIP", 1, 45.0),
        *(("CoOp", seed, 70.0 + seed) for seed in (1, 2)),
        *(("vMFCoOp", seed, 74.0 + seed) for seed in (1, 2)),
    ):
        seconds = {"start": 1.0, "encode": 30.0 * (trainer == "ZeroshotCLIP"), "train": 4.0, "test": 1.0}
        write_run(trainer=trainer, seed=seed, metrics=metrics | {"accuracy": value}, seconds=seconds)
    return tmp_path / "output"


def compare(output, *more, methods=("zeroshot", "coop", "vmfcoop"), dataset="btmri", shots="16"):
    base = ["--output", str(output), "--dataset", dataset, "--shots", shots, "--backbone", "PhantomCLIP"]
    return main([*base, *more, "--methods", *methods])


def test_notes_say_what_a_stranger_would_ask(runs, capsys):
    assert compare(runs) == 0
    out = capsys.readouterr().out
    assert "Chance: 25.00 % accuracy (4 classes), 50 % AUROC." in out
    assert "±: standard deviation over the seeds (of the population, divided by n)" in out
    assert "A lower ECE is better" in out
    assert "p -: fewer than five pairs." in out
    assert "vMFCoOp is compared because it is named last; --against names another." in out


def test_encoding_is_apart_from_training(runs, capsys):
    assert compare(runs) == 0
    out = capsys.readouterr().out
    seconds = [line.split()[-1] for line in out.splitlines() if line.startswith(("zero-shot", "CoOp", "vMFCoOp"))][:3]
    assert seconds == ["5.0"] * 3
    assert 'then in the store: zero-shot, "a photo of a {}." 30 s.' in out and "earlier version" not in out


def test_runs_of_an_earlier_version_count_encoding(runs, write_run, capsys):
    write_run(trainer="KgCoOp", seed=1)
    assert compare(runs, methods=("zeroshot", "kgcoop")) == 0
    assert (
        "1 of 2 runs are of an earlier version or another code base: encoding is in their seconds."
        in capsys.readouterr().out
    )


def test_one_pair_has_no_spread(runs, capsys):
    assert compare(runs, methods=("zeroshot", "coop"), shots="16") == 0
    assert "± 0.00" in (two := capsys.readouterr().out) and "+26.50 ± 0.50" in two
    (runs / "btmri/shots_16/CoOp_PhantomCLIP/nctx4_cscFalse_ctpend/seed2/metrics.json").unlink()
    assert compare(runs, methods=("zeroshot", "coop")) == 0
    one = capsys.readouterr().out.split("\nPicture")[0]
    assert "+26.00" in one and " ± " not in one.partition("in percent")[2]


def test_tables_are_kept_beside_the_picture(runs, capsys):
    assert compare(runs) == 0
    out, files = capsys.readouterr().out, runs / "btmri" / "shots_16"
    kept = (files / "comparison_PhantomCLIP.txt").read_text()
    assert out.startswith(kept.rstrip("\n"))
    assert "CoOp                           71.50 ± 0.50" in kept
    markdown = (files / "comparison_PhantomCLIP.md").read_text()
    assert markdown.count("## ") == 2 and "25.00 % accuracy" in markdown and "\\n" not in markdown
    assert r"71.50 $\pm$ 0.50" in (files / "comparison_PhantomCLIP.tex").read_text()
    with (files / "comparison_PhantomCLIP.csv").open(newline="", encoding="utf-8") as file:
        assert [row[:2] for row in csv.reader(file)][2] == ["CoOp", "71.50 ± 0.50"]


def test_a_picture_elsewhere_has_its_tables_beside_it(runs, tmp_path):
    assert compare(runs, "--png", str(tmp_path / "mine.png")) == 0
    assert (tmp_path / "mine.txt").is_file() and not list(runs.rglob("comparison_*"))


@pytest.mark.parametrize("columns", [80, 120])
def test_a_terminal_is_not_overrun(runs, capsys, monkeypatch, columns):
    monkeypatch.setenv("COLUMNS", str(columns))
    assert compare(runs) == 0
    table = capsys.readouterr().out.partition("\nPicture")[0].splitlines()
    assert max(map(len, table)) <= columns
    assert sum("AUROC" in line and "accuracy" in line for line in table) == (columns == 120) + 1  # + the chance


def test_curves_have_the_notes_that_they_need(runs, write_run, capsys):
    write_run(trainer="CoOp", shots=4, seed=1)
    assert compare(runs, "--keyword", "ece", shots="4 16") == 0
    assert "\nLower is better.\n" in (out := capsys.readouterr().out) and "Chance" not in out
    assert f"Runs:    {runs}/btmri/shots_<K>/<trainer>_PhantomCLIP/<settings>/seed<n>" in out


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"methods": ("zeroshot", "copp")}, "but got 'copp': did you mean 'coop'?"),
        ({"methods": ("VMFCoOp",)}, "but got 'VMFCoOp': did you mean 'vmfcoop'?"),
        ({"dataset": "btmr"}, "but got 'btmr': did you mean 'btmri'?"),
    ],
)
def test_a_name_that_is_none_is_told(runs, capsys, change, sentence):
    assert compare(runs, **change) == 1
    out, err = capsys.readouterr()
    assert sentence in err and err.count("\n") == 1 and out == ""


def test_another_code_bases_method_is_one(runs, write_run, capsys):
    write_run(trainer="Theirs", seed=1)
    assert compare(runs, methods=("Theirs", "coop")) == 0
    assert report([str(runs), "--methods", "Theirs", "coop"]) == 0


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (["--methods", "coop", "copp"], "but got 'copp': did you mean 'coop'?"),
        (["--against", "vmfcop"], "but got 'vmfcop': did you mean 'vmfcoop'?"),
        (["--datasets", "BTMRI"], "but got 'BTMRI': did you mean 'btmri'?"),
        (["--methods", "coop:publish"], "PROTOCOL to be one of best, published, but got 'publish'"),
    ],
)
def test_the_report_tells_names_that_are_none(runs, capsys, options, sentence):
    assert report([str(runs), *options]) == 1
    assert sentence in capsys.readouterr().err and not (runs / "report").exists()


def test_base_to_novel_tells_a_method_that_is_none(runs, capsys):
    line = ["--output", str(runs), "--dataset", "btmri", "--shots", "16", "--backbone", "PhantomCLIP"]
    assert base2new([*line, "--trainer", "copp"]) == 1
    assert "did you mean 'coop'?" in capsys.readouterr().err
    assert base2new([*line, "--trainer", "coop"]) == 1
    assert "Nothing to average" in capsys.readouterr().err


def test_readme_names_the_rows_of_quickstart_as_its_table_does():
    (line,) = re.findall(r"compare.sh.* btmri 16 (.*)", (ROOT / "scripts" / "quickstart.sh").read_text())
    table = (ROOT / "README.md").read_text().partition("| method (phantom) |")[2].partition("\n\n")[0]
    names = [row.split("|")[1].strip() for row in table.splitlines()[2:]]
    assert names == [title_of(trainer_name(method)) for method in line.split()]


def test_a_method_of_no_title_keeps_its_name():
    assert title_of("CoOp") == "CoOp" and title_of("Theirs (as benchmarked), x") == "Theirs (as benchmarked), x"
