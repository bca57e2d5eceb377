"""The document of the miniature tables, and the grids that are run for it. No run is made: `run_grid` is replaced."""

import json

import pytest
import yaml

from grid.plan import plan
from grid.run import Summary
from reproduce import provenance, results
from runs.methods import METHODS, both_protocols

pytestmark = pytest.mark.usefixtures("undrawn")
SETTINGS = {"vMFCoOp": {"LAMBDA_ANC": 2.0, "TAU_MAX": 30.0}, "BiomedCoOp": {"SCCM_LAMBDA": 50.0}}
ROWS = {"ce": (0, 0, 0), "ce_anc": (0, 1, 0), "ce_anc_sc": (0, 1, 1), "sce": (1, 0, 0), "sce_anc": (1, 1, 0)}
FULL = (1, 1, 1)


@pytest.fixture
def flags(tmp_path):
    """flags(...) -> command line for one data set, K = 1 and 16, three seeds and five."""

    def make(*more) -> list[str]:
        line = ["--methods", "zeroshot", "biomedcoop", "vmfcoop", "--datasets", "btmri", "--shots", 1, 16]
        line += ["--output", tmp_path / "output", "--tuning", tmp_path / "tuning", "--configs", tmp_path / "configs"]
        return [str(word) for word in (*line, "--to", tmp_path / "docs" / "RESULTS.md", *more)]

    return make


@pytest.fixture
def grids(monkeypatch):
    """The grids that are run; none fails."""
    found = []

    def run_grid(grid, devices):
        found.append(grid)
        return Summary()

    monkeypatch.setattr(results, "run_grid", run_grid)
    monkeypatch.setattr(results, "versions_drawn_meanwhile", lambda datasets: set())
    return found


@pytest.fixture
def tuned(tmp_path):
    """Settings of both methods on BTMRI, and the summaries of their studies."""
    for trainer, settings in SETTINGS.items():
        path = tmp_path / "configs" / trainer / "tuned" / "PhantomCLIP" / "btmri.yaml"
        path.parent.mkdir(parents=True)
        path.write_text(yaml.safe_dump({"TRAINER": {trainer.upper(): settings}}))
        study = {"trainer": trainer, "shots": [4], "trials": 40, "images": {"btmri": 120}, "validation": "whole"}
        study |= {"default": 70.0, "accuracy": 72.5, "settings": {"btmri": settings}}
        path = tmp_path / "tuning" / f"{trainer}_PhantomCLIP" / "btmri_shots_4.json"
        path.parent.mkdir(parents=True)
        path.write_text(json.dumps(study))


@pytest.fixture
def runs(write_run):
    """Every run that the document asks for."""
    more = {"hashes": {"backbone": "2e83"}, "versions": {"python": "3.11", "torch": "2.9"}}
    values = {"BiomedCoOp": 70.0, "vMFCoOp": 73.0}

    def both(seed, root, value, **kwargs):
        for part, subsample, less in (("train_base", "base", 0), ("test_new", "new", 10)):
            where = {"root": f"default/{root}base2new/{part}", "subsample": subsample}
            write_run(seed=seed, accuracy=value - less + seed, **where, **kwargs, **more)

    for k in (1, 16):
        write_run("btmri", k, "ZeroshotCLIP", 1, 45.0, root="default", **more)
        for j, (trainer, value) in enumerate(values.items()):
            for seed in (1, 2, 3, 4, 5):
                untied = 0.01 * (j + 1) * (seed + k)
                write_run("btmri", k, trainer, seed, value + untied, root="default", terms=FULL, **more)
                write_run("btmri", k, trainer, seed, value + 5 + untied, root="tuned", terms=FULL, **more)
    for seed in (1, 2, 3):
        both(seed, "", 45.0, trainer="ZeroshotCLIP")
        for trainer, value in values.items():
            both(seed, "", value, trainer=trainer, terms=FULL)
        for name, terms in ROWS.items():
            write_run("btmri", 16, seed=seed, accuracy=60.0, root=f"default/ablation/{name}", terms=terms, **more)
            both(seed, f"ablation/{name}/", 65.0, terms=terms)


