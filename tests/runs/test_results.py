"""What a run leaves behind, and which settings make it another run."""

import contextlib
import csv
import json
import platform
import re
from importlib import metadata
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from clip.digests import Digests
from dassl.evaluation import metrics
from dassl.evaluation import metrics as of_the_toolbox
from runs import results
from runs.revision import commit
from runs.versions import MAIN, PACKAGES, versions
from scripts.floors import requirements
from tests.run_folders import record
from trainers.base.digests import config_digest, images_digest, method_settings
from trainers.base.results import Results, device_facts, evaluate

pytestmark = pytest.mark.usefixtures("tiny")


@pytest.fixture
def cfg(build):
    """The configuration of a run of CoOp, to be changed."""
    cfg = build("CoOp").cfg.clone()
    cfg.defrost()
    return cfg


def put(cfg, key: str, value) -> None:
    *path, last = key.split(".")
    for name in path:
        cfg = cfg[name]
    assert last in cfg
    cfg[last] = value


# ----------------------------------------------------------------------------------------------------------- digests


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("OUTPUT_DIR", "/elsewhere"),
        ("RESUME", "/elsewhere"),
        ("USE_CUDA", False),
        ("VERBOSE", False),
        ("DATASET.ROOT", "/elsewhere"),
        ("DATALOADER.NUM_WORKERS", 7),
        ("FEATURES.ROOT", "/elsewhere"),
        ("TRAIN.PRINT_FREQ", 77),
        ("INPUT.SIZE", (99, 99)),
        ("INPUT.PIXEL_MEAN", [0.0, 0.0, 0.0]),
        ("INPUT.PIXEL_STD", [9.0, 9.0, 9.0]),
        ("INPUT.INTERPOLATION", "nearest"),
        ("TRAINER.KGCOOP.PREC", "bf16"),  # of another method
    ],
)
def test_where_and_how_fast_a_run_works_is_no_part_of_its_digest(cfg, key, value):
    before = config_digest(cfg)
    put(cfg, key, value)
    assert config_digest(cfg) == before


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("SEED", 2),
        ("OPTIM.LR", 0.5),
        ("OPTIM.MAX_EPOCH", 4),
        ("DATASET.NAME", "BUSI"),
        ("DATASET.NUM_SHOTS", 4),
        ("DATASET.DRAWS", "biomedcoop"),
        ("DATASET.SUBSAMPLE_CLASSES", "base"),
        ("DATALOADER.TRAIN_X.BATCH_SIZE", 5),
        ("FEATURES.VIEWS", 3),
        ("INPUT.TRANSFORMS", ["normalize"]),
        ("MODEL.BACKBONE.NAME", "BiomedCLIP"),
        ("TEST.SPLIT", "val"),
        ("TRAINER.COOP.N_CTX", 5),
        ("TRAINER.COOP.PREC", "bf16"),
    ],
)
def test_every_setting_that_changes_numbers_changes_the_digest(cfg, key, value):
    before = config_digest(cfg)
    put(cfg, key, value)
    assert config_digest(cfg) != before


def test_pixels_are_a_setting_of_other_checkouts_trainers(cfg):
    cfg.CHECKOUT = "theirs@1"
    before = config_digest(cfg)
    cfg.OUTPUT_DIR = "/elsewhere"
    assert config_digest(cfg) == before
    for key, value in (("INPUT.INTERPOLATION", "nearest"), ("INPUT.SIZE", (99, 99))):
        put(cfg, key, value)
        assert config_digest(cfg) != before
        before = config_digest(cfg)


def test_a_digest_leaves_out_the_keys_that_are_named(cfg):
    before = config_digest(cfg, without=("SEED",))
    cfg.SEED = 77
    assert config_digest(cfg, without=("SEED",)) == before
    cfg.OPTIM.LR = 0.77
    assert config_digest(cfg, without=("SEED",)) != before


def test_methods_of_equal_settings_differ_in_their_digest(build):
    coop, other = build("CoOp").cfg.clone(), build("CoOp").cfg.clone()
    assert config_digest(coop) == config_digest(other)
    other.defrost()
    other.TRAINER.NAME = "KgCoOp"
    other.TRAINER.KGCOOP = coop.TRAINER.COOP.clone()
    assert config_digest(coop) != config_digest(other)


def test_a_digest_is_16_hex_digits_and_does_not_depend_on_the_order_of_keys(cfg):
    before = config_digest(cfg)
    assert len(before) == 16 and int(before, 16) >= 0
    lr = cfg.OPTIM.pop("LR")
    cfg.OPTIM["LR"] = lr  # now the last one
    assert config_digest(cfg) == before


