"""Runs of different settings in one folder: rows of their own, never one average, and the table of a sweep."""

import re

import pytest

from report.__main__ import main as report
from report.collect import find_all
from report.compare import main as compare
from report.groups import group_runs, usable
from runs.changed import folder_part
from runs.layout import SETTING

DEFAULTS = {"OPTIM.MAX_EPOCH": 100, "OPTIM.LR": 0.002}
ANC = "TRAINER.VMFCOOP.LAMBDA_ANC"


@pytest.fixture
def made(write_run):
    """made(trainer, seed, accuracy, **changed): a finished run with changed settings ("__" stands for ".")."""

    def make(trainer: str, seed: int, accuracy: float, shots: int = 16, epochs: int = 100, dataset="btmri", **changed):
        changed = {key.replace("__", "."): value for key, value in changed.items()}
        settings = DEFAULTS | {"OPTIM.MAX_EPOCH": epochs}
        settings |= {key: value for key, value in changed.items() if not key.startswith("TRAINER.")}
        method = {"LAMBDA_ANC": changed.get(ANC, 1.0)} if trainer == "vMFCoOp" else {}
        if trainer == "vMFCoOp":
            method |= {"SCE": changed.get("TRAINER.VMFCOOP.SCE", True), "LAMBDA_SC": 1.0}
        more = {"changed": changed, "settings": settings, "method": method, "key": dataset}
        context = SETTING + folder_part(changed)
        return write_run(dataset, shots, trainer, seed, accuracy, context=context, **more)

    return make


def lines(out: str, first: str) -> list[str]:
    return [" ".join(line.split()) for line in out.splitlines() if line.startswith(first)]


def test_runs_of_other_settings_are_another_row(made, tmp_path, capsys, undrawn):
    for seed in (1, 2):
        made("vMFCoOp", seed, 78.0)
        made("vMFCoOp", seed, 40.0, shots=1, OPTIM__MAX_EPOCH=3)
        made("CoOp", seed, 73.0)
    assert report([str(tmp_path / "output")]) == 0
    out = capsys.readouterr().out
    assert "vMFCoOp here (phantom) - 78.00 ± 0.00" in lines(out, "vMFCoOp")
    assert "vMFCoOp [OPTIM.MAX_EPOCH 3] here (phantom) 40.00 ± 0.00 -" in lines(out, "vMFCoOp")
    gap = next(line for line in out.splitlines() if line.startswith("missing: vMFCoOp [OPTIM.MAX_EPOCH 3] few-shot"))
    assert "at K = 16" in gap and "OPTS='OPTIM.MAX_EPOCH 3' bash scripts/vmfcoop/few_shot.sh btmri 16" in gap
    minus = [line for line in lines(out, "vMFCoOp [OPTIM.MAX_EPOCH 3]") if line.endswith("0 -")]
    assert minus  # no pair of runs with different settings


def test_what_all_runs_share_is_in_the_title(made, tmp_path, capsys, undrawn):
    made("vMFCoOp", 1, 78.0, OPTIM__MAX_EPOCH=3)
    made("CoOp", 1, 73.0, OPTIM__MAX_EPOCH=3)
    made("ZeroshotCLIP", 1, 40.0, epochs=0)  # passes it over
    assert report([str(tmp_path / "output")]) == 0
    out = capsys.readouterr().out
    assert lines(out, "vMFCoOp here (phantom) 78.00") or lines(out, "vMFCoOp")[0].startswith("vMFCoOp here")
    assert re.search(r"# PhantomCLIP .*, all with OPTIM.MAX_EPOCH 3\n", out)
    made("KgCoOp", 1, 70.0)
    assert report([str(tmp_path / "output")]) == 0
    assert "all with" not in (out := capsys.readouterr().out) and "CoOp [OPTIM.MAX_EPOCH 3] here" in " ".join(
        out.split()
    )


