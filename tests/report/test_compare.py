import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from report.compare import main
from report.gaps import fill_command
from runs.layout import seeds_folder
from runs.methods import METHODS, trainer_name

ROOT = Path(__file__).resolve().parents[2]
SCORES = {"ZeroshotCLIP": (45.0,), "CoOp": (70.0, 71.0, 72.0), "vMFCoOp": (75.0, 74.0, 79.0)}


@pytest.fixture
def runs(write_run, tmp_path):
    for trainer, values in SCORES.items():
        for seed, value in enumerate(values, start=1):
            write_run(trainer=trainer, seed=seed, accuracy=value)
    return tmp_path / "output"


def compare(output, *more, methods=("zeroshot", "coop", "vmfcoop"), shots=("16",), backbone="PhantomCLIP"):
    base = ["--output", str(output), "--dataset", "btmri", "--shots", *shots, "--backbone", backbone]
    return main([*base, "--methods", *methods, *more])


def rows(out, first):
    return [" ".join(line.split()) for line in out.splitlines() if line.split()[:1] == [first]]


def test_table_and_differences(runs, capsys):
    assert compare(runs) == 0
    out = capsys.readouterr().out
    assert rows(out, "vMFCoOp")[0] == ("vMFCoOp 76.00 ± 2.16 74.00 ± 2.16 75.00 ± 2.16 93.50 ± 0.00 4.25 ± 0.00 3 18.0")
    coop, zeroshot = rows(out, "CoOp"), rows(out, "zero-shot,")
    assert coop[1] == "CoOp +5.00 ± 1.63 3 -"
    # one zero-shot run answers for all seeds
    assert zeroshot[0] == 'zero-shot, "a photo of a {}." 45.00 43.00 44.00 93.50 4.25 1 18.0'
    assert zeroshot[1] == 'zero-shot, "a photo of a {}." +31.00 ± 2.16 3 -'
    assert "method (phantom)" in out
    assert "missing" not in out
    place = runs / "btmri" / "shots_16"
    assert f"Picture: {place / 'comparison_PhantomCLIP.png'}\n" in out
    assert f"Tables:  {place / 'comparison_PhantomCLIP.txt'}, " in out
    assert f"Runs:    {place}/<trainer>_PhantomCLIP/<settings>/seed<n>\n" in out


def test_against_and_reference(runs, capsys):
    assert compare(runs, "--against", "coop", "--reference", "vmfcoop", "--keyword", "macro_f1") == 0
    out = capsys.readouterr().out
    assert "CoOp minus each other method" in out and "named last" not in out
    assert rows(out, "vMFCoOp")[1] == "vMFCoOp -5.00 ± 1.63 3 -"
    assert len(rows(out, "zero-shot,")) == 1


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--against", "kgcoop"], "kgcoop is none of --methods"),
        (["--reference", "vmfcoop"], "name another one with --against"),
    ],
)
def test_wrong_names_are_refused(runs, capsys, options, message):
    with pytest.raises(SystemExit, match="2"):
        compare(runs, *options)
    assert message in capsys.readouterr().err


def test_gaps_show_the_command_that_fills_them(runs, write_run, capsys):
    (write_run(trainer="vMFCoOp", seed=4) / "metrics.json").write_text("{")
    write_run(trainer="CoOp", seed=5, accuracy=73.0)
    write_run(trainer="Mine", seed=1, accuracy=73.0)
    assert compare(runs, methods=["coop", "biomedcoop", "Mine", "vmfcoop"]) == 0
    out = capsys.readouterr().out
    assert rows(out, "BiomedCoOp")[0] == "BiomedCoOp - - - - - 0 -"
    command = f"DATA=phantoms OUTPUT={runs} bash scripts/biomedcoop/few_shot.sh btmri 16 PhantomCLIP"
    assert f"missing: BiomedCoOp at K = 16: {command}" in out
    assert "missing: vMFCoOp at K = 16, seed 5: DATA=phantoms SEEDS=5 " in out
    assert "missing: Mine at K = 16, seed 2 3 5: train Mine" in out
    assert "seed4/metrics.json is half-written" in out


def test_no_run_at_all(tmp_path, capsys):
    assert compare(tmp_path / "output") == 1
    out, err = capsys.readouterr()
    assert err.startswith("No finished run")
    assert [line.split(":")[1].strip() for line in out.splitlines()] == [
        f"{name} at K = 16" for name in ('zero-shot, "a photo of a {}."', "CoOp", "vMFCoOp")
    ]