def test_what_is_run(flags, grids, tuned, tmp_path):
    assert results.main(flags("OPTIM.MAX_EPOCH", 5)) == 1  # the grid has left nothing
    out = tmp_path / "output"

    def line(methods, shots, seeds, setting, where, opts="") -> str:
        novel = " base to novel" if setting == "base2new" else ""
        what = f"{methods}{novel} on btmri, K = {shots}, seeds {seeds}, with OPTIM.MAX_EPOCH 5{opts}"
        return f"{what}, into {out / where}"

    key = " TRAINER.VMFCOOP."
    off = {"sce": f"{key}SCE False", "anc": f"{key}LAMBDA_ANC 0.0", "sc": f"{key}LAMBDA_SC 0.0"}
    expected = [
        line("zeroshot biomedcoop vmfcoop", "1 16", "1 2 3", "few_shot", "default"),
        line("vmfcoop biomedcoop", "1 16", "1 2 3 4 5", "few_shot", "default"),
        line("zeroshot biomedcoop vmfcoop", "16", "1 2 3", "base2new", "default"),
    ]
    for terms in ROWS.values():
        opts = "".join(off[term] for term, used in zip(off, terms, strict=True) if not used)
        expected.append(line("vmfcoop", "16", "1 2 3", "few_shot", "default", opts))
        expected.append(line("vmfcoop", "16", "1 2 3", "base2new", "default", opts))
    chosen = {"vmfcoop": f"{key}LAMBDA_ANC 2.0{key}TAU_MAX 30.0", "biomedcoop": " TRAINER.BIOMEDCOOP.SCCM_LAMBDA 50.0"}
    expected += [line(method, "1 16", "1 2 3 4 5", "few_shot", "tuned", opts) for method, opts in chosen.items()]
    assert [str(grid) for grid in grids] == expected
    assert {(grid.template.root, grid.template.backbone) for grid in grids} == {("phantoms", "PhantomCLIP")}


def test_every_grid_can_be_planned(flags, grids, tuned, monkeypatch):
    monkeypatch.setattr("grid.plan._finished", lambda *_: False)
    results.main(flags())
    for grid in grids:
        jobs, _ = plan(grid)
        assert len(jobs) == len(grid.methods) * len(grid.shots)


def test_all_methods_and_data_sets_by_default_and_no_base_to_novel_where_there_is_none(tmp_path):
    document, _ = results.parse(["--output", str(tmp_path)])
    first, _, third, *_ = document.grids()
    assert first.methods == both_protocols(METHODS) and third.template.setting == "base2new"
    assert "busi" in first.datasets and "busi" not in third.datasets  # three classes
    assert "linear_probe" in first.methods and "linear_probe" not in third.methods  # knows no classes but its own


def test_the_document(flags, runs, tuned, tmp_path, capsys):
    provenance.note_begun(tmp_path / "output", [4])
    assert results.main(flags("--write-only")) == 0
    text = (tmp_path / "docs" / "RESULTS.md").read_text()
    assert text.startswith("# Phantom results\n\n<!-- What follows is written by")
    assert "**These are phantom results.**" in text and "## Missing" not in text
    assert "python 3.11, torch 2.9" in text and "version 4" in text

    tables, paired, tuned_part = (part.split("\n", 1)[1] for part in text.split("\n## ")[1:])
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in tables.splitlines() if line[:1] == "|"]
    assert ["vMFCoOp", "here (phantom)", "73.06 ± 0.02", "73.36 ± 0.02"] in rows  # seeds 1 to 3 of the five
    assert ["✓", "✓", "", "here (phantom)"] in [row[:4] for row in rows]  # Table 2
    assert ["average", "base", "here (phantom)"] in [row[:3] for row in rows]  # Table 3
    assert "Few-shot: paired differences" in tables

    def difference(part: str, shots: str) -> list[str]:
        (row,) = [
            line for line in part.splitlines() if line.startswith("| BiomedCoOp ") and f"| {shots} |" in squeeze(line)
        ]
        return [cell.strip() for cell in row.split("|")[3:6]]

    assert difference(paired, "16")[1:] == ["5", "0.062"]  # five pairs, all positive
    assert difference(tuned_part, "1") == ["+3.04 ± 0.01", "5", "0.062"]
    cells = ["vMFCoOp", "btmri", "4", "40", "120 (whole)", "70.00", "72.50"]
    cells.append("TRAINER.VMFCOOP.LAMBDA_ANC 2 TRAINER.VMFCOOP.TAU_MAX 30")
    assert cells in [[cell.strip() for cell in line.split("|")[1:-1]] for line in tuned_part.splitlines()]


