"""Rows of one trainer in tables: its two protocols, and the LLMs whose sentences it read."""

import shlex
from pathlib import Path

import pytest

from report.__main__ import main as report
from report.collect import read_run
from report.compare import main as compare
from report.gaps import fill_command
from report.groups import tell_llms_apart
from report.tables.few_shot import seen_note

CONTEXT = "nctx4_cscFalse_ctpend"


@pytest.fixture
def runs(write_run, tmp_path):
    """CLIP-Adapter in both protocols, and vMFCoOp with the sentences of two LLMs: one seed has only one of them."""
    for seed in (1, 2):
        write_run(trainer="CLIPAdapter", seed=seed, accuracy=60.0, views="many", protocol="best")
        write_run(
            trainer="CLIPAdapter",
            seed=seed,
            accuracy=40.0,
            context=f"{CONTEXT}_published",
            views="one",
            protocol="published",
        )
        write_run(seed=seed, accuracy=75.0, context=f"{CONTEXT}_claude", views="many")
    write_run(seed=1, accuracy=78.0, context=f"{CONTEXT}_gpt4", views="many")
    return tmp_path / "output"


def lines(out: str, first: str) -> list[str]:
    return [" ".join(line.split()) for line in out.splitlines() if line.startswith(first)]


def test_the_report_has_a_row_for_each_protocol_and_llm(runs, capsys, undrawn):
    assert report([str(runs)]) == 0
    out = capsys.readouterr().out
    assert "CLIPAdapter here (phantom) 60.00 ± 0.00" in lines(out, "CLIPAdapter")
    assert "CLIPAdapter (as benchmarked) here (phantom) 40.00 ± 0.00" in lines(out, "CLIPAdapter")
    assert "vMFCoOp, claude here (phantom) 75.00 ± 0.00" in lines(out, "vMFCoOp")
    gap = "SEEDS=2 OUTPUT={} OPTS='PROMPTS.LLM gpt4' bash scripts/vmfcoop/few_shot.sh btmri 16 PhantomCLIP"
    assert gap.format(runs) in out
    table = next((runs / "report").rglob("table1.md")).read_text()
    assert "many: CLIPAdapter, vMFCoOp with claude" in table and "one: CLIPAdapter (as benchmarked)" in table
    assert "Sentences: claude: vMFCoOp with claude; gpt4: vMFCoOp with gpt4." in table


def test_a_comparison_has_a_row_for_each_protocol_and_llm(runs, capsys, undrawn):
    base = ["--output", str(runs), "--dataset", "btmri", "--shots", "16", "--backbone", "PhantomCLIP", "--methods"]
    assert compare([*base, "clip_adapter", "clip_adapter:published", "vmfcoop"]) == 0
    out = capsys.readouterr().out
    assert lines(out, "CLIP-Adapter (as benchmarked)")[0].startswith("CLIP-Adapter (as benchmarked) 40.00")
    assert "Paired differences in accuracy: vMFCoOp, claude minus each other method" in out
    assert lines(out, "vMFCoOp, gpt4")[0].startswith("vMFCoOp, gpt4 78.00")
    assert lines(out, "CLIP-Adapter ")[0].startswith("CLIP-Adapter 60.00")
    seen = "many: CLIP-Adapter, vMFCoOp with claude, vMFCoOp with gpt4; one: CLIP-Adapter (as benchmarked)."
    assert seen in " ".join(out.split())


def test_one_llm_is_named_below_the_table_only(write_run, tmp_path, capsys, undrawn):
    write_run(seed=1, accuracy=75.0, context=f"{CONTEXT}_claude", method={})
    assert report([str(tmp_path / "output")]) == 0
    assert "vMFCoOp here (phantom)" in lines(capsys.readouterr().out, "vMFCoOp")[0]
    assert "Sentences: claude: vMFCoOp." in next(tmp_path.rglob("table1.md")).read_text()


def test_sentences_beside_own_images_make_no_second_row(write_run):
    public = read_run(write_run(context=f"{CONTEXT}_claude", prompts={"llm": "claude"}))
    own = read_run(write_run(dataset="folder-chest", key="folder-chest", prompts={"llm": "own"}))
    assert {run.row for run in tell_llms_apart([public, own])} == {"vMFCoOp"}
    assert seen_note([public, own]) == "Sentences: claude: vMFCoOp; own: vMFCoOp."


