"""The runs of a grid that are missing."""

import re
from dataclasses import replace

import pytest

from grid import __main__ as command
from grid.plan import parts, plan, take
from report import paper
from runs.methods import METHODS, both_protocols, row_name
from runs.outcome import title
from runs.spec import RunSpec
from tests.run_folders import run_folder


def test_jobs_of_one_data_set_are_neighbours(grid):
    jobs, finished = plan(grid("coop", "vMFCoOp", "CoOp", datasets="btmri", more=("--datasets", "busi", "btmri")))
    found = [(job.trainer, job.dataset, job.shots, job.seeds) for job in jobs]
    expected = [("CoOp", "busi"), ("vMFCoOp", "busi"), ("CoOp", "btmri"), ("vMFCoOp", "btmri")]
    assert found == [(*names, 2, (1, 2)) for names in expected] and finished == 0


def test_everything_is_what_the_scripts_run(grid, monkeypatch):
    monkeypatch.setattr("grid.plan._finished", lambda *_: False)

    def everything(**setting) -> list[RunSpec]:
        given = grid("all", datasets="all", **setting)
        return plan(replace(given, template=replace(given.template, options=())))[0]

    jobs = everything(shots="all")
    rows = both_protocols(METHODS)
    assert len(jobs) == len(rows) * 14 * 7 and {job.dataset for job in jobs} == set(paper.DATASETS)
    assert [row_name(job.trainer, job.protocol) for job in jobs[: len(rows)]] == list(map(row_name, rows))
    jobs = everything(setting="base2new")
    assert {job.dataset for job in jobs} == set(paper.DATASETS) - paper.WITHOUT_NOVEL
    assert {job.trainer for job in jobs} >= {"vMFCoOp", "CoOp"} and "TipAdapter" not in {job.trainer for job in jobs}


def test_seeds_are_those_of_the_scripts_unless_given(data_root):
    line = ["--methods", "zeroshot", "coop", "--datasets", "btmri", "--shots", "1", "--root", str(data_root)]
    assert [job.seeds for job in plan(command.parse(line)[0])[0]] == [(1,), (1, 2, 3)]
    assert [job.seeds for job in plan(command.parse([*line, "--seeds", "5", "5"])[0])[0]] == [(5,), (5,)]


def test_settings_end_the_flags(grid):
    given = grid("zeroshot", "coop", seeds="7")
    assert given.seeds == [7] and given.template.options[:1] == (("OPTIM.MAX_EPOCH", "4"),)
    zeroshot, coop = plan(given)[0]
    assert zeroshot.options == coop.options == given.template.options


def test_base_to_novel_is_two_runs(grid):
    (job,), _ = plan(grid("coop", setting="base2new"))
    base, new = parts(job)
    assert (base.trainer, base.dataset, base.shots, base.seeds, base.setting) == (
        "CoOp",
        "btmri",
        2,
        (1, 2),
        "base2new",
    )
    assert (base.subsample, base.eval_only, new.subsample, new.eval_only) == ("base", False, "new", True)
    assert base.options == new.options == (("OPTIM.MAX_EPOCH", "4"), ("DATALOADER.NUM_WORKERS", "0"))
    assert title(job, job.seeds) == "CoOp base to novel on btmri, K = 2, seeds 1 2"


def test_a_protocol_is_said_behind_a_name_or_for_all(grid):
    jobs, _ = plan(grid("clip_adapter", "clip_adapter:published", "biomedcoop:published"))
    rows = ["CLIPAdapter", "CLIPAdapter (as benchmarked)", "BiomedCoOp"]
    assert [title(job, job.seeds).partition(" on ")[0] for job in jobs] == rows
    line = ["--methods", "all", "--datasets", "btmri", "--shots", "2", "PROTOCOL", "published"]
    found = [row_name(job.trainer, job.protocol) for job in plan(command.parse(line)[0])[0]]
    assert len(found) == len(METHODS) and "LPpp (as benchmarked)" in found


@pytest.mark.parametrize(
    ("methods", "change", "sentence"),
    [
        (["coopp"], {}, "method for few_shot to be one of .*vmfcoop, .*, but got 'coopp': did you mean 'coop'"),
        (["tip_adapter"], {"setting": "base2new"}, "method for base2new .*coop, .*but got 'tip_adapter'"),
        (["coop"], {"datasets": "btmir"}, "data set to be one of btmri, .*but got 'btmir': did you mean 'btmri'"),
        (["coop"], {"opts": ("OPTIM.LRR", 1)}, "OPTIM.LRR"),
        (["coop"], {"opts": ("OPTIM.LR",)}, "a value after each key in the settings, but OPTIM.LR has none"),
        (["coop"], {"ray": "local", "devices": "cpu"}, "either --devices.* or --ray"),
        (["coop"], {"devices": "cuda:99"}, 'Expected devices of cpu.*, but got "cuda:99"'),
    ],
)
def test_mistakes_end_in_one_sentence_before_anything_is_run(line, tmp_path, capsys, methods, change, sentence):
    assert command.main(line(*methods, **change)) == 1
    (last,) = [text for text in capsys.readouterr().err.splitlines() if text.startswith("error")]
    assert re.search(sentence, last)
    assert list(tmp_path.iterdir()) == []


def test_a_dry_run_lists_what_is_missing(line, tmp_path, capsys):
    folder = run_folder(tmp_path, "CoOp", seed=1, changed="OPTIM.MAX_EPOCH=4")
    folder.mkdir(parents=True)
    (folder / "metrics.json").write_text('{"hashes": {"config": "of other settings"}}')
    assert command.main(line("coop", "kgcoop", more=("--dry-run",))) == 0
    out = capsys.readouterr().out
    assert "CoOp on btmri, K = 2, seeds 1 2\nKgCoOp on btmri, K = 2, seeds 1 2\n4 runs to be done, 0 finished" in out
    assert sorted(path.name for path in tmp_path.rglob("*.*") if path.is_file()) == ["metrics.json"]


def test_a_worker_stays_with_its_data_set_and_away_from_others():
    def jobs():
        return [RunSpec("CoOp", dataset, 1, (1,)) for dataset in ("btmri", "btmri", "busi", "covid")]

    def dataset(*at):
        return take(jobs(), *at).dataset

    assert [dataset(), dataset("busi"), dataset("", ["btmri"]), dataset("cmri", ["btmri", "busi"])] == [
        "btmri",
        "busi",
        "busi",
        "covid",
    ]
    assert dataset("", ["btmri", "busi", "covid"]) == "btmri"
    waiting = jobs()
    take(waiting, "busi")
    assert [job.dataset for job in waiting] == ["btmri", "btmri", "covid"]
