"""Each test tells the gap between images and texts: in the log, in metrics.json, and as points of a picture."""

import csv
from pathlib import Path

import pytest
import torch

import train
from runs.record import GAP_PARTS, POINTS, POINTS_HEAD, read_record
from tests.conftest import CLASSES
from tests.gpu.sides import METHODS, options
from tests.watching import images, watching
from trainers import posterior
from trainers.base.labels import labels_of

pytestmark = pytest.mark.usefixtures("tiny")

WITHOUT = {"CLIPAdapter", "TipAdapter", "TipAdapterF", "LinearProbe", "LPpp", "GDAText"}
NOVEL = ("--setting", "base2new", "--subsample", "new", "--eval-only")


def folder_of(output: Path) -> Path:
    (path,) = output.rglob("metrics.json")
    return path.parent


@pytest.mark.parametrize("trainer", METHODS)
def test_each_method_tells_what_it_has(trainer, flags, tmp_path):
    assert train.main(flags(trainer, *options(trainer))) == 0
    folder = folder_of(tmp_path)
    told = read_record(folder / "metrics.json").gap
    lines = [line for line in (folder / "log.txt").read_text().splitlines() if line.startswith("Gap: ")]
    assert told["predicted"] in CLASSES and told["largest"] == CLASSES[0] and told["largest_share"] == 25.0
    assert set(GAP_PARTS) <= set(told) or trainer in WITHOUT
    assert len(lines) == 1 + (trainer not in WITHOUT) and (folder / POINTS).is_file() == (trainer not in WITHOUT)


def test_the_figures_are_those_of_the_support_images_and_the_texts(build, capsys):
    trainer = build("ZeroshotCLIP", "OPTIM.MAX_EPOCH", 0)
    trainer.test()
    told = read_record(Path(trainer.output_dir) / "metrics.json").gap
    features, labels = trainer.plain_features(trainer.train_items), labels_of(trainer.train_items)
    m = torch.stack([features[labels == c].mean(dim=0) for c in range(4)]).mean(dim=0)
    logits = trainer.plain_features(trainer.dm.dataset.test) @ trainer.directions.T
    assert told["common"] == pytest.approx((trainer.directions @ m).std(correction=0).item(), rel=1e-4)
    apart = logits - logits.mean(dim=0) - (logits - logits.mean(dim=0)).mean(dim=1, keepdim=True)
    assert told["images"] == pytest.approx(apart.square().mean().sqrt().item(), rel=1e-4)


def test_a_posterior_tells_its_text_before_and_what_it_tests_after(build):
    trainer = build("vMFPrototypes", "OPTIM.MAX_EPOCH", 0)
    trainer.train()
    assert torch.equal(trainer.text_directions(), trainer.llm_means)
    w = trainer.centred_directions()
    v = trainer.plain_features(trainer.dm.dataset.test)
    x = v.double() - trainer.support_centre()
    assert torch.equal(trainer.logits(v).argmax(dim=1), posterior.mode_logits(x, w, 1.0).argmax(dim=1))


def test_the_file_of_points_names_no_image(flags, data_root, tmp_path):
    assert train.main(flags("ZeroshotCLIP", "OPTIM.MAX_EPOCH", 0)) == 0
    path = folder_of(tmp_path) / POINTS
    head, *rows = csv.reader(path.open(newline=""))
    assert tuple(head) == POINTS_HEAD and [row[2] for row in rows] == [""] * 20 + CLASSES
    assert [int(row[1]) for row in rows] == [0] * 5 + [1] * 5 + [2] * 5 + [3] * 5 + [0, 1, 2, 3]
    text = path.read_text()
    assert "png" not in text and "test0" not in text and str(data_root) not in text


def test_metrics_json_is_written_after_the_points(build, monkeypatch):
    trainer, seen = build("ZeroshotCLIP", "OPTIM.MAX_EPOCH", 0), []
    folder = Path(trainer.output_dir)
    monkeypatch.setattr("runs.results.write_record", lambda *_: seen.append((folder / POINTS).is_file()))
    trainer.test()
    assert seen == [True]


@pytest.mark.parametrize("trainer", ["ZeroshotEnsemble", "vMFPrototypes"])
def test_on_novel_classes_the_centre_is_that_of_the_base_classes(trainer, flags, data_root, tmp_path):
    opts = ("OPTIM.MAX_EPOCH", 0, "FEATURES.ROOT", tmp_path / "store")
    assert train.main(flags(trainer, *opts, more=("--setting", "base2new", "--subsample", "base"))) == 0
    with watching() as happened:
        assert train.main(flags(trainer, *opts, more=NOVEL)) == 0
    novel = {path.stem.rstrip("0123456789") for path in images(happened, data_root, CLASSES[2:])}
    assert novel == {"test"}
    told = read_record(folder_of(tmp_path / "base2new" / "test_new") / "metrics.json").gap
    assert told["predicted"] in CLASSES[2:] and set(GAP_PARTS) <= set(told)


def test_without_support_images_shares_are_told_alone(build):
    trainer = build("ZeroshotCLIP", "OPTIM.MAX_EPOCH", 0)
    trainer.train_items = []
    assert trainer.support_centre() is None
    v = trainer.plain_features(trainer.dm.dataset.test)
    assert len(trainer.gap(v, labels_of(trainer.dm.dataset.test), trainer.logits(v).cpu()).lines()) == 1
