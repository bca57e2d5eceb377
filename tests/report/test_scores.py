import json
from statistics import fmean

import pytest

from report.collect import NOTHING, FoundRun, find_all, read_run
from report.groups import group_runs, usable
from report.scores import Grid, Scores, Wanted, complete_cases, grid_of, place_of_run, score_methods, values_by
from report.tables.ablation import FULL, Terms, terms_of


def all_runs(tmp_path):
    return find_all(tmp_path / "output")


def test_average_is_of_means_and_of_stds(write_run, tmp_path):
    values = {("btmri", 1): 70.0, ("btmri", 2): 74.0, ("covid", 1): 50.0, ("covid", 2): 52.0}
    for (dataset, seed), accuracy in values.items():
        write_run(dataset, seed=seed, accuracy=accuracy)
    runs = all_runs(tmp_path)
    grid = grid_of(runs, Wanted())
    assert grid == Grid(("vMFCoOp",), ("btmri", "covid"), (16,), (1, 2))
    scores = score_methods(runs, "accuracy", grid)["vMFCoOp"]
    assert scores.average(16) == "61.50 ± 1.50"  # (72 + 51) / 2, (2 + 1) / 2: not the std of all four, 10.59
    assert scores.cell("btmri", 16) == "72.00 ± 2.00"
    assert fmean(scores.points().values()) == 61.5


def test_an_incomplete_data_set_leaves_a_gap(write_run, tmp_path):
    for dataset, seeds in {"btmri": (1, 2, 3), "covid": (1, 3)}.items():
        for seed in seeds:
            write_run(dataset, seed=seed, accuracy=60.0 + seed)
    runs = all_runs(tmp_path)
    scores = score_methods(runs, "accuracy", grid_of(runs, Wanted()))["vMFCoOp"]
    assert scores.average(16) == "- (1/2)"
    assert scores.cell("covid", 16) == "62.00 ± 1.00 (2/3 seeds)"
    assert (scores.missing("covid", 16), scores.mean("covid", 16)) == ([2], None)
    assert (
        score_methods(runs, "accuracy", grid_of(runs, Wanted(datasets=["btmri"])))["vMFCoOp"].average(16)
        == "62.00 ± 0.82"
    )
    assert score_methods(runs, "auroc", grid_of(runs, Wanted(shots=[1, 16])))["vMFCoOp"].average(1) == "-"


def test_one_zero_shot_run_stands_for_all(write_run, tmp_path):
    write_run(trainer="ZeroshotCLIP", shots=8, accuracy=45.0)
    for shots in (1, 16):
        for seed in (2, 3):
            write_run(shots=shots, seed=seed)
    runs = all_runs(tmp_path)
    grid = grid_of(runs, Wanted())
    assert (grid.shots, grid.seeds) == ((1, 16), (2, 3))  # not those of zero-shot
    scores = score_methods(runs, "accuracy", grid)["ZeroshotCLIP"]
    assert (scores.cell("btmri", 16), scores.average(1)) == ("45.00", "45.00")
    assert scores.points() == {("btmri", k, seed): 45.0 for k in (1, 16) for seed in (2, 3)}
    assert Scores({}, grid, single=True).missing("btmri", 1) == [2, 3]


def test_orders(write_run, tmp_path):
    for dataset, trainer in (("zebra", "Mine"), ("retina", "vMFCoOp"), ("btmri", "CoOp"), ("apes", "ZeroshotCLIP")):
        write_run(dataset, trainer=trainer)
    grid = grid_of(all_runs(tmp_path), Wanted(), without=["zebra"])
    assert grid.methods == ("ZeroshotCLIP", "CoOp", "vMFCoOp", "Mine")
    assert grid.datasets == ("btmri", "retina", "apes")


