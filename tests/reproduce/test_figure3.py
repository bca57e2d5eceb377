"""Figure 3: what is run for it, and what is drawn of the records that are there."""

import json
import shutil
from statistics import fmean, pstdev

import pytest
from PIL import Image

from dassl.errors import UserError
from report.collect import read_run
from report.scores import Grid, Scores
from reproduce import figure3, series
from runs.spec import RunSpec
from tests.reproduce.conftest import table
from tests.run_folders import record

pytestmark = pytest.mark.usefixtures("banks")
FEW = ("TRAINER.VMFCOOP.N_PROMPTS", 5, "TRAINER.BIOMEDCOOP.N_PROMPTS", 5)
BASE = ["--backbones", "PhantomCLIP"]


def seeds(output, trainer="vMFCoOp", llm="wordy", k=1, backbone="PhantomCLIP"):
    parent = output / "btmri" / f"shots_{k}" / f"{trainer}_{backbone}"
    (folder,) = parent.glob(f"nctx4_cscFalse_ctpend_{llm}*")
    return [record(folder / f"seed{seed}")["metrics"]["accuracy"] for seed in (1, 2)]


@pytest.fixture
def drawn(monkeypatch):
    """The panels that are drawn, beside the pictures."""
    found, real = [], figure3.plot_views

    def plot_views(bars, curves, *args, **kwargs):
        found.append((bars, curves, args))
        real(bars, curves, *args, **kwargs)

    monkeypatch.setattr(figure3, "plot_views", plot_views)
    return found


def test_what_is_missing_is_run_drawn_and_written_once(figure, jobs, drawn, tmp_path, capsys):
    line, output = figure(*BASE, "--llms", "wordy", "brief", opts=FEW), tmp_path / "output"
    assert figure3.main(line) == 0
    asked = [(job.trainer, dict(job.options)["PROMPTS.LLM"], job.shots, job.seeds) for job in jobs]
    methods = ("vMFCoOp", "BiomedCoOp")
    assert sorted(asked) == sorted((m, llm, k, (1, 2)) for m in methods for llm in ("wordy", "brief") for k in (1, 2))
    page = output / "report" / "figure3.md"
    expected = []
    for llm in ("wordy", "brief"):
        for trainer in methods:
            for k in (1, 2):
                values = seeds(output, trainer, llm, k)
                mean, std = f"{fmean(values):.2f}", f"{pstdev(values):.2f}"
                expected.append([trainer, "PhantomCLIP", llm, str(k), mean, std, "2", "1"])
    assert table(page) == expected
    ((bars, curves, (picture, title, _)),) = drawn
    assert bars.method == {"PhantomCLIP (phantom)": {k: seeds(output, k=k) for k in (1, 2)}}
    assert bars.baseline == {"PhantomCLIP (phantom)": {k: seeds(output, "BiomedCoOp", k=k) for k in (1, 2)}}
    assert curves.method["brief"] == {k: seeds(output, llm="brief", k=k) for k in (1, 2)}
    assert list(curves.method) == list(curves.baseline) == ["wordy", "brief"]
    assert title in page.read_text() and title.endswith("real images (phantom)")  # those of the test have no mark
    with Image.open(picture) as image:
        image.verify()
    assert picture.with_suffix(".svg").is_file() and f"]({picture.name})" in page.read_text()

    before = page.read_text()
    jobs.clear()
    assert figure3.main(line) == figure3.main([line[0], line[1], "--write-only", *line[2:]]) == 0
    assert jobs == [] and "0 runs done, 8 finished before, 0 failed." in capsys.readouterr().out
    assert table(page) == expected and before.partition("Written")[0] == page.read_text().partition("Written")[0]


