import pytest

from report.base2new import main

PAIRS = {1: (80.0, 60.0), 2: (90.0, 30.0)}


@pytest.fixture
def runs(write_run, tmp_path):
    for seed, values in PAIRS.items():
        for part, subsample, value in zip(("train_base", "test_new"), ("base", "new"), values, strict=True):
            write_run(root=f"base2new/{part}", subsample=subsample, seed=seed, accuracy=value)
    return tmp_path / "output"


def base2new(output, *more):
    flags = ["--root", "phantoms", "--dataset", "btmri", "--shots", "16", "--backbone", "PhantomCLIP"]
    return main(["--output", str(output), *flags, "--trainer", "vMFCoOp", *more])


def test_both_harmonic_means_are_printed_and_named(runs, capsys):
    assert base2new(runs, "--seed", "1", "2", "3") == 0
    lines = [" ".join(line.split()) for line in capsys.readouterr().out.splitlines()]
    assert "vMFCoOp on btmri, K = 16, PhantomCLIP (phantom)" in lines[0]
    assert "seed 1 80.00 60.00 68.57" in lines
    assert "seed 2 90.00 30.00 45.00" in lines
    assert "mean ± std, n = 2 85.00 ± 5.00 45.00 ± 15.00 -" in lines
    # 2 * 85 * 45 / 130 and (68.57 + 45) / 2
    assert "HM of the averages: 58.85 (of the mean base and the mean novel accuracy)" in lines
    assert "average of the HMs: 56.79 (mean of the seeds' HM above)" in lines


def test_a_seed_without_novel_classes_is_shown_and_not_averaged(runs, write_run, capsys):
    write_run(root="base2new/train_base", subsample="base", seed=3, accuracy=10.0)
    assert base2new(runs) == 0
    out = capsys.readouterr().out
    assert "seed 3 10.00 - -" in [" ".join(line.split()) for line in out.splitlines()]
    assert "HM of the averages: 58.85" in out
    assert base2new(runs, "--seed", "3") == 1
    assert "expected a seed with finished runs in both" in capsys.readouterr().err


def test_an_unfinished_run_is_told(runs, capsys):
    folder = "btmri/shots_16/vMFCoOp_PhantomCLIP/nctx4_cscFalse_ctpend/seed2"
    (runs / "base2new" / "test_new" / folder / "metrics.json").write_text("{")
    assert base2new(runs) == 0
    out, err = capsys.readouterr()
    assert "HM of the averages: 68.57" in out
    assert err.startswith("Not counted:") and "half-written" in err


def test_other_metrics_and_nothing_at_all(runs, tmp_path, capsys):
    assert base2new(runs, "--keyword", "macro_f1") == 0
    assert "seed 1 78.00 58.00" in " ".join(capsys.readouterr().out.split())
    assert base2new(tmp_path / "none") == 1
    assert capsys.readouterr().out == ""


def test_the_script_ends_with_the_figures(calls):
    lines = calls("coop/base2new.sh", "btmri", "16", OPTS="OPTIM.LR 0.1")
    flags = "--root data --dataset btmri --backbone BiomedCLIP --trainer CoOp --shots 16 --seed default --output output"
    assert lines == [
        f"train.py {flags} --setting base2new --subsample base OPTIM.LR 0.1",
        f"train.py {flags} --setting base2new --subsample new --eval-only OPTIM.LR 0.1",
        f"-m report.base2new {flags} OPTIM.LR 0.1",
    ]


def test_the_runs_of_a_published_protocol_are_found(write_run, tmp_path, capsys):
    published = {"trainer": "ProGrad", "context": "nctx4_cscFalse_ctpend_published", "protocol": "published"}
    write_run(root="base2new/train_base", accuracy=80.0, subsample="base", **published)
    write_run(root="base2new/test_new", accuracy=60.0, subsample="new", **published)
    words = ["--dataset", "btmri", "--shots", "16", "--backbone", "PhantomCLIP", "--trainer", "prograd:published"]
    assert main(["--output", str(tmp_path / "output"), *words]) == 0
    assert "nctx4_cscFalse_ctpend_published; accuracy" in capsys.readouterr().out
