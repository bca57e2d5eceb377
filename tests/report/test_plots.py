import random

import numpy as np
import pytest
from matplotlib.figure import Figure
from matplotlib.legend import Legend
from matplotlib.text import Text
from PIL import Image

from report.plots import COLOURS, _levels, plot_curves, plot_methods, plot_ranks, style
from report.stats import Ranking, rank
from runs import methods

CASES = {"good": [90.0, 80.0, 70.0, 60.0], "fair": [80.0, 80.0, 60.0, 61.0], "bad": [10.0, 20.0, 30.0, 40.0]}
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
    assert len({style(row) for row in range(15)}) == 15


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


def test_bars_that_do_not_touch_share_a_level():
    ranks = dict(zip("abcdef", (1.0, 1.5, 2.0, 3.0, 4.0, 4.2), strict=True))
    ranking = Ranking(ranks, 9, 0.01, 0.6, [["a", "b"], ["b", "c"], ["e", "f"]])
    assert _levels(ranking) == [1, 2, 1]


def test_picture_of_ranks(tmp_path):
    path = tmp_path / "new" / "ranks.png"
    plot_ranks(rank(CASES), path, "ranks (phantom)", svg=True)
    image = np.asarray(Image.open(path).convert("L"))
    assert image.shape[1] == 1200
    darkest = (image < 40).sum(axis=1)
    assert (darkest > 0.3 * image.shape[1]).sum() >= 6  # the bar, several pixels high, spans 1.6 of the 2 ranks
    first = path.with_suffix(".svg").read_bytes()
    assert first.startswith(b"<?xml")
    plot_ranks(rank(CASES), path, "ranks (phantom)", svg=True)
    assert path.with_suffix(".svg").read_bytes() == first


@pytest.fixture
def figures(monkeypatch):
    """The figures that are saved, as they are drawn into the PNG."""
    found, real = [], Figure.savefig

    def savefig(self, *args, **kwargs):
        real(self, *args, **kwargs)
        found.append(self)

    monkeypatch.setattr(Figure, "savefig", savefig)
    return found


def draw(folder, names, title, metric):
    """Draw each kind of picture."""
    rng = random.Random(0)
    values = {name: [50 * rng.random() for _ in range(3)] for name in names}
    plot_methods(values, folder / "a.png", title, metric)
    plot_curves({name: {1: each, 16: each} for name, each in values.items()}, folder / "b.png", title, metric, names[0])
    plot_ranks(rank(values), folder / "c.png", title)


LONG = "local-dir:a_model_with_quite_a_long_name on phantom images (phantom), average over 14 data sets"


@pytest.mark.parametrize(
    ("names", "title", "metric"),
    [
        (["CoOp", "BiomedCoOp", "vMFCoOp"], f"balanced accuracy, {LONG}, {LONG}", "balanced accuracy"),
        ([f"A{i}MethodWithANameThatIsTooLongForAnyPicture" for i in range(4)], LONG, "per_class/glioma tumor " * 5),
        ([f"{i}" + "W" * 100 for i in range(3)], "W" * 300, "W" * 200),
        ([f"Method{i}" for i in range(30)], "accuracy", "accuracy"),
    ],
)
def test_title_legend_and_labels_lie_inside_the_picture(tmp_path, figures, names, title, metric):
    draw(tmp_path, names, title, metric)
    assert len(figures) == 3
    for figure in figures:
        width, height = figure.get_size_inches()
        found = figure.get_tightbbox()  # of all that is drawn, in inches
        assert found.x0 >= 0 and found.y0 >= 0 and found.x1 <= width and found.y1 <= height
        (heading,) = [text for text in figure.texts if text.get_text()]
        assert "".join(heading.get_text().split()) == "".join(title.split())  # nothing of it is cut
        for box in (part.get_window_extent() for part in [heading, *figure.findobj(Legend)]):
            assert box.x0 >= 0 and box.x1 <= width * figure.dpi and box.y0 >= 0 and box.y1 <= height * figure.dpi
        axes = figure.axes[0].get_window_extent()
        assert heading.get_window_extent().y0 >= axes.y1  # above the picture, and not on it
        assert axes.width > 1.5 * figure.dpi


def test_the_names_of_our_methods_are_not_cut(tmp_path, figures):
    draw(tmp_path, list(methods.METHODS.values()), "accuracy", "accuracy")
    for figure in figures:
        words = " ".join(text.get_text() for text in figure.findobj(Text))
        assert [name for name in methods.METHODS.values() if name not in words] == []
