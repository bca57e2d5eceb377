"""Pictures of the most confident errors: which runs and images, what lies in the folder, and what is refused."""

import json
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image

import train
from dassl.errors import UserError
from explain import errors
from explain.directions import class_directions
from explain.overlay import MOST, overlay, picture
from runs.error_pictures import FOLDER, picture_paths, read_index
from runs.predictions import read_predictions
from tests.report.predicted import CLASSES, answers, write_answers
from tests.tiny_backbone import TinyBackbone

SEEN = []  # directions that a saliency was asked for


class StandIn:
    """A predictor of a linear method on a backbone in memory; image i is read from pixels of value i / 100."""

    def __init__(self, images: int, classes: int = 4, phantom: bool = True):
        self.backbone, self.classnames = TinyBackbone(), list(CLASSES[:classes])
        self.weights = torch.eye(classes, 16)
        self.record = SimpleNamespace(phantom_images=phantom)
        self.images = images

    def dataset(self, why: str):
        items = [SimpleNamespace(impath=f"/data/BTMRI/image{i}.png") for i in range(self.images)]
        return SimpleNamespace(images="/data/BTMRI", test=items)

    def pixels(self, path: str) -> torch.Tensor:
        number = int(path.removeprefix("/data/BTMRI/image").removesuffix(".png"))
        return torch.full((3, 8, 8), number / 100)

    def logits(self, features: torch.Tensor) -> torch.Tensor:
        return 10 * features @ self.weights.T


@pytest.fixture(autouse=True)
def maps(monkeypatch):
    """Maps that are bright on the right; SEEN has the directions that were asked for."""
    SEEN.clear()

    def saliency(backbone, pixels, directions, kind=""):
        SEEN.append((directions, kind))
        return torch.linspace(0, 1, 8).expand(len(pixels), 8, 8)

    monkeypatch.setattr(errors, "saliency", saliency)


@pytest.fixture
def run(write_run):
    return write_answers(write_run(), *answers(60, 4))


def test_the_most_confident_errors_are_drawn_with_the_direction_of_what_was_predicted(run):
    found = read_predictions(run)
    wrong = sorted(np.flatnonzero(~found.hits), key=lambda i: -found.confidence[i])[:3]
    predictor = StandIn(60)
    assert errors.write_errors(run, predictor, 3, "legrad") == 3
    index = read_index(run)
    assert (index.kind, index.phantom) == ("legrad", True)
    expected = [(CLASSES[found.labels[i]], CLASSES[found.predicted[i]], found.confidence[i]) for i in wrong]
    assert [tuple(error) for error in index.errors] == expected
    pixels = torch.stack([predictor.pixels(f"/data/BTMRI/image{i}.png") for i in wrong])
    classes = torch.from_numpy(found.predicted[wrong])
    asked = class_directions(predictor.logits, predictor.backbone.encode_image(pixels), classes)
    ((directions, kind),) = SEEN
    assert kind == "legrad" and torch.equal(directions, asked) and torch.equal(asked.argmax(dim=1), classes)
    shown, bright = (np.asarray(Image.open(path), float) for path in picture_paths(run, 1))
    mean, std = TinyBackbone.mean[0], TinyBackbone.std[0]
    assert shown[..., 0].mean() == pytest.approx(255 * (mean + std * wrong[0] / 100), abs=3)
    assert shown.shape == bright.shape == (errors.SIDE, errors.SIDE, 3)
    assert abs(bright - shown)[:, :20].mean() < 15 < 40 < abs(bright - shown)[:, -20:].mean()


def test_no_path_is_kept_and_nothing_else_is_in_a_picture(run):
    errors.write_errors(run, StandIn(60), 2, "grad_eclip")
    assert {path.name for path in (run / FOLDER).iterdir()} == {
        *("errors.json", "1.jpg", "1_saliency.jpg", "2.jpg", "2_saliency.jpg")
    }
    for path in (run / FOLDER).iterdir():
        content = path.read_bytes()
        assert b"image" not in content and b"/data" not in content and b"BTMRI" not in content
        if path.suffix == ".jpg":
            with Image.open(path) as opened:
                assert not opened.getexif() and "comment" not in opened.info
            assert len(content) < 16_000


def test_fewer_errors_leave_none_of_more_behind(run):
    errors.write_errors(run, StandIn(60), 5, "grad_eclip")
    errors.write_errors(run, StandIn(60), 1, "grad_eclip")
    assert len(list((run / FOLDER).iterdir())) == 3


