"""The figure of numbers of sentences: which are run, where, and what a report makes of their folders."""

from dataclasses import replace
from pathlib import Path

import pytest

from report.collect import find_all
from report.groups import usable
from reproduce import prompts
from runs.config import configure
from runs.layout import SETTING
from runs.spec import RunSpec
from tests.reproduce.conftest import table
from tests.run_folders import record

pytestmark = pytest.mark.usefixtures("banks")


@pytest.fixture
def curves(monkeypatch):
    """The curves that are drawn, and what the horizontal axis is called, in the place of pictures."""
    found = []
    monkeypatch.setattr(prompts, "plot_curves", lambda drawn, *_, along, **__: found.append((drawn, along)))
    return found


def test_numbers_that_the_banks_have_are_run_drawn_and_kept_apart(figure, jobs, curves, tmp_path, capsys):
    line = figure("--llm", "wordy", "--backbone", "PhantomCLIP", opts=("TRAINER.VMFCOOP.SCE", False))
    assert prompts.main(line) == 0
    out, output = capsys.readouterr().out, tmp_path / "output"
    assert "left out: 25 50 150 sentences: the bank of wordy for btmri has 12 of each class" in out
    key = "TRAINER.VMFCOOP.N_PROMPTS"
    assert {(job.trainer, job.shots, dict(job.options)[key], job.output) for job in jobs} == {
        ("vMFCoOp", k, n, str(output)) for k in (1, 2) for n in (5, 10)
    }
    page, values = output / "report" / "prompts.md", {}
    for n in (5, 10):
        for k in (1, 2):
            (where,) = output.glob(f"btmri/shots_{k}/vMFCoOp_PhantomCLIP/nctx4_cscFalse_ctpend_wordy__N_PROMPTS={n},*")
            records = [record(where / f"seed{seed}") for seed in (1, 2)]
            assert {each["sentences_per_class"] for each in records} == {n}
            values[k, n] = [each["metrics"]["accuracy"] for each in records]
    assert [row[:3] for row in table(page)] == [["vMFCoOp", str(n), str(k)] for n in (5, 10) for k in (1, 2)]
    assert [row[3] for row in table(page)] == [f"{sum(values[k, n]) / 2:.2f}" for n in (5, 10) for k in (1, 2)]
    drawn = {f"K = {k}": {n: values[k, n] for n in (5, 10)} for k in (1, 2)}
    assert curves == [(drawn, "sentences of each class")]
    assert "PhantomCLIP, btmri, real images (phantom)" in page.read_text()

    jobs.clear()
    assert prompts.main(line) == 0 and jobs == []
    kept, _ = usable(find_all(output), SETTING)  # a report has a row for each number
    assert {run.row for run in kept} == {f"vMFCoOp [N_PROMPTS {n}, SCE False, OPTIM.MAX_EPOCH 1]" for n in (5, 10)}


def test_runs_with_the_number_of_the_method_lie_where_its_script_puts_them():
    own, other = (
        Path(configure(replace(each.template, dataset="btmri", shots=1, root="phantoms"), 1).OUTPUT_DIR).parent.name
        for each in prompts.series_of([50, 25], "wordy", RunSpec(output="o"))
    )
    assert (own, other) == ("nctx4_cscFalse_ctpend_wordy", "nctx4_cscFalse_ctpend_wordy__N_PROMPTS=25")


def test_a_gap_is_no_point_of_a_curve(figure, jobs, curves, capsys):
    jobs.broken = (("vMFCoOp", 2),)
    assert prompts.main(figure("--llm", "brief", "--backbone", "PhantomCLIP")) == 1
    assert "missing: vMFCoOp, 5 on btmri, K = 2, seed 1 2" in capsys.readouterr().out
    ((drawn, _),) = curves
    assert list(drawn["K = 1"]) == [5] and drawn["K = 2"] == {}


def test_no_number_or_no_bank_is_an_error(figure, jobs, capsys):
    assert prompts.main(figure("--llm", "brief", "--counts", "10")) == 1
    assert "Expected --counts of at most 6, but got 10" in capsys.readouterr().err
    assert prompts.main(figure("--llm", "gpt-5")) == 1
    assert "the banks are: brief/btmri, wordy/btmri" in capsys.readouterr().err
    assert prompts.main(figure("--llm", "brief", opts=("TRAINER.VMFCOOP.N_PROMPTS", 5))) == 1
    assert "Expected --counts to say what is run" in capsys.readouterr().err and jobs == []
