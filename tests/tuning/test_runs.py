"""Studies of the miniature BTMRI: the images that they read, the settings that they write, and their errors."""

import csv
import json
import re
import shutil

import pytest
import yaml

import train
from runs.config import configure
from runs.methods import CONFIGS
from tests.run_folders import record, run_folder
from tuning import __main__ as tuning
from tuning import plan
from tuning.objective import Score, evaluate
from tuning.plan import default_settings
from tuning.space import SPACE


@pytest.fixture
def without_test_images(data_root, tmp_path):
    """The data set with test images that cannot be read."""
    root = shutil.copytree(data_root, tmp_path / "data")
    spoilt = list(root.rglob("test*.png"))
    for path in spoilt:
        path.write_bytes(b"no picture")
    assert len(spoilt) == 20
    return root


def train_words(root, output, *more) -> list[str]:
    line = f"--root {root} --backbone PhantomCLIP --dataset btmri --shots 2 --trainer vMFCoOp --output {output}"
    return [*line.split(), *map(str, more)]


@pytest.mark.parametrize("trainer", ["vMFCoOp", "BiomedCoOp"])
def test_tuning_reads_no_test_image_and_its_settings_are_ones_that_train_reads(
    flags, without_test_images, tmp_path, capsys, trainer
):
    assert tuning.main(flags(trainer, "--trials", 3, root=without_test_images)) == 0
    printed = capsys.readouterr().out
    assert "trial 3, 3 of 3 done" in printed

    path = tmp_path / "studies" / f"{trainer}_PhantomCLIP" / "btmri_shots_2.yaml"
    settings = yaml.safe_load(path.read_text())["TRAINER"][trainer.upper()]
    words = [*train_words(without_test_images, tmp_path), "--trainer", trainer, "--config-file", str(path)]
    node = configure(train.parse(words), 1).TRAINER[trainer.upper()]
    assert {name: node[name] for name in SPACE[trainer]} == settings

    assert f"Written: {path}" in printed and f"--config-file {path}" in printed
    line = next(line for line in printed.splitlines() if line.startswith("To use it: "))
    opts = re.search(r"OPTS='([^']*)' bash scripts/\w+/few_shot\.sh btmri 2 PhantomCLIP$", line)[1].split()
    pasted = configure(train.parse([*train_words(without_test_images, tmp_path), "--trainer", trainer, *opts]), 1)
    assert {name: pasted.TRAINER[trainer.upper()][name] for name in SPACE[trainer]} == settings
    assert pasted.OPTIM.MAX_EPOCH == 2

    folder = path.parent
    summary = json.loads((folder / "btmri_shots_2.json").read_text())
    assert summary["settings"] == {"btmri": settings}
    assert summary["accuracy"] >= summary["default"]
    assert (summary["images"], summary["seeds"], summary["trials"]) == ({"btmri": 12}, [101, 102], 3)
    with (folder / "btmri_shots_2.csv").open() as file:
        trials = list(csv.DictReader(file))
    assert [row["trial"] for row in trials] == ["1", "2", "3"]
    assert float(trials[0]["validation accuracy (%)"]) == pytest.approx(summary["default"], abs=0.005)
    assert max(float(row["validation accuracy (%)"]) for row in trials) == pytest.approx(summary["accuracy"], abs=0.005)

    head = path.read_text().splitlines()[:4]
    assert head[0] == f"# {trainer} on btmri, K = 2, PhantomCLIP: chosen by python -m tuning"
    assert "3 trials, seeds 101 102, 12 validation images (whole split)" in head[1]
    assert head[3] == "# with OPTIM.MAX_EPOCH 2 DATALOADER.NUM_WORKERS 0: train with the same"


def test_the_test_images_above_are_indeed_unreadable(without_test_images, tmp_path, capsys):
    short = ("OPTIM.MAX_EPOCH", 1, "DATALOADER.NUM_WORKERS", 0)
    assert train.main(train_words(without_test_images, tmp_path / "output", "--seed", 1, *short)) == 1
    assert re.search(r"Expected a readable image, but .*/test\d.png", capsys.readouterr().err)