def test_the_gap_of_a_published_row_names_its_protocol():
    line = fill_command("CLIPAdapter (as benchmarked)", "btmri", 4, "BiomedCLIP", data="data")
    assert line == "DATA=data bash scripts/few_shot.sh clip_adapter:published btmri 4 BiomedCLIP"


def test_a_folder_names_protocol_and_llm_of_a_run_without_a_record():
    def variant(folder: str) -> tuple[str, str, str]:
        run = read_run(Path(f"o/btmri/shots_1/vMFCoOp_X/{folder}/seed1"))
        return run.context, run.protocol, run.llm

    assert variant(CONTEXT) == (CONTEXT, "best", "")
    assert variant(f"{CONTEXT}_published") == (CONTEXT, "published", "")
    assert variant(f"{CONTEXT}_gpt4") == (CONTEXT, "best", "gpt4")
    assert variant(f"{CONTEXT}_published_my_llm") == (CONTEXT, "published", "my_llm")
    assert variant("own") == ("", "best", "")


def test_runs_without_recorded_settings_say_nothing_of_views(write_run):
    write_run(trainer="CoOp")
    assert seen_note([]) == ""
    assert seen_note([read_run(write_run(trainer="KgCoOp"))]) == ""
    assert seen_note([read_run(write_run(trainer="CoCoOp", method={"CSC": False}))]) == ""  # of an earlier version
    assert seen_note([read_run(write_run(trainer="ZeroshotCLIP", views="none"))]) == (
        "Random views of a training image: no training image: ZeroshotCLIP."
    )


@pytest.mark.parametrize("views", [["many"], {"many": 1}, 3, "other"], ids=str)
def test_a_record_with_other_views_is_refused(write_run, views):
    assert "Expected views to be one of none, one, many in" in read_run(write_run(views=views)).problem


def test_the_name_of_an_llm_is_one_word_of_a_command():
    line = fill_command("vMFCoOp, a b", "btmri", 4, "BiomedCLIP", data="data")
    options = next(word for word in shlex.split(line) if word.startswith("OPTS=")).removeprefix("OPTS=")
    assert shlex.split(options) == ["PROMPTS.LLM", "a b"]


def test_a_method_of_one_protocol_has_one_row(write_run, tmp_path, capsys, undrawn):
    write_run(trainer="BiomedCoOp", accuracy=60.0, protocol="best")
    base = ["--output", str(tmp_path / "output"), "--dataset", "btmri", "--shots", "16", "--backbone", "PhantomCLIP"]
    assert compare([*base, "--methods", "biomedcoop:published"]) == 0
    assert lines(capsys.readouterr().out, "BiomedCoOp")[0].startswith("BiomedCoOp 60.00")
    assert compare([*base, "--methods", "coop:publisht"]) == 1
    assert "PROTOCOL to be one of best, published" in capsys.readouterr().err


def test_links_beside_runs_are_not_followed_and_odd_names_stop_nothing(write_run, tmp_path, capsys, undrawn):
    folder = write_run(trainer="CoOp", accuracy=60.0).parent
    (folder.parent / f"{CONTEXT}_gpt4").symlink_to(folder)
    (folder.parent / f"{CONTEXT}_\x1b[31m").mkdir()
    base = ["--output", str(tmp_path / "output"), "--dataset", "btmri", "--shots", "16", "--backbone", "PhantomCLIP"]
    assert compare([*base, "--methods", "coop"]) == 0
    (row,) = lines(capsys.readouterr().out, "CoOp")
    assert row.startswith("CoOp 60.00")


def test_runs_of_an_earlier_version_are_a_row_that_nothing_is_compared_with_or_missing_in(
    write_run, tmp_path, capsys, undrawn
):
    write_run(seed=1, accuracy=50.0)  # its folder names no LLM
    for seed in (1, 2):
        write_run(seed=seed, accuracy=75.0, context=f"{CONTEXT}_claude")
        write_run(trainer="CoOp", seed=seed, accuracy=60.0)
    assert report([str(tmp_path / "output")]) == 0
    out = capsys.readouterr().out
    assert lines(out, "vMFCoOp minus") == [] and lines(out, "vMFCoOp, claude minus")
    assert "missing: " not in out