def test_phantoms_are_a_group_of_their_own(write_run, write_log, tmp_path):
    write_run("btmri", backbone="BiomedCLIP")
    write_run("covid", backbone="BiomedCLIP", phantom=False)
    write_run("retina", backbone="PhantomCLIP", phantom=False)
    tail = "nctx4_cscFalse_ctpend/seed1"
    log = write_log(f"output/busi/shots_16/CoOp_PhantomCLIP/{tail}", 50.0, end="Killed") / "log.txt"
    log.write_text("  ROOT: phantoms\n  ROOT: ''\n" + log.read_text())
    write_log(f"output/busi/shots_16/CoOp_BiomedCLIP/{tail}", 50.0)
    (tmp_path / f"output/cmri/shots_16/CoOp_PhantomCLIP/{tail}").mkdir(parents=True)
    groups = {group.title: sorted(run.dataset for run in group.runs) for group in group_runs(all_runs(tmp_path))}
    assert groups == {
        "BiomedCLIP on real images": ["busi", "covid"],
        "PhantomCLIP on real images (phantom)": ["retina"],
        "BiomedCLIP on phantom images": ["btmri"],
        "PhantomCLIP on phantom images": ["busi", "cmri"],
    }


def test_a_finished_and_an_unfinished_run_of_one_hub_model_are_one_group(write_run, write_log, tmp_path):
    write_run(backbone="hf-hub:org/model", phantom=False)
    write_log("output/covid/shots_16/CoOp_hf-hub-org-model/nctx4_cscFalse_ctpend/seed1", 50.0, end="Killed")
    (group,) = group_runs(all_runs(tmp_path))
    assert (group.backbone, group.folder, len(group.runs)) == ("hf-hub:org/model", "hf-hub-org-model", 2)


def test_terms_come_from_the_settings(write_run, tmp_path):
    run = read_run(write_run(seed=1, terms=(1, 0, 1)))
    assert terms_of(run) == Terms(True, False, True)
    assert str(terms_of(run)) == "SCE + sc"
    assert terms_of(read_run(write_run(seed=2, terms=(1, 1, 1)))) == FULL
    assert terms_of(read_run(write_run(seed=3))) == FULL  # no settings: as another code base left it
    assert terms_of(read_run(write_run(seed=4, root="ablation/ce"))) is None
    assert terms_of(read_run(write_run(trainer="CoOp", root="ablation/ce"))) == FULL


def test_what_has_no_place_is_told(write_run, write_log, tmp_path):
    kept = [write_run(), write_run(seed=2, context="mine")]
    write_run(root="ablation/ce")
    write_run(context="nctx16_cscFalse_ctpend")
    write_log("output/mine/seed1", 50.0)
    found, reasons = usable(all_runs(tmp_path), "nctx4_cscFalse_ctpend")
    assert sorted(run.path for run in found) == sorted(kept)
    assert ["mine/seed1" in reasons[0], "nctx16" in reasons[1], "ablation/ce" in reasons[2]] == [True] * 3
    assert all(reason.startswith("1 run(s) left out") for reason in reasons)


def test_two_runs_of_one_place_are_refused(write_run, tmp_path):
    write_run()
    write_run(root="copy")
    runs = all_runs(tmp_path)
    with pytest.raises(ValueError, match="compare only one"):
        score_methods(runs, "accuracy", grid_of(runs, Wanted()))


def test_terms_of_a_half_written_config(write_run):
    folder = write_run(terms=(0, 0, 0))
    (folder / "config.yaml").write_text(json.dumps({"TRAINER": None}))
    assert terms_of(read_run(folder)) == FULL


def test_two_runs_of_one_key_are_refused(tmp_path):
    one = NOTHING._replace(metrics={"accuracy": 1.0})
    runs = [FoundRun(tmp_path / name, "btmri", shots=16, seed=1, record=one) for name in ("a", "b")]
    with pytest.raises(ValueError, match=r"a and .*b are the same data set, shots and seed"):
        values_by(runs, "accuracy", place_of_run)
    unfinished = FoundRun(tmp_path / "c", "btmri", shots=16, seed=1, problem="killed")
    assert values_by([runs[0], unfinished], "accuracy", place_of_run) == {("btmri", 16, 1): 1.0}


def test_only_complete_cases_count():
    grid = Grid(("a", "b"), ("x", "y"), (1, 16), (1, 2))
    full = {(d, k, s): float(k + s) for d in "xy" for k in (1, 16) for s in (1, 2)}
    partial = {key: value for key, value in full.items() if key != ("x", 16, 2)}
    scores = {"a": Scores(full, grid), "b": Scores(partial, grid), "never run": Scores({}, grid)}
    assert complete_cases(scores, grid) == {"a": [2.5, 2.5, 17.5], "b": [2.5, 2.5, 17.5]}