def test_a_methods_settings_are_the_node_of_its_name(cfg):
    assert method_settings(cfg) is cfg.TRAINER.COOP
    cfg.TRAINER.NAME = "vMFCoOp"
    assert method_settings(cfg) is cfg.TRAINER.VMFCOOP


# ----------------------------------------------------------------------------------------------------------- a record


def written(build, scores, extra=None, **changes) -> tuple[SimpleNamespace, dict]:
    """What `write_results` leaves of `scores` for the first images of the test split."""
    trainer = build("CoOp")
    Path(trainer.output_dir).mkdir(parents=True, exist_ok=True)
    trainer.seconds = {"start": 1.23456, "train": 100.0, "test": 2.0}
    for name, value in changes.items():
        setattr(trainer, name, value)
    items = trainer.dm.dataset.test[: len(scores)]
    labels = torch.tensor([item.label for item in items])
    trainer.on_test(evaluate(trainer.dm.dataset, items, scores, labels, extra or {}))
    return trainer, record(Path(trainer.output_dir))


SCORES = torch.tensor([[3.0, 0, 0, 0], [0, 2.0, 0, 0], [1.0, 0, 0, 0], [0, 0, 1.0, 0], [2.0, 0, 0, 0], [0, 4.0, 0, 0]])


def test_the_record_says_what_was_run_and_what_came_out(build, capsys, tiny):
    trainer, found = written(build, SCORES, {"mine": 12.3456})
    cfg, labels = trainer.cfg, torch.tensor([item.label for item in trainer.dm.dataset.test[:6]])
    assert labels.tolist() == [0, 0, 0, 0, 0, 1]
    expected = {
        "key": "btmri",
        "dataset": "BTMRI",
        "setting": "few_shot",
        "method": dict(cfg.TRAINER.COOP),
        "phantom": False,
        "trainer": "CoOp",
        "backbone": "PhantomCLIP",
        "shots": 2,
        "seed": 1,
        "subsample": "all",
        "total": 6,
        "correct": 4,
        "versions": versions(),
        "commit": commit(),
        "seconds": {"start": 1.23, "train": 100.0, "test": 2.0},
    }
    assert expected.items() <= found.items()
    assert found["metrics"] == metrics(SCORES, labels, trainer.dm.dataset.classnames) | {"mine": 12.3456}
    assert found["metrics"]["accuracy"] == pytest.approx(100 * 4 / 6)
    assert found["hashes"]["config"] == config_digest(cfg)
    assert found["hashes"]["split"] == trainer.dm.dataset.split_hash is not None
    assert found["hashes"]["backbone"] == tiny.fingerprint()
    log = capsys.readouterr().out
    figures = found["metrics"]
    assert log.endswith(
        f"* balanced_accuracy: {figures['balanced_accuracy']:.2f}%\n* auroc: {figures['auroc']:.2f}%\n"
        f"* ece: {figures['ece']:.2f}%\n* mine: 12.35%\n"
    )


def test_the_record_has_the_digests_of_what_the_figures_follow_from(build):
    trainer, found = written(build, SCORES, sentences=(50, "0123"), learned="4567")
    tested = images_digest(trainer.dm.dataset.test[:6], Digests(trainer.cfg.FEATURES.ROOT or None))
    assert trainer.hashes.items() <= found["hashes"].items()
    assert (found["hashes"]["test"], found["hashes"]["learned"]) == (tested, "4567")
    assert found["sentences_per_class"] == 50 and found["phantom_backbone"] is True


def test_predictions_are_a_row_an_image(build):
    trainer, _ = written(build, SCORES)
    text = (Path(trainer.output_dir) / "predictions.csv").read_bytes().decode("utf-8")
    header, *rows = csv.reader(text.splitlines())
    names = trainer.dm.dataset.classnames
    assert header == ["path", "label", "predicted", *names]
    assert len(rows) == 6 and "\r\n" in text and "\r\r" not in text
    for item, scores, (path, label, predicted, *probabilities) in zip(
        trainer.dm.dataset.test, SCORES, rows, strict=False
    ):
        assert (label, predicted) == (item.classname, names[int(scores.argmax())])
        assert trainer.dm.dataset.images / path == Path(item.impath) and not Path(path).is_absolute()
        assert probabilities == [f"{p:.6g}" for p in scores.softmax(dim=0).tolist()]
        assert sum(map(float, probabilities)) == pytest.approx(1, abs=1e-5)