def squeeze(line: str) -> str:
    return " ".join(line.split())


def test_what_stands_above_is_kept(flags, runs, tuned, tmp_path):
    document = tmp_path / "docs" / "RESULTS.md"
    document.parent.mkdir()
    document.write_text("# Findings\n\nWritten by hand.\n")
    for _ in range(2):
        assert results.main(flags("--write-only")) == 0
    text = document.read_text()
    assert text.startswith("# Findings\n\nWritten by hand.\n<!-- What follows")
    assert text.count("# Findings") == text.count("phantom results.**") == 1


def test_what_is_missing_is_said_and_is_the_status(flags, write_run, tmp_path, capsys):
    write_run("btmri", 1, "vMFCoOp", 1, 70.0, root="default", terms=FULL)
    assert results.main(flags("--write-only")) == 1
    assert "missing: BiomedCoOp few-shot on btmri at K = 1 16, seed 1 2 3" in capsys.readouterr().out
    text = (tmp_path / "docs" / "RESULTS.md").read_text()
    assert "* vMFCoOp few-shot on btmri at K = 1 16, seed 1 2 3" in text.split("## Missing")[1]


def test_a_grid_with_a_failure_is_the_status_but_the_others_are_run(flags, grids, runs, tuned, monkeypatch):
    def run_grid(grid, devices):
        grids.append(grid)
        return Summary(failed=int(len(grids) == 1))

    monkeypatch.setattr(results, "run_grid", run_grid)
    assert results.main(flags()) == 1
    assert len(grids) == 3 + 2 * len(ROWS) + 2


def test_interrupted_by_hand_nothing_more_is_run_or_written(flags, grids, monkeypatch, tmp_path):
    def run_grid(grid, devices):
        grids.append(grid)
        raise KeyboardInterrupt

    monkeypatch.setattr(results, "run_grid", run_grid)
    assert results.main(flags()) == 130
    assert len(grids) == 1 and not (tmp_path / "docs").exists()


def test_phantoms_that_are_drawn_anew_meanwhile_end_it(flags, grids, runs, monkeypatch, tmp_path, capsys):
    """Workers read the code anew: what they run after a change is not to be compared with what ran before."""
    monkeypatch.setattr("datasets.phantoms.VERSION", 4)
    monkeypatch.setattr(results, "versions_drawn_meanwhile", lambda datasets: {5} if len(grids) == 2 else set())
    sentence = "to have the same versions of the phantoms, but they have 4, 5: something was changed"
    assert results.main(flags()) == 1 and sentence in capsys.readouterr().err
    assert len(grids) == 2
    monkeypatch.setattr("datasets.phantoms.VERSION", 5)
    for more in ((), ("--write-only",)):  # nor can it go on or be written later
        assert results.main(flags(*more)) == 1 and sentence in capsys.readouterr().err
    assert len(grids) == 2 and not (tmp_path / "docs").exists()


def test_pictures_on_the_disk_that_are_newer_than_the_code(tmp_path, monkeypatch):
    monkeypatch.setattr("datasets.base.PHANTOM_ROOT", tmp_path)
    monkeypatch.setattr("datasets.phantoms.VERSION", 4)
    for name, version in (("BTMRI", 5), ("CHMNIST", 4), ("BUSI", 3)):  # an old one is drawn again before it is used
        (tmp_path / name).mkdir()
        (tmp_path / name / "phantom.json").write_text(json.dumps({"version": version}))
    assert provenance.versions_drawn_meanwhile(["btmri", "chmnist", "busi", "covid"]) == {5}
    assert provenance.versions_drawn_meanwhile(["chmnist", "busi"]) == set()


def test_runs_of_two_backbones_weights_are_in_no_document(flags, runs, write_run, tmp_path, capsys):
    write_run("btmri", 4, "CoOp", 1, 60.0, root="default", hashes={"backbone": "ffff"})
    assert results.main(flags("--write-only")) == 1
    assert "to have the same weights, but they have 2e83, ffff" in capsys.readouterr().err
    assert not (tmp_path / "docs").exists()


def test_the_script(calls):
    assert calls("results.sh", "--datasets", "btmri", "chmnist") == ["-m reproduce.results --datasets btmri chmnist"]
