"""A run's own record says what the run is; its path says what the record leaves out."""

import json
import shutil

import pytest

from report.__main__ import main
from report.collect import find_all, read_run
from report.groups import group_runs, usable
from report.tables.ablation import FULL, Terms, problem_of, terms_of

CONTEXT = "nctx4_cscFalse_ctpend"
METHOD = {"SCE": True, "LAMBDA_ANC": 1.0, "LAMBDA_SC": 1.0, "TAU": 1.0}
TOLD = {"key": "covid", "dataset": "COVID_19", "setting": "few_shot", "method": METHOD}


def test_a_run_is_what_its_record_says_wherever_it_lies(write_run, tmp_path):
    folder = write_run(shots=8, seed=3, **TOLD)
    places = [tmp_path / "moved" / "mine", tmp_path / f"moved/btmri/shots_4/CoOp_BiomedCLIP/{CONTEXT}/seed5"]
    for place in places:
        shutil.copytree(folder, place)
        run = read_run(place)
        assert (run.dataset, run.trainer, run.backbone) == ("covid", "vMFCoOp", "PhantomCLIP")
        assert (run.shots, run.seed, run.subsample, run.setting) == (8, 3, "all", "few_shot")


def test_a_record_of_an_earlier_version_has_no_key_and_lies_where_it_belongs(write_run):
    run = read_run(write_run("covid", 8, dataset_in_registry="COVID_19"))
    assert (run.dataset, run.shots, run.setting, run.record.method) == ("covid", 8, "few_shot", None)


@pytest.mark.parametrize("field", ["trainer", "backbone", "shots", "seed"])
def test_the_path_says_what_a_record_leaves_out(write_run, field):
    folder = write_run(shots=8, seed=3, **TOLD)
    path = folder / "metrics.json"
    whole = read_run(folder)
    path.write_text(json.dumps({key: value for key, value in json.loads(path.read_text()).items() if key != field}))
    assert getattr(read_run(folder), field) == getattr(whole, field)


def test_the_classes_of_a_moved_run_are_known(write_run, tmp_path):
    told = TOLD | {"setting": "base2new", "subsample": "new"}
    run = read_run(shutil.copytree(write_run(**told), tmp_path / "moved"))
    assert (run.setting, run.subsample) == ("base2new", "new")


@pytest.mark.parametrize("terms", [(1, 1, 1), (0, 1, 0), (1, 0, 1)])
def test_terms_are_those_of_the_record_and_no_second_file_is_opened(write_run, terms):
    sce, anc, sc = terms
    method = METHOD | {"SCE": bool(sce), "LAMBDA_ANC": 0.5 * anc, "LAMBDA_SC": 2 * sc}
    folder = write_run(root="ablation/x", **(TOLD | {"method": method}))
    (folder / "config.yaml").mkdir()  # cannot be read
    run = read_run(folder)
    assert (terms_of(run), problem_of(run)) == (Terms(*map(bool, terms)), "")


@pytest.mark.parametrize(("key", "value"), [("SCE", "no"), ("LAMBDA_ANC", "<b>"), ("LAMBDA_SC", None)])
def test_terms_that_are_none_are_a_line(write_run, key, value, tmp_path):
    folder = write_run(**(TOLD | {"method": METHOD | {key: value}}))
    (run,), _ = usable(find_all(tmp_path / "output"), CONTEXT)
    assert not run.finished
    assert key in run.problem and str(folder / "metrics.json") in run.problem


def test_a_record_whose_method_has_no_terms_counts_as_full_unless_it_lies_among_ablations(write_run):
    assert terms_of(read_run(write_run(**(TOLD | {"method": {"N_CTX": 4}})))) == FULL
    assert terms_of(read_run(write_run(root="ablation/x", **(TOLD | {"method": {"N_CTX": 4}})))) is None


def test_a_run_of_no_table_is_told(write_run, tmp_path):
    write_run(seed=1, **TOLD)
    write_run(seed=2, **(TOLD | {"subsample": "base"}))
    write_run(seed=3, **(TOLD | {"setting": "base2new"}))
    kept, (remark,) = usable(find_all(tmp_path / "output"), CONTEXT)
    assert [(run.seed, run.subsample) for run in kept] == [(1, "all"), (2, "base")]
    assert remark.startswith("1 run(s) left out") and "seed3" in remark


WRONG = [("backbone_revision", 3), ("backbone_revision", "a\nb"), ("total", "many"), ("commit", 3)]
WRONG += [("commit", "9af3e4d; rm -r"), ("commit", "+changes"), ("device", ["cpu"])]


@pytest.mark.parametrize(("key", "value"), WRONG)
def test_a_commit_and_a_number_of_images_are_what_they_should_be(write_run, key, value):
    assert (
        f"{key.removeprefix('backbone_').replace('revision', 'commit')}" in read_run(write_run(**{key: value})).problem
    )


def test_a_report_of_moved_runs_is_that_of_the_runs(write_run, tmp_path, undrawn):
    for seed in (1, 2):
        write_run(seed=seed, accuracy=70.0 + seed, **TOLD)
    assert main([str(tmp_path / "output"), "--to", str(tmp_path / "before")]) == 0
    for i, folder in enumerate(sorted(path.parent for path in (tmp_path / "output").rglob("metrics.json"))):
        shutil.move(folder, tmp_path / "moved" / f"run{i}")
    assert main([str(tmp_path / "moved"), "--to", str(tmp_path / "after")]) == 0
    before, after = (
        {path.name: path.read_text() for path in (tmp_path / name).rglob("*.csv")} for name in ("before", "after")
    )
    assert before == after and "71.50 ± 0.50" in before["table1_covid.csv"]


def test_phantoms_are_those_of_the_record(write_run, tmp_path):
    write_run(seed=1, backbone="BiomedCLIP", **TOLD)
    write_run(seed=2, backbone="local-dir:x", phantom_backbone=True, **(TOLD | {"phantom": False}))
    titles = [group.title for group in group_runs(find_all(tmp_path / "output"))]
    assert titles == ["local-dir:x on real images (phantom)", "BiomedCLIP on phantom images"]