def test_scores_and_images_must_be_as_many(build):
    trainer = build("CoOp")
    Path(trainer.output_dir).mkdir(parents=True)
    with pytest.raises(ValueError, match="zip"):
        trainer.on_test(Results(trainer.dm.dataset.test[:2], ["a"] * 4, SCORES[:3], torch.tensor([0, 0, 0]), {}))


def test_the_record_is_written_last_and_nothing_half_written_is_left(build, monkeypatch):
    trainer, _ = written(build, SCORES)
    folder = Path(trainer.output_dir)
    assert {path.name for path in folder.iterdir()} == {"metrics.json", "predictions.csv"}
    (folder / "metrics.json").unlink()

    def full_disk(*args):
        raise OSError("the disk is full")

    monkeypatch.setattr(results, "_write_predictions", full_disk)
    with pytest.raises(OSError, match="full"):
        written(build, SCORES)
    assert not (folder / "metrics.json").exists()


def test_predictions_of_a_killed_run_are_not_taken_for_whole(build, monkeypatch):
    trainer, _ = written(build, SCORES)
    folder = Path(trainer.output_dir)
    before = (folder / "predictions.csv").read_bytes()

    def broken(rows, end):
        yield "path" + end
        raise RuntimeError("killed")

    monkeypatch.setattr(results, "csv_lines", broken)
    with pytest.raises(RuntimeError, match="killed"):
        written(build, SCORES * 2)
    assert (folder / "predictions.csv").read_bytes() == before


def test_the_record_names_the_device(build, monkeypatch):
    trainer, found = written(build, SCORES)
    assert found["device"] == {"name": "cpu", "precision": "fp32", "cuda": None}
    assert found["loaded"] is False
    assert found["hashes"]["settings"] == config_digest(trainer.cfg, without=("SEED",))
    monkeypatch.setattr("torch.version.cuda", "13.0")
    monkeypatch.setattr("trainers.base.results.device_name", lambda device: f"a {device.type}")
    assert device_facts(torch.device("cuda"), "tf32") == {"name": "a cuda", "precision": "tf32", "cuda": "13.0"}
    assert device_facts(torch.device("cpu"), None)["cuda"] is None


def test_images_of_one_class_have_no_auroc_in_log_and_record(build, capsys):
    _, found = written(build, SCORES[:3])
    assert found["metrics"]["auroc"] is None
    log = capsys.readouterr().out
    assert "* balanced_accuracy: 66.67%\n* ece:" in log and "auroc" not in log


def test_a_data_set_of_phantoms_is_marked(build):
    trainer = build("CoOp")
    fields = vars(trainer.dm.dataset) | {"classnames": trainer.dm.dataset.classnames}
    for given, said in (({"phantom": True}, True), ({}, False)):
        fields.pop("phantom", None)
        dataset = SimpleNamespace(**fields | {"test": trainer.dm.dataset.test} | given)
        _, found = written(build, SCORES, dm=SimpleNamespace(dataset=dataset))
        assert found["phantom"] is said


def test_versions_are_those_installed():
    installed = {}
    for name in PACKAGES:
        with contextlib.suppress(metadata.PackageNotFoundError):
            installed[name] = metadata.version(name)
    assert versions() == {"python": platform.python_version(), **dict.fromkeys(MAIN), **installed}


def test_versions_are_of_all_that_setup_asks_for_and_not_too_many():
    assert set(requirements()[""]) and {re.split(r"\W*>=", each)[0] for each in requirements()[""]} <= set(PACKAGES)
    assert len(PACKAGES) == len(set(PACKAGES)) <= 40


def test_a_package_that_is_not_installed_is_no_reason_to_lose_a_run(monkeypatch):
    def missing(name):
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr(metadata, "version", missing)
    assert versions() == {"python": platform.python_version(), **dict.fromkeys(MAIN)}


def test_the_record_has_the_figures_that_the_evaluator_prints(build, capsys):
    assert metrics is of_the_toolbox
    trainer = build("CoOp")
    Path(trainer.output_dir).mkdir(parents=True)
    trainer.test()
    log, figures = capsys.readouterr().out, record(Path(trainer.output_dir))["metrics"]
    for name in ("accuracy", "macro_f1", "balanced_accuracy", "auroc", "ece"):
        assert f"* {name}: {figures[name]:.2f}%\n" in log
    assert json.dumps(figures)