@pytest.mark.parametrize("shots", [("1", "16"), ("16 1",), ("all",)])
def test_several_shots_make_curves(runs, write_run, tmp_path, capsys, shots):
    for seed in (1, 2):
        write_run(shots=1, trainer="vMFCoOp", seed=seed, accuracy=50.0 + seed)
        write_run(shots=1, trainer="CoOp", seed=seed, accuracy=50.0)
    png = tmp_path / "curves.png"
    assert compare(runs, "--png", str(png), "--format", "markdown", shots=shots, methods=["coop", "vmfcoop"]) == 0
    out = capsys.readouterr().out
    table = [[cell.strip() for cell in line.split("|")[1:-1]] for line in out.splitlines() if line.startswith("|")]
    assert table[0] == ["method (phantom)", "K = 1", "K = 16"]
    assert table[3] == ["vMFCoOp", "51.50 ± 0.50", "76.00 ± 2.16"]
    # differences 1, 2 and 5, 3, 7: mean 18 / 5, variance 23.2 / 5
    assert table[-1] == ["CoOp", "+3.60 ± 2.15", "5", "0.062"]
    with Image.open(png) as picture:
        assert picture.size[0] == 1200


@pytest.mark.parametrize("shots", ["many", "0", "all"])
def test_shots_that_are_none(tmp_path, capsys, shots):
    with pytest.raises(SystemExit, match="2"):
        compare(tmp_path, shots=[shots])
    assert "--shots expects numbers" in capsys.readouterr().err


def test_runs_as_a_module(runs):
    command = [sys.executable, "-m", "report.compare", "--output", str(runs), "--dataset", "btmri", "--shots", "16"]
    command += ["--backbone", "PhantomCLIP", "--methods", "coop", "vmfcoop", "--format", "latex"]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT)
    assert r"76.00 $\pm$ 2.16" in done.stdout
    assert done.stderr == ""


def test_names():
    assert trainer_name("vmfcoop") == "vMFCoOp"
    assert trainer_name("BiomedCoOp_BiomedCLIP") == "BiomedCoOp_BiomedCLIP"
    expected = Path("output/btmri/shots_4/BiomedCoOp_BiomedCLIP/nctx4_cscFalse_ctpend")
    for method in ("biomedcoop", "BiomedCoOp", "BiomedCoOp_BiomedCLIP"):
        assert seeds_folder("output", "btmri", 4, method, "BiomedCLIP") == expected


def test_command_that_fills_a_gap():
    real = fill_command("coop", "btmri", 16, "BiomedCLIP", data="/my data")
    assert real == "DATA='/my data' bash scripts/coop/few_shot.sh btmri 16 BiomedCLIP"
    base2new = fill_command(
        "coop", "busi", 4, "PhantomCLIP", data="phantoms", output="o/base2new/test_new", seeds=(1, 3)
    )
    assert base2new == "DATA=phantoms SEEDS='1 3' OUTPUT=o bash scripts/coop/base2new.sh busi 4 PhantomCLIP"
    assert (ROOT / "scripts" / "coop" / "base2new.sh").is_file()
    ablation = fill_command("vmfcoop", "btmri", [1, 4], "PhantomCLIP", data="phantoms", script="ablation")
    assert ablation == "DATA=phantoms bash scripts/vmfcoop/ablation.sh btmri '1 4' PhantomCLIP"


def test_every_method_has_its_script():
    assert [name for name in METHODS if not (ROOT / "scripts" / name / "few_shot.sh").is_file()] == []


def test_gap_on_real_data_asks_for_the_folder(tmp_path, capsys, monkeypatch):
    monkeypatch.delenv("DATA", raising=False)
    compare(tmp_path, methods=["coop"], backbone="BiomedCLIP")
    monkeypatch.setenv("DATA", "images")
    compare(tmp_path, methods=["coop"], backbone="BiomedCLIP")
    commands = [line.split(": ")[-1].split()[0] for line in capsys.readouterr().out.splitlines()]
    assert commands == ["DATA='<folder>'", "DATA=images"]


def test_one_zero_shot_run_stands_for_every_number_of_shots(runs, write_run, capsys):
    write_run(shots=1, trainer="vMFCoOp", seed=1, accuracy=55.0)
    assert compare(runs, methods=["zeroshot", "vmfcoop"], shots=("1", "16")) == 0
    out = capsys.readouterr().out
    table, difference = rows(out, "zero-shot,")
    assert table == 'zero-shot, "a photo of a {}." 45.00 45.00'
    assert difference.split()[-2:] == ["4", "-"]  # one seed at K = 1, three at 16
    assert "missing: zero-shot" not in out
    assert "missing: vMFCoOp" not in out


def test_the_command_of_a_gap_is_that_of_the_method_by_whichever_name(tmp_path, capsys):
    assert compare(tmp_path, methods=["BiomedCoOp"]) == 1
    assert "scripts/biomedcoop/few_shot.sh btmri 16 PhantomCLIP" in capsys.readouterr().out