def test_a_sweep_is_one_table(made, tmp_path, capsys, undrawn):
    for value, accuracy in ((0.1, 70.0), (1.0, 75.0), (10.0, 72.0)):
        for seed in (1, 2):
            for dataset in ("btmri", "busi"):
                changed = {} if value == 1.0 else {ANC.replace(".", "__"): value}
                made("vMFCoOp", seed, accuracy + seed, dataset=dataset, **changed)
    made("CoOp", 1, 60.0)
    assert report([str(tmp_path / "output"), "--by", ANC]) == 0
    out = capsys.readouterr().out
    table = out[out.index("average over 2 data sets") : out.index("btmri: ")]
    rows = [" ".join(line.split()) for line in table.splitlines() if line.startswith("vMFCoOp")]
    assert rows == ["vMFCoOp 0.1 71.50 ± 0.50", "vMFCoOp 1 76.50 ± 0.50", "vMFCoOp 10 73.50 ± 0.50"]
    assert "Table 1" not in out and (tmp_path / "output/report/PhantomCLIP_phantom_images/by.tex").is_file()
    assert report([str(tmp_path / "output"), "--by", "LAMBDA_ANC", "--format", "csv"]) == 0
    assert "vMFCoOp,10,73.50 ± 0.50" in capsys.readouterr().out
    assert report([str(tmp_path / "output"), "--by", "LAMBDA_X"]) == 1
    assert "settings that runs have changed: LAMBDA_ANC" in capsys.readouterr().err


def test_a_table_of_the_ablation_has_one_choice_of_the_other_settings(made, tmp_path, capsys, undrawn):
    for seed in (1, 2):
        made("vMFCoOp", seed, 78.0)
        made("vMFCoOp", seed, 70.0, TRAINER__VMFCOOP__SCE=False)
        made("vMFCoOp", seed, 30.0, OPTIM__MAX_EPOCH=2, TRAINER__VMFCOOP__SCE=False)
        made("vMFCoOp", seed, 60.0, TRAINER__VMFCOOP__LAMBDA_ANC=10.0)
    assert report([str(tmp_path / "output")]) == 0
    out = capsys.readouterr().out
    tables = out.split("Table 2: ")[1:]
    assert len(tables) == 2 and "OPTIM.MAX_EPOCH 2" in tables[1].splitlines()[0]
    assert "78.00 ± 0.00" in tables[0] and "30.00 ± 0.00" not in tables[0] and "60.00" not in tables[0]
    second = tables[1].partition("btmri: ")[0]
    assert "30.00 ± 0.00" in second and "78.00 ± 0.00" not in second


def test_an_unfinished_run_belongs_to_the_row_of_its_folder(made, tmp_path):
    changed = {"OPTIM__MAX_EPOCH": 3}
    for seed in (1, 2):
        made("CoOp", seed, 70.0, **changed)
    (next((tmp_path / "output").rglob("seed2")) / "metrics.json").write_text("{")
    found = find_all(tmp_path / "output")
    assert [run.changed for run in found] == [{"OPTIM.MAX_EPOCH": 3}] * 2
    (group,) = group_runs(usable(found, SETTING)[0])
    assert [run.row for run in group.runs] == ["CoOp", "CoOp"] and group.changed == "OPTIM.MAX_EPOCH 3"


def test_two_folders_of_one_model_meet_and_two_models_of_one_name_do_not(write_run, tmp_path, capsys, undrawn):
    def run(trainer, folder, digest, **more):
        hashes = {"backbone_files": digest}
        return write_run(
            trainer=trainer, backbone=folder, hashes=hashes, settings={}, changed={}, phantom=False, **more
        )

    run("CoOp", "local-dir:/a/model", "1" * 16)
    run("vMFCoOp", "local-dir:model", "1" * 16)
    (group,) = group_runs(usable(find_all(tmp_path / "output"), SETTING)[0])
    assert group.backbone == "local-dir:model" and len(group.runs) == 2
    run("CoOp", "local-dir:/b/model", "2" * 16, seed=2)
    names = [group.backbone for group in group_runs(usable(find_all(tmp_path / "output"), SETTING)[0])]
    assert names == ["local-dir:model (files 11111111)", "local-dir:model (files 22222222)"]


