import csv
import io
import subprocess
import sys
from pathlib import Path

import pytest

from parse_test_res import main

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def experiment(write_log, tmp_path):
    for seed, value in enumerate((76.0, 78.0, 80.0), start=1):
        write_log(f"exp/seed{seed}", value, macro_f1=value - 10)
    return tmp_path / "exp"


@pytest.mark.parametrize("flag", [[], ["--directory"]])
def test_command_line_as_in_coop_and_in_biomedcoop(experiment, flag):
    command = [sys.executable, str(ROOT / "parse_test_res.py"), *flag, str(experiment)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stderr == ""
    assert done.stdout.splitlines() == [
        f"Parsing files in {experiment}",
        "seed1: accuracy: 76.00%",
        "seed2: accuracy: 78.00%",
        "seed3: accuracy: 80.00%",
        "===",
        f"Summary of directory: {experiment}",
        "* accuracy: 78.00% +- 1.63%",
        "===",
    ]


def test_ci95_and_keyword(experiment, capsys):
    assert main([str(experiment), "--ci95", "--keyword", "macro_f1"]) == 0
    assert "* macro_f1: 68.00% +- 1.85%" in capsys.readouterr().out


def test_test_log(write_log, tmp_path, capsys):
    write_log("exp/seed1", 63.4, end="")
    write_log("exp/seed2", 65.4, end="")
    assert main([str(tmp_path / "exp")]) == 1
    assert "--test-log" in capsys.readouterr().err
    assert main([str(tmp_path / "exp"), "--test-log"]) == 0
    assert "* accuracy: 64.40% +- 1.00%" in capsys.readouterr().out


def test_multi_exp(write_log, tmp_path, capsys):
    for name, values in {"exp-1": (70.0, 74.0), "exp-2": (80.0, 80.0)}.items():
        for seed, value in enumerate(values, start=1):
            write_log(f"all/{name}/seed{seed}", value)
    (tmp_path / "all" / "exp-3").mkdir()
    assert main([str(tmp_path / "all"), "--multi-exp"]) == 0
    out, err = capsys.readouterr()
    assert "* accuracy: 72.00% +- 2.00%" in out
    assert out.splitlines()[-2:] == ["Average performance of 2 experiments", "* accuracy: 76.00% +- 1.00%"]
    assert f"Nothing found in {tmp_path / 'all' / 'exp-3'}" in err and err.count("\n") == 1
    assert main([str(tmp_path / "all"), "--multi-exp", "--format", "csv"]) == 0
    assert list(csv.reader(io.StringIO(capsys.readouterr().out))) == [
        ["experiment", "accuracy (%)", "std", "n"],
        ["exp-1", "72.00", "2.00", "2"],
        ["exp-2", "80.00", "0.00", "2"],
        ["average", "76.00", "1.00", "2"],
    ]


def test_tables(experiment, capsys):
    printed = {}
    for style in ("markdown", "latex", "csv"):
        assert main([str(experiment), "--format", style]) == 0
        printed[style] = capsys.readouterr().out.splitlines()
    assert printed["csv"] == [
        "run,accuracy (%),std,n",
        *(f"seed{i},{74 + 2 * i}.00,," for i in (1, 2, 3)),
        "mean,78.00,1.63,3",
    ]
    assert [cell.strip() for cell in printed["markdown"][-1].split("|")] == ["", "mean", "78.00", "1.63", "3", ""]
    assert any(line.split() == ["mean", "&", "78.00", "&", "1.63", "&", "3", r"\\"] for line in printed["latex"])
    assert printed["latex"][-1] == r"\end{tabular}"


@pytest.mark.parametrize("style", ["text", "markdown", "latex", "csv"])
def test_phantoms_say_so(write_run, capsys, style):
    folder = write_run(seed=1).parent
    write_run(seed=2)
    assert main([str(folder), "--format", style]) == 0
    assert "(phantom)" in capsys.readouterr().out


def test_real_data_says_nothing_of_phantoms(experiment, capsys):
    main([str(experiment)])
    assert "phantom" not in capsys.readouterr().out


def test_unfinished_runs_are_told_and_not_counted(experiment, write_log, capsys):
    write_log("exp/seed4", 1.0, end="Killed")
    (experiment / "seed5").mkdir()
    (write_log("exp/seed6", 2.0) / "metrics.json").write_text('{"metr')
    assert main([str(experiment)]) == 0
    out, err = capsys.readouterr()
    assert "* accuracy: 78.00% +- 1.63%" in out
    assert [line.split(":")[0] for line in err.splitlines()] == ["Unfinished, not counted"] * 3
    assert str(experiment / "seed6" / "metrics.json") in err


def test_unknown_keyword_lists_what_there_is(experiment, capsys):
    assert main([str(experiment), "--keyword", "auroc"]) == 1
    err = capsys.readouterr().err
    assert "no metric 'auroc'; it has accuracy, average, error, macro_f1" in err


@pytest.mark.parametrize("options", [[], ["--multi-exp"]])
@pytest.mark.parametrize("name", ["", "absent"])
def test_nothing_found_is_one_sentence(tmp_path, capsys, name, options):
    assert main([str(tmp_path / name), *options]) == 1
    out, err = capsys.readouterr()
    assert out == ""
    assert err.count("\n") == 1
    assert f"Nothing found in {tmp_path / name}: expected" in err


@pytest.mark.parametrize("arguments", [[], ["a", "--directory", "b"]])
def test_exactly_one_directory(arguments, capsys):
    with pytest.raises(SystemExit, match="2"):
        main(arguments)
    assert "expected one directory" in capsys.readouterr().err


def test_help_names_the_std(capsys):
    with pytest.raises(SystemExit, match="0"):
        main(["--help"])
    assert "numpy.std" in capsys.readouterr().out


def test_a_single_run_says_so(write_log, tmp_path, capsys):
    write_log("exp/seed1", 76.0)
    assert main([str(tmp_path / "exp")]) == 0
    assert "* accuracy: 76.00% +- 0.00% (n = 1, no std)\n" in capsys.readouterr().out
    assert main([str(tmp_path / "exp"), "--format", "csv"]) == 0
    assert capsys.readouterr().out.splitlines()[-1] == "mean,76.00,-,1"
    assert main([str(tmp_path), "--multi-exp"]) == 0
    assert capsys.readouterr().out.splitlines()[-1] == "* accuracy: 76.00% +- 0.00% (1 of n = 1, no std)"
