"""`parse_test_res.py` over data sets: what is averaged, and what never is."""

import csv
import io
import re

import pytest

from parse_test_res import main

CONTEXT = "nctx4_cscFalse_ctpend"


@pytest.fixture
def output(write_run, tmp_path):
    """Two methods on two data sets, one with two numbers of shots, and what reports and failed starts leave."""
    for dataset, value in (("btmri", 70.0), ("busi", 80.0)):
        for seed in (1, 2):
            write_run(dataset, trainer="vMFCoOp", seed=seed, accuracy=value + 2 * seed, context=f"{CONTEXT}_claude")
            write_run(dataset, trainer="CoOp", seed=seed, accuracy=value - 20)
    write_run("btmri", 4, "vMFCoOp", accuracy=50.0, context=f"{CONTEXT}_claude")
    (tmp_path / "output" / "report").mkdir()
    (tmp_path / "output" / "report" / "index.html").write_text("")
    return tmp_path / "output"


def table(capsys, output, *words) -> list[list[str]]:
    """Rows of the one table that is printed as CSV."""
    assert main([str(output), *words, "--format", "csv"]) == 0
    return list(csv.reader(io.StringIO(capsys.readouterr().out)))


def test_one_method_over_data_sets(output, capsys):
    assert main([str(output), "--method", "vMFCoOp", "--shots", "16"]) == 0
    out, err = capsys.readouterr()
    lines = [" ".join(line.split()) for line in out.splitlines()]
    assert lines[0] == "vMFCoOp, K = 16, PhantomCLIP, phantom images, nctx4_cscFalse_ctpend_claude"
    assert lines[2] == "data set accuracy (%) std n"
    assert lines[4:] == [
        "btmri (phantom) 73.00 1.00 2",
        "busi (phantom) 83.00 1.00 2",
        "average over 2 data sets (phantom) 78.00 1.00",
    ]
    assert err == ""


def test_formats(output, capsys):
    asked = ("--method", "vmfcoop", "--shots", "16", "--keyword", "macro_f1", "--ci95")
    rows = table(capsys, output, *asked)
    assert rows[0] == ["data set", "macro_f1 (%)", "ci95", "n"]
    assert rows[1] == ["btmri (phantom)", "71.00", "1.39", "2"]
    assert main([str(output), *asked, "--format", "markdown"]) == 0
    assert "| busi (phantom) " in (out := capsys.readouterr().out) and out.startswith("vMFCoOp, K = 16")
    assert main([str(output), *asked, "--format", "latex"]) == 0
    assert capsys.readouterr().out.startswith("% vMFCoOp, K = 16")


def averages(rows: list[list[str]]) -> dict[str, str]:
    """The average of each kind of runs, of a CSV that has several."""
    return {row[0]: row[2] for row in rows if row[1].startswith("average")}


def kind(row="vMFCoOp", shots=16, more="", settings=f"{CONTEXT}_claude", where="") -> str:
    return f"{row}, K = {shots}, PhantomCLIP, phantom images, {more}{settings}{where}"


@pytest.mark.parametrize("words", [("--multi-exp",), ("--backbone", "PhantomCLIP")])
def test_methods_and_shots_are_never_averaged(output, capsys, words):
    assert averages(table(capsys, output, *words)) == {
        kind(): "78.00",
        kind(shots=4): "50.00",
        kind("CoOp", settings=CONTEXT): "55.00",
    }


def test_dassls_lines_have_an_average_of_each_kind(output, capsys):
    assert main([str(output), "--multi-exp"]) == 0
    out = capsys.readouterr().out
    assert f"Average performance of 2 experiments of {kind()} (phantom)\n* accuracy: 78.00% +- 1.00%\n" in out
    assert f"Average performance of 1 experiments of {kind(shots=4)} (phantom)\n" in out
    assert out.count("Average performance") == 3


def test_settings_classes_protocols_llms_backbones_and_places_are_never_averaged(write_run, tmp_path, capsys):
    for dataset, value in (("btmri", 70.0), ("busi", 80.0)):
        write_run(dataset, accuracy=value, context=f"{CONTEXT}_claude")
        write_run(dataset, accuracy=value - 1, context=f"{CONTEXT}_gpt4")
        write_run(dataset, accuracy=value - 2, context="nctx16_cscFalse_ctpend_claude")
        write_run(dataset, accuracy=value - 3, context=f"{CONTEXT}_claude", root="ablation/ce")
        write_run(dataset, accuracy=value - 4, context=f"{CONTEXT}_claude", root="prompts/10")
        for part, classes in (("train_base", "base"), ("test_new", "new")):
            write_run(
                dataset, accuracy=value - 5, context=f"{CONTEXT}_claude", root=f"base2new/{part}", subsample=classes
            )
        write_run(dataset, accuracy=value - 6, context=f"{CONTEXT}_published", protocol="published", trainer="CoOp")
        write_run(dataset, accuracy=value - 7, context=f"{CONTEXT}_claude__LAMBDA_ANC=10")
        write_run(dataset, accuracy=value - 8, context=f"{CONTEXT}_claude", backbone="BiomedCLIP")
    found = averages(table(capsys, tmp_path / "output", "--multi-exp"))
    assert sorted(found.values(), key=float) == [f"{v}.00" for v in (67, 68, 69, 70, 70, 71, 72, 73, 74, 75)]
    assert found[kind(where=", in ablation/ce")] == "72.00"
    assert found[kind(more="novel classes, ", where=", in base2new")] == "70.00"
    asked = averages(table(capsys, tmp_path / "output", "--setting", f"{CONTEXT}_gpt4", "--subsample", "all"))
    assert asked == {} and main([str(tmp_path / "output"), "--setting", f"{CONTEXT}_gpt4"]) == 0
    assert "average over 2 data sets (phantom)           74.00" in capsys.readouterr().out
    assert table(capsys, tmp_path / "output", "--method", "coop:published")[-1][:2] == [
        "average over 2 data sets (phantom)",
        "69.00",
    ]