@pytest.mark.parametrize(
    "changed", [["a"], {"A.B": {"C": 1}}, {"A.B": "\x1b[31m"}, {"A.B": [[1]]}, {"A": 10**400}], ids=str
)
def test_strange_changes_in_a_record_are_refused(write_run, tmp_path, changed):
    write_run(changed=changed, settings={})
    (run,) = find_all(tmp_path / "output")
    assert "changed" in run.problem or "A" in run.problem


def test_a_comparison_is_of_the_runs_with_the_settings_asked_for(made, tmp_path, capsys, undrawn):
    made("vMFCoOp", 1, 78.0)
    made("vMFCoOp", 1, 40.0, OPTIM__MAX_EPOCH=3)
    made("CoOp", 1, 35.0, OPTIM__MAX_EPOCH=3)
    made("ZeroshotCLIP", 1, 30.0, epochs=0)
    line = ["--output", str(tmp_path / "output"), "--dataset", "btmri", "--shots", "16", "--backbone", "PhantomCLIP"]
    line += ["--methods", "zeroshot", "coop", "vmfcoop"]
    assert compare([*line, "OPTIM.MAX_EPOCH", "3"]) == 0
    out = capsys.readouterr().out
    assert "btmri, K = 16, PhantomCLIP, OPTIM.MAX_EPOCH 3 (phantom)" in out and "78.00" not in out
    assert lines(out, "vMFCoOp 40.00") or lines(out, "vMFCoOp ")[0].startswith("vMFCoOp 40.00")
    assert "+5.00" in out and "missing" not in out
    assert "Not compared: 1 runs of these methods with other settings" in out
    assert (tmp_path / "output/btmri/shots_16/comparison_PhantomCLIP__OPTIM.MAX_EPOCH=3.txt").is_file()
    assert compare(line) == 0
    out = capsys.readouterr().out
    assert lines(out, "vMFCoOp ")[0].startswith("vMFCoOp 78.00") and "40.00" not in out
    assert "Not compared: 2 runs" in out and "missing: CoOp at K = 16" in out
    assert compare([*line, "OPTIM.MAX_EPOCH=4"]) == 0
    assert "OPTS='OPTIM.MAX_EPOCH 4' bash scripts/coop/few_shot.sh btmri 16 PhantomCLIP" in capsys.readouterr().out


def test_a_setting_of_the_context_is_found_in_its_folder(made, write_run, tmp_path, capsys, undrawn):
    write_run(trainer="CoOp", accuracy=61.0, context="nctx8_cscFalse_ctpend", settings=DEFAULTS, changed={}, method={})
    line = ["--output", str(tmp_path / "output"), "--dataset", "btmri", "--shots", "16", "--backbone", "PhantomCLIP"]
    assert compare([*line, "--methods", "coop", "TRAINER.COOP.N_CTX", "8"]) == 0
    assert lines(capsys.readouterr().out, "CoOp ")[0].startswith("CoOp 61.00")


def test_yaml_files_that_were_edited_between_runs_are_a_remark(made, write_run, tmp_path, capsys, undrawn):
    made("CoOp", 1, 61.0)
    write_run(trainer="CoOp", shots=4, accuracy=50.0, settings=DEFAULTS | {"OPTIM.LR": 0.5}, changed={}, method={})
    made("BiomedCoOp", 1, 61.0)
    assert report([str(tmp_path / "output")]) == 0
    err = capsys.readouterr().err
    said = "Runs of CoOp (few_shot) differ in OPTIM.LR, as the yaml files were when they were made: 0.5 ("
    assert err.count("differ in") == 1 and said in err
    assert "differ in OPTIM.LR" in (tmp_path / "output/report/index.html").read_text()


def test_runs_that_do_not_say_what_was_changed_are_counted(write_run, tmp_path, capsys, undrawn):
    write_run(hashes={"test": "1" * 16})
    assert report([str(tmp_path / "output")]) == 0
    assert "1 run(s) of an earlier version" in capsys.readouterr().err