def test_each_panel_has_its_own_series():
    points = Grid(("",), ("btmri",), (4,), (1,))
    asked = figure3.series_of(["A", "B"], ["x", "y"], RunSpec())
    values = {each.names: float(i) for i, each in enumerate(asked)}
    found = [series.Found(each, Scores({("btmri", 4, 1): values[each.names]}, points), [], []) for each in asked]
    bars, curves = figure3.views(found, ["x", "y"])

    def curve(*names: str) -> dict[int, list[float]]:
        return {4: [values[names]]}

    assert bars.method == {name: curve("vMFCoOp", name, "x") for name in "AB"}
    assert bars.baseline == {name: curve("BiomedCoOp", name, "x") for name in "AB"}
    assert curves.method == {llm: curve("vMFCoOp", "A", llm) for llm in "xy"}
    assert curves.baseline == {llm: curve("BiomedCoOp", "A", llm) for llm in "xy"}
    assert len(set(values.values())) == len(asked) == 6  # B is not run with y


def test_a_run_that_fails_is_a_line_and_a_gap(figure, jobs, drawn, tmp_path, capsys):
    jobs.broken = (("BiomedCoOp", 2),)
    assert figure3.main(figure(*BASE, "--llms", "wordy", opts=FEW)) == 1
    output = capsys.readouterr()
    assert "failed: BiomedCoOp on btmri, K = 2, seeds 1 2: " in output.err
    (missing,) = [line for line in output.out.splitlines() if line.startswith("missing")]
    assert missing == "missing: BiomedCoOp, PhantomCLIP, wordy on btmri, K = 2, seed 1 2"
    page = tmp_path / "output" / "report" / "figure3.md"
    assert table(page)[-1] == ["BiomedCoOp", "PhantomCLIP", "wordy", "2", "-", "-", "0/2", "0/1"]
    assert page.read_text().endswith(f"## Missing\n\n* {missing.removeprefix('missing: ')}\n")
    ((bars, curves, _),) = drawn
    assert bars.baseline["PhantomCLIP (phantom)"][2] == curves.baseline["wordy"][2] == []
    jobs.clear()
    jobs.broken = ()
    assert figure3.main(figure(*BASE, "--llms", "wordy", opts=FEW)) == 0
    assert [(job.trainer, job.shots) for job in jobs] == [("BiomedCoOp", 2)]


def test_a_missing_seed_leaves_no_average(figure, jobs, tmp_path, capsys):
    line = figure(*BASE, "--llms", "wordy", shots=[1], opts=FEW)
    assert figure3.main(line) == 0
    shutil.rmtree(next(tmp_path.rglob("vMFCoOp_PhantomCLIP/*_wordy*/seed2")))
    assert figure3.main(["--write-only", *line]) == 1
    assert "missing: vMFCoOp, PhantomCLIP, wordy on btmri, K = 1, seed 2\n" in capsys.readouterr().out
    first, second = table(tmp_path / "output" / "report" / "figure3.md")
    assert first[4:] == ["-", "-", "1/2", "0/1"] and second[6:] == ["2", "1"]


def test_a_backbone_that_cannot_be_had_is_left_out_in_one_line(figure, jobs, drawn, tmp_path, capsys):
    (tmp_path / "empty").mkdir()
    empty = f"local-dir:{tmp_path / 'empty'}"
    assert figure3.main(figure("--backbones", empty, "PhantomCLIP", "--llms", "wordy", shots=[1], opts=FEW)) == 1
    output = capsys.readouterr()
    (line,) = [line for line in output.out.splitlines() if line.startswith("left out")]
    assert line.startswith(f"left out: {empty}: Expected open_clip_config.json in {tmp_path / 'empty'}, but it holds")
    assert {job.backbone for job in jobs} == {"PhantomCLIP"} and "failed" not in output.err
    ((bars, curves, _),) = drawn
    assert bars.method == {"local-dir:empty": {1: []}, "PhantomCLIP (phantom)": {1: seeds(tmp_path / "output")}}
    assert curves.method == {"wordy": {1: []}}  # of the first backbone
    page = (tmp_path / "output" / "report" / "figure3.md").read_text()
    assert "--backbones 'local-dir:<folder>/empty' PhantomCLIP" in page and str(tmp_path) not in page


