"""Figures of different images or weights never share a table."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

import parse_test_res
from dassl.errors import UserError
from report import base2new, compare
from report.__main__ import main as report
from report.collect import NOTHING, FoundRun
from report.groups import check_same_data

HERE = {"test": "t1", "support": "s1", "backbone_files": "w1", "settings": "c1", "sentences": "p1"}


def run(trainer: str = "CoOp", seed: int = 1, subsample: str = "all", **hashes) -> FoundRun:
    about = {"dataset": "btmri", "trainer": trainer, "backbone": "BiomedCLIP", "shots": 4, "seed": seed}
    record = NOTHING._replace(hashes=HERE | hashes)
    return FoundRun(Path(f"{trainer}/{subsample}/seed{seed}"), **about, subsample=subsample, record=record)


@pytest.mark.parametrize(
    ("other", "what"),
    [
        (run("vMFCoOp", test="t2"), "test images"),
        (run("vMFCoOp", seed=2, support="s2", test="t2"), "test images"),
        (run("vMFCoOp", support="s2"), "training images"),
        (run("CoOp", seed=2, settings="c2"), "settings"),
        (run("CoOp", seed=2, sentences="p2"), "sentences"),
        (run("vMFCoOp", subsample="new", test="t2", support="s2", backbone_files="w2"), "files of the backbone"),
    ],
)
def test_runs_of_different_data_are_named(other, what):
    with pytest.raises(UserError, match=f"same {what}, but CoOp/all/seed1 and {other.path} have different ones"):
        check_same_data([run(), other])


@pytest.mark.parametrize(
    "other",
    [
        run("vMFCoOp"),
        run("vMFCoOp", settings="c2", sentences="p2"),  # another method
        run("vMFCoOp", seed=2, support="s2"),  # another draw
        run("vMFCoOp", subsample="new", test="t2", support="s2"),  # other classes
        run("ZeroshotCLIP", support="s2"),  # learns from no image
        run("vMFCoOp", test=None, support=None, backbone_files=None),  # another code base's
    ],
)
def test_runs_that_may_be_compared(other):
    check_same_data([run(), other])
    check_same_data([other, run()])


def test_novel_classes_belong_to_what_was_learned_on_the_base_classes():
    base = run(subsample="base", learned="l1")
    base, new = (replace(base, path=Path(f"o/{part}/seed1")) for part in ("train_base", "test_new"))
    new = replace(new, subsample="new", record=NOTHING._replace(hashes={"learned": "l1"}))
    check_same_data([base, new])
    with pytest.raises(UserError, match="same learned tensors"):
        check_same_data([base, replace(new, record=NOTHING._replace(hashes={"learned": "l2"}))])


@pytest.fixture
def mixed(write_run, tmp_path):
    """Runs of two methods, the second of which was tested on other images."""
    for trainer, test in (("CoOp", "t1"), ("vMFCoOp", "t2")):
        for seed in (1, 2):
            folder = write_run("btmri", 16, trainer, seed, 50.0)
            path = folder / "metrics.json"
            document = json.loads(path.read_text())
            path.write_text(json.dumps(document | {"hashes": {"config": "c", "test": test if seed == 2 else "t1"}}))
    return folder.parents[4]


def test_no_table_holds_them(mixed, capsys):
    line = ["--dataset", "btmri", "--shots", "16", "--backbone", "PhantomCLIP", "--methods", "coop", "vmfcoop"]
    assert compare.main(["--output", str(mixed), *line]) == 1
    assert report([str(mixed)]) == 1
    experiment = mixed / "btmri" / "shots_16" / "vMFCoOp_PhantomCLIP" / "nctx4_cscFalse_ctpend"
    assert parse_test_res.main([str(experiment)]) == 1
    output = capsys.readouterr()
    assert "Paired difference" not in output.out
    assert output.err.count("error: Expected runs with the same test images, but") == 3


def test_the_runs_of_ones_own_images_are_found_by_the_folders_name(write_run, tmp_path, capsys):
    folder = write_run("folder-chest", 16, "CoOp", 1, 50.0)
    output = str(folder.parents[4])
    line = ["--output", output, "--shots", "16", "--backbone", "PhantomCLIP", "--dataset", "folder"]
    assert compare.main([*line, "--root", "elsewhere/chest", "--methods", "coop"]) == 0
    assert "50.00" in capsys.readouterr().out
    assert compare.main([*line, "--root", "elsewhere/skull", "--methods", "coop"]) == 1
    with pytest.raises(SystemExit):
        compare.main([*line, "--methods", "coop"])
    assert "needs --root" in capsys.readouterr().err
    assert base2new.main([*line, "--root", "chest", "--trainer", "coop"]) == 1
    assert "folder-chest" in capsys.readouterr().err