@pytest.mark.parametrize(
    "changed",
    [{"--with": "/evil"}, {"OPTIM.LR=1 --with": "x"}, {"A B": 1}, {"OPTIM.LR; rm": 1}],
    ids=["flag", "equals", "space", "semicolon"],
)
def test_keys_that_are_no_settings_are_refused(write_run, tmp_path, changed):
    write_run(changed=changed, settings={})
    (run,) = find_all(tmp_path / "output")
    assert "Expected keys of settings such as OPTIM.LR under changed" in run.problem


def test_a_value_that_a_command_line_takes_for_a_flag_makes_no_command(made, tmp_path, capsys, undrawn):
    made("CoOp", 1, 60.0, OPTIM__NAME="--with=/evil")
    made("CoOp", 2, 60.0, OPTIM__LR=-0.5)
    made("vMFCoOp", 3, 70.0)
    assert report([str(tmp_path / "output")]) == 0
    out = capsys.readouterr().out
    assert "/evil' bash" not in out and "no command: its settings are none that a command line takes" in out
    assert "OPTS='OPTIM.LR -0.5' bash scripts/coop/few_shot.sh" in out


def test_gap_commands_are_of_finished_runs_and_name_the_llm(made, write_run, tmp_path, capsys, undrawn):
    for seed in (1, 2):
        made("CoOp", seed, 70.0, OPTIM__MAX_EPOCH=3)
    unfinished = made("CoOp", 3, 70.0, OPTIM__MAX_EPOCH=50)
    (unfinished / "metrics.json").write_text("{")
    told = {"settings": DEFAULTS | {"OPTIM.MAX_EPOCH": 3}, "changed": {"OPTIM.MAX_EPOCH": 3}, "method": {}}
    context = f"{SETTING}_brief__OPTIM.MAX_EPOCH=3"
    write_run(trainer="BiomedCoOp", accuracy=60.0, context=context, prompts={"llm": "brief"}, key="btmri", **told)
    assert report([str(tmp_path / "output")]) == 0
    out = capsys.readouterr().out
    assert "OPTS='PROMPTS.LLM brief OPTIM.MAX_EPOCH 3' bash scripts/biomedcoop/few_shot.sh btmri 16" in out
    assert "MAX_EPOCH 50'" not in out


def test_a_setting_of_one_method_is_in_its_row_of_a_comparison(made, tmp_path, capsys, undrawn):
    made("CoOp", 1, 60.0)
    made("vMFCoOp", 1, 70.0, TRAINER__VMFCOOP__LAMBDA_ANC=10.0)
    line = ["--output", str(tmp_path / "output"), "--dataset", "btmri", "--shots", "16", "--backbone", "PhantomCLIP"]
    assert compare([*line, "--methods", "coop", "vmfcoop", f"{ANC}=10", "NONE.SUCH", "1"]) == 0
    out = capsys.readouterr().out
    assert lines(out, "vMFCoOp [LAMBDA_ANC 10]") and lines(out, "CoOp ") and "NONE" not in out
    assert out.startswith("btmri, K = 16, PhantomCLIP (phantom)")
    assert (tmp_path / "output/btmri/shots_16/comparison_PhantomCLIP__VMFCOOP.LAMBDA_ANC=10.md").is_file()


def test_a_method_with_fewer_seeds_has_an_average_that_says_so(made, tmp_path, capsys, undrawn):
    for dataset in ("btmri", "busi"):
        for seed in (1, 2, 3):
            made("CoOp", seed, 60.0 + seed, dataset=dataset)
        made("vMFCoOp", 1, 70.0, dataset=dataset)
    assert report([str(tmp_path / "output")]) == 0
    assert "vMFCoOp here (phantom) 70.00 (1/3 seeds)" in [
        " ".join(x.split()) for x in capsys.readouterr().out.splitlines()
    ]