def test_runs_with_other_settings_are_not_counted(figure, jobs, tmp_path, capsys):
    line = figure(*BASE, "--llms", "wordy", shots=[1], opts=FEW)
    assert figure3.main(line) == 0
    capsys.readouterr()
    assert figure3.main(["--write-only", *line, "OPTIM.LR", "0.5"]) == 1
    output = capsys.readouterr()
    assert "missing: vMFCoOp, PhantomCLIP, wordy on btmri, K = 1, seed 1 2" in output.out  # those have other folders
    assert "Nothing to draw: no run has finished." in output.err


def test_runs_on_other_images_are_refused(figure, jobs, tmp_path, capsys):
    line = figure(*BASE, "--llms", "wordy", shots=[1], opts=FEW)
    assert figure3.main(line) == 0
    path = next(tmp_path.rglob("BiomedCoOp_PhantomCLIP/*/seed1/metrics.json"))
    found = json.loads(path.read_text())
    path.write_text(json.dumps(found | {"hashes": found["hashes"] | {"test": "other"}}))
    assert figure3.main(["--write-only", *line]) == 1
    assert "Expected runs with the same test images" in capsys.readouterr().err


def test_backbones_are_tested_on_the_same_images(write_run):
    hashes = {"A": {"test": "t1", "support": "s"}, "B": {"test": "t1", "support": "s"}, "C": {"test": "t2"}}
    a, b, c = (read_run(write_run(backbone=name, hashes=each)) for name, each in hashes.items())
    series.check_runs([a, b])
    with pytest.raises(UserError, match="Expected runs with the same test images"):
        series.check_runs([a, b, c])


def test_runs_of_images_that_have_changed_since_are_the_status(figure, jobs, monkeypatch, capsys):
    line = figure(*BASE, "--llms", "wordy", shots=[1], opts=FEW)
    assert figure3.main(line) == 0
    monkeypatch.setattr("runs.finished.data_digests", lambda cfg, dataset: {"test": "other"})
    assert figure3.main(line) == 1
    output = capsys.readouterr()
    assert output.err.count("failed: ") == 4 and "its run had other test images" in output.err


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (["--backbones", "BiomedCLOP"], "but got 'BiomedCLOP': did you mean 'BiomedCLIP'"),
        (["--llms", "gpt-5"], "the banks are: brief/btmri, wordy/btmri"),
        (["--datasets", "btmri", "heads"], "but got 'heads'"),
        (["--datasets", "folder"], "but got 'folder'"),
        (
            ["--seeds", "1", "PROMPTS.LLM", "wordy"],
            "Expected --llms to say what is run, but got the setting PROMPTS.LLM",
        ),
    ],
)
def test_what_cannot_be_meant_is_refused_at_once(figure, jobs, flags, words, capsys):
    given = figure("--llms", "wordy")
    at = given.index("OPTIM.MAX_EPOCH")
    assert figure3.main([*given[:at], *flags]) == 1
    assert words in capsys.readouterr().err and jobs == []


def test_interrupted_by_hand_nothing_is_written(figure, jobs, monkeypatch, tmp_path):
    def interrupt(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(series, "run_grid", interrupt)
    assert figure3.main(figure(*BASE, "--llms", "wordy")) == 130
    assert not (tmp_path / "output").exists()


def test_an_unknown_backbone_is_refused_before_others_run(monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(figure3, "make", lambda *args: pytest.fail("runs were started"))
    words = ["--backbones", "PhantomCLIP", "PhantomClip", "--datasets", "btmri", "--output", str(tmp_path)]
    assert figure3.main(words) == 1
    assert "but got 'PhantomClip': did you mean 'PhantomCLIP'" in capsys.readouterr().err
