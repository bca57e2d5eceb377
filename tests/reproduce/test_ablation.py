"""The rows of Table 2: what each switches off, where its runs lie, and what the script runs."""

import pytest

from dassl.errors import UserError
from report import paper
from report.tables.ablation import Terms
from reproduce import ablation
from runs.outcome import DONE, FAILED, Outcome
from runs.spec import RunSpec

OFF = {"SCE": ("TRAINER.VMFCOOP.SCE", False), **{n: (f"TRAINER.VMFCOOP.LAMBDA_{n}", 0.0) for n in ("ANC", "SC")}}
ROWS = [("SCE", "ANC", "SC"), ("SCE", "SC"), ("SCE",), ("ANC", "SC"), ("SC",), ()]  # the terms that each lacks


def test_rows_are_those_of_the_paper():
    assert [row.terms for row in ablation.ROWS] == [Terms(*row["terms"]) for row in paper.TABLE2["rows"]]


@pytest.fixture
def performed(monkeypatch):
    """The specifications that are run; those with `failing` among their options fail."""
    specs: list[RunSpec] = []

    def perform(spec: RunSpec) -> list[Outcome]:
        specs.append(spec)
        return [Outcome(seed, FAILED if ("FAIL", "1") in spec.options else DONE) for seed in spec.seeds]

    monkeypatch.setattr(ablation, "perform", perform)
    return specs


def test_every_row_is_run_few_shot_and_base_to_novel(performed, monkeypatch, capsys):
    printed: list[tuple] = []

    def print_seeds(*values, options) -> bool:
        printed.append(values)
        return True

    monkeypatch.setattr(ablation.base2new, "print_seeds", print_seeds)
    line = "--dataset btmri --shots 1 4 --root phantoms --seed 1,2 --output o OPTIM.LR 0.1"
    assert ablation.main(line.split()) == 0
    found = [
        (spec.output, spec.shots, spec.setting, spec.subsample, spec.eval_only, spec.options) for spec in performed
    ]
    expected = []
    output = "o"  # where few_shot.sh and base2new.sh put the full method; the folders of the others name their terms
    for names in ROWS:
        options = (("OPTIM.LR", "0.1"), *(OFF[name] for name in names))
        expected += [(output, shots, "few_shot", "", False, options) for shots in (1, 4)]
        expected += [(output, 16, "base2new", "base", False, options), (output, 16, "base2new", "new", True, options)]
    assert found == expected
    assert {(spec.trainer, spec.seeds, spec.root, spec.backbone) for spec in performed} == {
        ("vMFCoOp", (1, 2), "phantoms", "PhantomCLIP")
    }
    assert printed == [(output, "btmri", 16, "vMFCoOp", "PhantomCLIP", (1, 2))] * 6
    heads = [text for text in capsys.readouterr().out.splitlines() if text.startswith("==")]
    assert heads[0] == "== vMFCoOp with CE" and heads[-1] == "== vMFCoOp with SCE + anc + sc"


def test_a_failure_is_the_status_and_the_other_rows_are_run(performed, capsys):
    assert ablation.main(["--dataset", "btmri", "--shots", "1", "--seed", "1", "FAIL.X", "1", "FAIL", "1"]) == 1
    assert len(performed) == 6 * 2  # few-shot, and base classes; novel ones have nothing to be tested with
    *_, last = capsys.readouterr().out.partition("12 of 12 runs failed.\n")
    assert len(last.splitlines()) == 12 and "failed: vMFCoOp base to novel on btmri, K = 16, seed 1: " in last


def test_a_row_whose_runs_cannot_be_compared_does_not_stop_the_others(performed, monkeypatch, capsys):
    tables = iter(range(6))

    def print_seeds(*_, **__) -> bool:
        if next(tables) == 0:
            raise UserError("Expected runs with the same test images.")
        return True

    monkeypatch.setattr(ablation.base2new, "print_seeds", print_seeds)
    assert ablation.main(["--dataset", "btmri", "--shots", "1", "--seed", "1"]) == 1
    out, err = capsys.readouterr()
    assert len(performed) == 6 * 3 and "same test images" in err
    told = "not compared: vMFCoOp base to novel on btmri, K = 16, seed 1, in output: Expected runs with the"
    assert told in out.splitlines()[-1]


def test_the_script(calls):
    flags = "--root data --dataset btmri --backbone PhantomCLIP --trainer vMFCoOp --shots 1 4 --seed default --output o"
    found = calls("vmfcoop/ablation.sh", "btmri", "1 4", "PhantomCLIP", OUTPUT="o", OPTS="OPTIM.LR 0.1")
    assert found == [f"-m reproduce.ablation {flags} OPTIM.LR 0.1"]
