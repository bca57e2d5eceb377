import numpy as np
import pytest
from PIL import Image

from report.plots import COLOURS, _style, plot_curves, plot_methods

METHODS = {"ZeroshotCLIP": [45.0], "CoOp": [70.0, 71.0, 70.0], "BiomedCoOp": [], "vMFCoOp": [75.0, 74.0, 79.0]}
CURVES = {
    "ZeroshotCLIP": {1: [45.0], 16: [45.0]},
    "CoOp": {1: [50.0, 53.0], 4: [60.0, 64.0], 16: [70.0, 71.0]},
    "vMFCoOp": {1: [55.0, 52.0], 16: [75.0, 74.0]},
}


def count(image, colour):
    """Pixels of exactly this hexadecimal colour."""
    return int((image == [int(colour[i : i + 2], 16) for i in (1, 3, 5)]).all(-1).sum())


@pytest.mark.parametrize(("plot", "values"), [(plot_methods, METHODS), (plot_curves, CURVES)])
@pytest.mark.parametrize("reference", ["ZeroshotCLIP", "absent", None])
def test_picture_shows_every_method(tmp_path, plot, values, reference):
    path = tmp_path / "new" / "figure.png"
    plot(values, path, "btmri, 16 shots (phantom)", "accuracy", reference)
    with Image.open(path) as picture:
        picture.verify()
    image = np.asarray(Image.open(path).convert("RGB"))
    assert image.shape[0] > 400
    assert image.shape[1] == 1200
    assert image.std() > 5
    drawn = 3 if plot is plot_methods or reference != "ZeroshotCLIP" else 2
    assert [count(image, colour) > 50 for colour in COLOURS[:4]] == [True] * drawn + [False] * (4 - drawn)


def test_reference_is_one_vertical_line(tmp_path):
    images = []
    for reference in (None, "ZeroshotCLIP"):
        plot_methods(METHODS, tmp_path / "figure.png", "", "accuracy", reference)
        images.append(np.asarray(Image.open(tmp_path / "figure.png").convert("L")).astype(int))
    rows, columns = np.nonzero(images[0] != images[1])
    assert np.ptp(columns) <= 3
    assert np.ptp(rows) > images[0].shape[0] // 2


def test_the_title_changes_the_picture(tmp_path):
    images = []
    for title in ("btmri", "btmri (phantom)"):
        plot_methods(METHODS, tmp_path / "figure.png", title, "accuracy")
        images.append(np.asarray(Image.open(tmp_path / "figure.png").convert("L"))[:60] < 128)
    assert images[1].sum() > images[0].sum() + 50


def test_fifteen_methods_look_different():
    assert len({_style(row) for row in range(15)}) == 15


def test_a_line_does_not_bridge_a_missing_number_of_shots(tmp_path):
    drawn = []
    for curve in ({1: [50.0], 4: [51.0], 16: [52.0]}, {1: [50.0], 16: [52.0]}):
        plot_curves({"a": curve, "b": {1: [40.0], 4: [40.0], 16: [60.0]}}, tmp_path / "f.png", "", "accuracy")
        drawn.append(count(np.asarray(Image.open(tmp_path / "f.png").convert("RGB")), COLOURS[0]))
    assert drawn[1] < drawn[0] / 2  # markers and legend are left


def test_an_svg_lies_beside_the_png_if_asked_for(tmp_path):
    plot_methods(METHODS, tmp_path / "a.png", "btmri", "accuracy")
    plot_methods(METHODS, tmp_path / "b.v1.png", "btmri", "accuracy", svg=True)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.png", "b.v1.png", "b.v1.svg"]