def test_a_trial_of_the_default_scores_what_a_run_scores_on_its_validation_draw(data_root, tmp_path):
    short = ("OPTIM.MAX_EPOCH", 3, "DATALOADER.NUM_WORKERS", 0)
    words = train_words(data_root, tmp_path / "output", "--seed", 101, 102, *short)
    assert train.main([*words, "TEST.SPLIT", "val"]) == 0
    runs = [record(run_folder(tmp_path / "output", "vMFCoOp", seed=seed)) for seed in (101, 102)]
    spec = train.parse(words)
    score = evaluate([configure(spec, seed) for seed in spec.seeds], whole=False)
    assert (score.images, [run["total"] for run in runs]) == (8, [8, 8])
    assert score.accuracy == pytest.approx(sum(run["metrics"]["accuracy"] for run in runs) / 2)
    assert not [name for name in tmp_path.iterdir() if name.name != "output"]  # a trial leaves nothing


def test_a_setting_that_is_fixed_is_not_searched_and_reaches_the_runs(flags, monkeypatch, tmp_path):
    seen = []

    def score(cfgs, whole):
        seen.append(cfgs)
        return Score(50.0, -1.0, 12)

    monkeypatch.setattr(plan, "evaluate", score)
    fixed = ("TRAINER.VMFCOOP.TAU_0", 0.5)
    assert tuning.main(flags("vmfcoop", "--trials", 2, "--validation", "drawn", opts=fixed)) == 0
    assert [[cfg.SEED for cfg in cfgs] for cfgs in seen] == [[101, 102]] * 2
    assert {cfg.TRAINER.VMFCOOP.TAU_0 for cfgs in seen for cfg in cfgs} == {0.5}
    (path,) = (tmp_path / "studies").rglob("*.yaml")
    assert list(yaml.safe_load(path.read_text())["TRAINER"]["VMFCOOP"]) == [
        name for name in SPACE["vMFCoOp"] if name != "TAU_0"
    ]


def test_several_shots_and_data_sets_count_by_their_mean(flags, monkeypatch, tmp_path):
    accuracy = {("btmri", 2): 60.0, ("btmri", 4): 70.0, ("chmnist", 2): 80.0, ("chmnist", 4): 90.0}

    def score(cfgs, whole):
        (dataset,) = {cfg.DATASET.NAME.lower() for cfg in cfgs}
        (shots,) = {cfg.DATASET.NUM_SHOTS for cfg in cfgs}
        return Score(accuracy[dataset, shots], -1.0, 12)

    monkeypatch.setattr(plan, "evaluate", score)
    monkeypatch.setattr(plan, "build_data", lambda cfg: cfg.DATASET.NAME)
    monkeypatch.setattr(plan, "training_digests", lambda cfg, name: {"split": name})
    line = flags("BiomedCoOp", "--trials", 2, "--joint", "--datasets", "btmri", "chmnist", "--shots", 2, 4)
    assert tuning.main(line) == 0
    summary = json.loads((tmp_path / "studies" / "BiomedCoOp_PhantomCLIP" / "btmri_chmnist_shots_2_4.json").read_text())
    assert (summary["accuracy"], summary["default"]) == (75.0, 75.0)
    files = sorted(path.name for path in (tmp_path / "studies").rglob("*.yaml"))
    assert files == ["btmri_chmnist_shots_2_4_btmri.yaml", "btmri_chmnist_shots_2_4_chmnist.yaml"]


@pytest.mark.parametrize("dataset", sorted(path.stem for path in (CONFIGS / "datasets").glob("*.yaml")))
@pytest.mark.parametrize("trainer", SPACE)
def test_every_default_lies_in_the_search_space(flags, trainer, dataset):
    settings = default_settings(tuning.parse(flags(trainer))[0], dataset)
    for name, span in SPACE[trainer].items():
        assert span.low <= settings[name] <= span.high