def test_pictures_stay_where_new_ones_cannot_be_drawn(run):
    errors.write_errors(run, StandIn(60), 2, "grad_eclip")
    before = {path.name: path.read_bytes() for path in (run / FOLDER).iterdir()}
    with pytest.raises(UserError, match="among the test images"):
        errors.write_errors(run, StandIn(3), 2, "grad_eclip")
    assert {path.name: path.read_bytes() for path in (run / FOLDER).iterdir()} == before


def test_a_run_without_errors(write_run):
    labels = np.arange(20) % 4
    run = write_answers(write_run(), labels, np.eye(4)[labels])
    assert errors.write_errors(run, StandIn(20), 6, "grad_eclip") == 0
    assert read_index(run).errors == () and not SEEN


def test_an_image_that_is_not_in_the_data_set(run):
    with pytest.raises(UserError, match="among the test images"):
        errors.write_errors(run, StandIn(3), 6, "grad_eclip")
    with pytest.raises(UserError, match="Expected predictions of 3 classes"):
        errors.write_errors(run, StandIn(60, classes=3), 6, "grad_eclip")


def test_the_first_seed_at_the_most_shots_of_each_method_and_data_set(write_run, tmp_path, capsys):
    shown = [write_run("btmri", 16, "CoOp", 2), write_run("busi", 4, "CoOp", 1), write_run("btmri", 16, "KgCoOp", 3)]
    write_run("btmri", 16, "CoOp", 10)
    write_run("btmri", 4, "CoOp", 1)
    write_run("btmri", 16, "CoOp", 1, root="base2new/test_new", subsample="new")
    write_run("covid", 16, "CoOp", 1, root="prompts/10")
    write_run("covid", 16, "CoOp", 1, root="ablation/ce")
    broken = write_run("retina", 16, "CoOp", 1)
    (broken / "metrics.json").write_text("{")
    assert set(errors.find_runs(tmp_path / "output")) == set(shown)
    out = capsys.readouterr().out
    assert "3 of 9 runs, the first seed at the most shots of each" in out and "left out: " in out
    assert errors.find_runs(shown[0]) == [shown[0]]
    with pytest.raises(UserError, match="Expected finished few-shot runs"):
        errors.find_runs(tmp_path / "none")


def test_a_run_that_cannot_be_drawn_does_not_stop_the_others(write_run, tmp_path, monkeypatch, capsys):
    good = write_answers(write_run("btmri", 16, "CoOp", 1), *answers(60, 4))
    write_run("busi", 16, "CoOp", 1)  # without predictions
    monkeypatch.setattr(errors, "Predictor", SimpleNamespace(from_run=lambda run, **_: StandIn(60)))
    assert errors.main([str(tmp_path / "output"), "--count", "2"]) == 1
    out, err = capsys.readouterr()
    assert f"{good}: 2 errors (phantom)" in out and "python -m report FOLDER --pictures" in out
    assert "error: Expected predictions.csv in" in err
    assert errors.main([str(good), "--count", "0"]) == 1
    assert "Expected --count from 1 to 50, but got 0" in capsys.readouterr().err


def test_a_real_run(flags, tmp_path, monkeypatch):
    monkeypatch.undo()  # with the saliency that there is
    assert train.main(flags("CoOp")) == 0
    (run,) = (path.parent for path in tmp_path.rglob("metrics.json"))
    assert errors.main([str(tmp_path), "--count", "2"]) == 0
    wrong = int((~read_predictions(run).hits).sum())
    assert len(read_index(run).errors) == min(2, wrong) > 0
    document = json.loads((run / FOLDER / "errors.json").read_text())
    assert document["phantom"] is False and set(document) == {"kind", "phantom", "predictions", "errors"}
    assert train.main(flags("CoOp")) == 0  # finished as before


@pytest.mark.parametrize("value", [0.0, 0.5, 1.0])
def test_an_overlay_takes_as_much_of_the_picture_as_the_map_says(value):
    seen = picture(np.zeros((3, 8, 8), np.float32), (0.4, 0.4, 0.4), (0.2, 0.2, 0.2), 16)
    assert seen.size == (16, 16) and seen.getpixel((3, 3)) == (102, 102, 102)
    shown = np.asarray(overlay(seen, np.full((8, 8), value, np.float32)), float)
    assert (shown == 102).all() == (value == 0)
    if value == 1:
        assert shown[0, 0] == pytest.approx(102 * (1 - MOST) + MOST * np.array([252, 255, 164]), abs=2)