def test_phantoms_and_real_images_are_never_averaged(write_run, tmp_path, capsys):
    write_run("btmri", accuracy=70.0, backbone="BiomedCLIP")
    write_run("busi", accuracy=80.0, backbone="BiomedCLIP", phantom=False, phantom_backbone=False)
    assert list(averages(table(capsys, tmp_path / "output", "--method", "vmfcoop")).values()) == ["70.00", "80.00"]


def test_base_to_novel_has_both_harmonic_means(write_run, tmp_path, capsys):
    values = {"btmri": (80.0, 60.0), "covid": (90.0, 30.0), "busi": (50.0, None)}
    for dataset, sides in values.items():
        for (part, classes), value in zip((("train_base", "base"), ("test_new", "new")), sides, strict=True):
            for seed in (1, 2):
                if value:
                    where = {"root": f"base2new/{part}", "subsample": classes, "seed": seed}
                    write_run(dataset, trainer="CoOp", accuracy=value + seed - 1.5, **where)
    rows = table(capsys, tmp_path / "output", "--method", "coop", "--subsample", "both")
    assert rows == [
        ["data set", "base accuracy (%)", "novel", "HM", "n"],
        ["btmri (phantom)", "80.00 ± 0.50", "60.00 ± 0.50", "68.57", "2"],
        ["busi (phantom)", "50.00 ± 0.50", "-", "-", "2"],
        ["covid (phantom)", "90.00 ± 0.50", "30.00 ± 0.50", "45.00", "2"],
        ["average over 2 data sets (phantom), HM of the averages", "85.00 ± 0.50", "45.00 ± 0.50", "58.85", ""],
        ["average over 2 data sets (phantom), average of the HMs", "", "", "56.79", ""],
    ]
    assert table(capsys, tmp_path / "output", "--subsample", "new", "--setting", "base2new")[-1][1] == "45.00"


def test_logs_of_other_code_bases_in_the_layout_of_coop(write_log, tmp_path, capsys):
    for dataset, value in (("btmri", 70.0), ("busi", 80.0)):
        for seed in (1, 2):
            folder = f"out/{dataset}/shots_16/CoOp_BiomedCLIP/nctx4_cscFalse_ctpend/seed{seed}"
            write_log(folder, value)
    assert table(capsys, tmp_path / "out", "--method", "CoOp_BiomedCLIP", "--shots", "16")[1:] == [
        ["btmri", "70.00", "0.00", "2"],
        ["busi", "80.00", "0.00", "2"],
        ["average over 2 data sets", "75.00", "0.00", ""],
    ]


def test_values_of_a_setting_in_folders_of_ones_own_are_no_data_sets(write_run, tmp_path, capsys):
    for name, value in (("anc1", 70.0), ("anc10", 80.0)):
        run = write_run(root=name, accuracy=value)
        run.rename(run.parents[4] / "seed1")
    found = averages(table(capsys, tmp_path / "output", "--multi-exp"))
    assert found == {
        f"vMFCoOp, K = 16, PhantomCLIP, phantom images, in {name}": value
        for name, value in (("anc1", "70.00"), ("anc10", "80.00"))
    }


def test_a_folder_of_mixed_runs_is_not_one_experiment(write_run, tmp_path, capsys):
    for seed, (trainer, value) in enumerate((("CoOp", 60.0), ("vMFCoOp", 70.0)), start=1):
        run = write_run(trainer=trainer, seed=seed, accuracy=value)
        (tmp_path / "mixed" / "exp").mkdir(parents=True, exist_ok=True)
        run.rename(tmp_path / "mixed" / "exp" / f"seed{seed}")
    assert sorted(averages(table(capsys, tmp_path / "mixed", "--multi-exp")).values()) == ["60.00", "70.00"]


def test_a_failed_start_is_one_line(output, write_log, capsys):
    for seed in (1, 2, 3):
        write_log(f"output/covid/shots_16/vMFCoOp_PhantomCLIP/{CONTEXT}_claude/seed{seed}", 1.0, end="Killed")
    assert main([str(output), "--method", "vmfcoop", "--shots", "16"]) == 0
    out, err = capsys.readouterr()
    assert err.startswith("Not counted: 3 of 3 runs in ") and err.count("\n") == 1 and "does not reach" in err
    assert "average over 2 data sets" in out


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["--method", "vmfcop"], "method to be one of biomedcoop, .*did you mean 'vmfcoop'"),
        (["--method", "kgcoop"], "but it has: .*vMFCoOp, K = 16, PhantomCLIP.*: ask for one of these"),
        (["--shots", "8"], "but it has: .*vMFCoOp, K = 4, PhantomCLIP"),
        (["--backbone", "CLIP"], "but it has: .*PhantomCLIP"),
        (["--setting", "other"], f"but it has: .*{CONTEXT}_claude"),
        (["--method", "coop:publisht"], "PROTOCOL to be one of best, published"),
    ],
)
def test_what_is_not_there_is_told_with_what_is(output, capsys, words, sentence):
    assert main([str(output), *words]) == 1
    out, err = capsys.readouterr()
    assert out == "" and err.count("\n") == 1 and re.search(sentence, err)