@pytest.mark.parametrize(
    ("trainer", "opts", "sentence"),
    [
        ("CoOp", (), "Expected --trainer to be one of vMFCoOp, BiomedCoOp, but got 'CoOp': did you mean 'vMFCoOp'?"),
        (
            "BiomedCoOp",
            [word for name in SPACE["BiomedCoOp"] for word in (f"TRAINER.BIOMEDCOOP.{name}", "2.0")],
            "are all given: leave out one of SCCM_LAMBDA, KDSP_LAMBDA, TAU.",
        ),
        ("vMFCoOp", ("TRAINER.VMFCOOP.LAMBDA", "1"), "there is no key TRAINER.VMFCOOP.LAMBDA"),
    ],
)
def test_errors_are_a_sentence(flags, capsys, trainer, opts, sentence):
    assert tuning.main(flags(trainer, opts=opts)) == 1
    assert sentence in capsys.readouterr().err


def test_without_validation_images_there_is_nothing_to_tune_on(flags, data_root, tmp_path, capsys):
    root = shutil.copytree(data_root, tmp_path / "data")
    path = root / "BTMRI" / "split_BTMRI.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"val": []}))
    assert tuning.main(flags("vMFCoOp", root=root)) == 1
    assert "Expected validation images to tune on, but BTMRI has none" in capsys.readouterr().err


def test_interrupted_by_hand(flags, monkeypatch, capsys):
    def stop(cfgs, whole):
        raise KeyboardInterrupt

    monkeypatch.setattr(plan, "evaluate", stop)
    assert tuning.main(flags("vMFCoOp")) == 130
    assert capsys.readouterr().err.startswith("Interrupted: what is done stays, the same command goes on")


def test_tuning_writes_below_its_output_alone_and_never_replaces_what_another_chose(
    flags, monkeypatch, tmp_path, capsys
):
    monkeypatch.setattr(plan, "evaluate", lambda cfgs, whole: Score(50.0, -1.0, 12))
    configs = {path: path.stat().st_mtime_ns for path in CONFIGS.rglob("*")}
    assert tuning.main(flags("vMFCoOp", "--trials", 2)) == 0
    before = {path: path.read_bytes() for path in (tmp_path / "studies").rglob("*") if path.is_file()}
    capsys.readouterr()
    assert tuning.main(flags("vMFCoOp", "--trials", 2, opts=("OPTIM.LR", 0.1))) == 1
    assert "choose another --output (OUTPUT=...), or remove the file" in capsys.readouterr().err
    assert tuning.main(flags("vMFCoOp", "--trials", 2, "--shots", 1)) == 0  # lies beside it
    assert {path: path.read_bytes() for path in before} == before
    assert {path: path.stat().st_mtime_ns for path in CONFIGS.rglob("*")} == configs


def test_by_default_studies_lie_below_output():
    assert tuning.parse(["--trainer", "vMFCoOp", "--datasets", "btmri"])[1].output == "output/tuning"


def test_a_study_is_not_continued_with_other_weights(flags, monkeypatch, capsys):
    monkeypatch.setattr(plan, "evaluate", lambda cfgs, whole: Score(50.0, -1.0, 12))
    line = flags("vMFCoOp", "--trials", 1)
    assert tuning.main(line) == 0
    monkeypatch.setattr(plan, "fingerprint", lambda cfg: "ffff")
    assert tuning.main(line) == 1
    assert "to be a study of weights ffff, but it is one of" in capsys.readouterr().err


@pytest.mark.parametrize(("folder", "trainer"), [("vmfcoop", "vMFCoOp"), ("biomedcoop", "BiomedCoOp")])
def test_the_scripts(calls, folder, trainer):
    (*_, line) = calls(
        f"{folder}/tune.sh", "btmri chmnist", "1 4", TRIALS="10", OUTPUT="out", JOINT="1", OPTS="OPTIM.LR 0.1"
    )
    words = f"--trainer {trainer} --datasets btmri chmnist --shots 1 4 --root data"
    assert line == f"-m tuning {words} --trials 10 --output out/tuning --joint OPTIM.LR 0.1"
    (*_, line) = calls(f"{folder}/tune.sh", "btmri", "4", "local-dir:x")
    words = f"--trainer {trainer} --datasets btmri --shots 4 --root data --backbone local-dir:x"
    assert line == f"-m tuning {words} --trials 40 --output output/tuning"
