"""What the posterior is worth: which runs are made, which prompts are tested again, and what the tables say of them."""

from statistics import fmean, pstdev
from types import SimpleNamespace

import pytest
from scipy.stats import wilcoxon

from report.scores import Grid
from reproduce import posterior
from reproduce.posterior_runs import METHODS, POSTERIORS, Row, posterior_of
from reproduce.posterior_tables import cell
from tests.run_folders import record, run_folder

ROWS = {row.name: row for row in (*METHODS, *POSTERIORS)}
SOME = [ROWS[name] for name in ("zero-shot, LLM ensemble", "SS-Text", "PromptSRC, text side", "vMFCoOp")]
TESTED = [ROWS["vMFPosterior"], posterior_of("PromptSRC's text side, posterior", "promptsrc_text", "posterior")]


@pytest.fixture
def rows(monkeypatch):
    monkeypatch.setattr(posterior, "METHODS", SOME)
    monkeypatch.setattr(posterior, "POSTERIORS", TESTED)
    variants = {"not refined": {"REFINE": 0.0}, "chosen": {"N_0": 0.0}}
    rows = [posterior_of(name, "vmfcoop", name, **settings) for name, settings in variants.items()]
    monkeypatch.setattr(posterior, "VARIANTS", rows)


def line(data_root, tmp_path, *flags):
    words = ["--datasets", "btmri", "--root", data_root, "--shots", 1, "--seeds", 1, 2, 3, 4, 5, "--output", tmp_path]
    words += [
        "--to",
        tmp_path / "page.md",
        "--novel-shots",
        2,
        *flags,
        "OPTIM.MAX_EPOCH",
        1,
        "DATALOADER.NUM_WORKERS",
        0,
    ]
    return [str(word) for word in words]


def parts(page):
    """The tables of a page by their headings, each row by its name."""
    found = {}
    for block in page.read_text().split("### ")[1:]:
        name, _, text = block.partition("\n")
        cells = [
            [cell.strip() for cell in row.strip("|").split("|")] for row in text.split("\n") if row.startswith("|")
        ]
        found[name] = {cells_of[0]: cells_of[1:] for cells_of in cells[2:]}
    return found


@pytest.mark.usefixtures("rows")
def test_the_tables_are_those_of_the_runs(data_root, tmp_path, jobs, monkeypatch, capsys):
    monkeypatch.setattr("reproduce.posterior_runs.default_backbone", lambda root: "PhantomCLIP")
    page = tmp_path / "page.md"
    page.write_text("kept\n\n" + posterior.MARK + "\nof another day")
    assert posterior.main(line(data_root, tmp_path)) == 0
    assert page.read_text().startswith("kept\n\n" + posterior.MARK) and "of another day" not in page.read_text()
    assert {job.trainer for job in jobs} == {"ZeroshotEnsemble", "SSText", "PromptSRCText", "vMFCoOp"}

    def accuracies(trainer, part="", **place):
        where = tmp_path / part if part else tmp_path
        shots = 2 if part else 1
        return [
            record(run_folder(where, trainer, shots=shots, seed=seed, **place))["metrics"]["accuracy"]
            for seed in range(1, 6)
        ]

    found = parts(page)
    accuracy = found["Accuracy (%)"]
    for name, trainer in (("SS-Text", "SSText"), ("vMFCoOp", "vMFCoOp"), ("vMFPosterior", "vMFPosterior")):
        values = accuracies(trainer)
        assert accuracy[name][0] == f"{fmean(values):.1f} ± {pstdev(values):.1f}"
    assert accuracy["SS-Text"][1:] == ["-", "-", "-"]  # closed set
    base, new = (accuracies("vMFPosterior", f"base2new/{part}") for part in ("train_base", "test_new"))
    hm = [2 * b * n / (b + n) if b and n else 0.0 for b, n in zip(base, new, strict=True)]
    assert accuracy["vMFPosterior"][1:] == [f"{fmean(values):.1f} ± {pstdev(values):.1f}" for values in (base, new, hm)]
    ours, theirs = accuracies("vMFPosterior"), accuracies("SSText")
    differences = [a - b for a, b in zip(ours, theirs, strict=True)]
    p = wilcoxon([d for d in differences if d]).pvalue if any(differences) else 1.0
    expected = f"{fmean(differences):+.1f} (p {p:.2g}, {int(fmean(ours) > fmean(theirs))}/1)"
    assert found["vMFPosterior minus each, in points"]["SS-Text"][0] == expected
    chosen = accuracy["chosen (TRAINER.VMFPOSTERIOR.N_0 0.0)"]
    assert chosen[1:] == ["-", "-", "-"] and "-" not in chosen[0]
    assert "not refined (TRAINER.VMFPOSTERIOR.REFINE 0.0)" in accuracy
    assert "PromptSRC's text side, posterior" in found["Expected calibration error (%)"]
    learned = [
        record(run_folder(tmp_path, trainer, shots=1))["hashes"]["learned"] for trainer in ("vMFCoOp", "vMFPosterior")
    ]
    assert learned[0] == learned[1]
    jobs.clear()
    capsys.readouterr()
    assert posterior.main(line(data_root, tmp_path)) == 0
    assert not jobs and "Evaluate on" not in capsys.readouterr().out


@pytest.mark.usefixtures("rows")
def test_what_is_missing_is_a_gap_and_the_status(data_root, tmp_path, jobs, capsys):
    assert posterior.main(line(data_root, tmp_path, "--write-only")) == 1
    assert not jobs and "runs are missing" in capsys.readouterr().out
    assert set(map(tuple, parts(tmp_path / "page.md")["Accuracy (%)"].values())) == {("-",) * 4}


def test_every_row_is_one_thing():
    names = [row.name for row in (*METHODS, *POSTERIORS, *posterior.VARIANTS)]
    assert len(set(names)) == len(names)
    places = {(row.folder, row.trainer) for row in (*METHODS, *POSTERIORS, *posterior.VARIANTS)}
    assert len(places) == len(names), "two rows would lie in one folder"
    assert posterior_of("x", "coop", "y", RHO=0.0) == Row(
        "x (TRAINER.COOP.RHO 0.0)",
        "coop",
        (("TRAINER.COOP.INFERENCE", "posterior"), ("TRAINER.COOP.RHO", 0.0)),
        "coop",
        "y",
    )


def test_one_seed_has_no_std():
    values = {("btmri", seed): 70.0 + seed for seed in (1, 2)} | {("busi", seed): 80.0 for seed in (1, 2)}
    studies = [SimpleNamespace(points=Grid((), ("btmri", "busi"), (16,), seeds)) for seeds in ((1, 2), (1,))]
    assert [cell(study, values) for study in studies] == ["75.8 ± 0.2", "75.5"]
