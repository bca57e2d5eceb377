"""The picture of bars and curves: what is drawn, where, and what is left as a gap."""

from statistics import fmean

import numpy as np
import pytest
from matplotlib.figure import Figure

from report.plots import style
from reproduce.bars import TRIANGLE, View, plot_views

BARS = {"A": {1: [40.0, 44.0], 16: [60.0]}, "B": {1: [30.0], 16: []}, "absent": {1: [], 16: []}}
BASE = {"A": {1: [38.0], 16: [61.0, 63.0]}, "B": {1: [], 16: [50.0]}}
CURVES = {"x": {1: [40.0, 44.0], 16: [60.0]}, "y": {1: [50.0], 16: [70.0]}}
MEANS = {"x": {1: [38.0], 16: [60.0, 62.0]}, "y": {1: [40.0], 16: []}}


@pytest.fixture
def drawn(monkeypatch, tmp_path):
    """drawn(bars, baseline, curves, baseline) -> both axes, as they are drawn."""
    found, real = [], Figure.savefig

    def savefig(self, *args, **kwargs):
        real(self, *args, **kwargs)
        found.append(self)

    monkeypatch.setattr(Figure, "savefig", savefig)

    def draw(bars=BARS, base=BASE, curves=CURVES, means=MEANS, title="Figure 3 (phantom)"):
        views = View("backbones", bars, base, "base"), View("LLMs", curves, means, "mean of base")
        plot_views(*views, tmp_path / "new" / "f.png", title, "accuracy", svg=True)
        assert sorted(path.name for path in (tmp_path / "new").iterdir()) == ["f.png", "f.svg"]
        assert found[-1].texts[0].get_text() == title
        return found[-1].axes

    return draw


def lines(axes, style):
    """The points of the lines of one style."""
    return [
        np.array(line.get_xydata()) for line in axes.lines if line.get_linestyle() == style and len(line.get_xydata())
    ]


def test_bars_stand_at_their_shots_with_the_baseline_across_each(drawn):
    axes, _ = drawn()
    bars = [bar for bar in axes.patches if not np.isnan(bar.get_height())]
    tops = {(round(bar.get_x() + bar.get_width() / 2), bar.get_height()) for bar in bars}
    assert tops == {(0, 42.0), (1, 60.0), (0, 30.0)}  # one of A and of B at K = 1, and one of A at K = 16
    assert all(bar.get_y() == 0 for bar in bars)
    by_height = {bar.get_height(): bar for bar in bars}
    dashes = {(fmean(x), y[0]) for x, y in (points.T for points in lines(axes, "--"))}
    middle = {height: bar.get_x() + bar.get_width() / 2 for height, bar in by_height.items()}
    assert {(round(x, 6), y) for x, y in dashes} >= {(round(middle[42.0], 6), 38.0), (round(middle[60.0], 6), 62.0)}
    assert len(dashes) == 3  # that of B at 16 stands over no bar
    assert all(np.ptp(points[:, 0]) >= bars[0].get_width() for points in lines(axes, "--"))
    assert [label.get_text() for label in axes.get_xticklabels()] == ["1", "16"]
    words = [text.get_text() for text in axes.get_legend().get_texts()]
    assert sorted(words) == ["A", "B", "absent", "base"]  # each once


def test_seeds_are_dots_in_both(drawn):
    for axes, values in zip(drawn(), (BARS, CURVES), strict=True):
        dots = [value for points in axes.collections for value in points.get_offsets()[:, 1]]
        assert sorted(dots) == sorted(value for curve in values.values() for each in curve.values() for value in each)


def test_curves_and_the_average_of_the_baseline_where_all_have_one(drawn):
    _, axes = drawn()
    x, y = (points[:, 1].tolist() for points in lines(axes, "-"))
    assert (x, y) == ([42.0, 60.0], [50.0, 70.0])
    (triangles,) = [line for line in axes.lines if line.get_marker() == TRIANGLE]
    values = triangles.get_ydata()
    assert values[0] == 39.0 and np.isnan(values[1])  # no average of one of two
    assert triangles.get_color() == "black"


def test_a_curve_never_has_the_marker_of_the_baseline(drawn):
    many = {f"llm{i}": {1: [50.0 + i]} for i in range(7)}
    _, axes = drawn(curves=many, means={})
    assert TRIANGLE in {style(i)[1] for i in range(7)}
    assert TRIANGLE not in {line.get_marker() for line in axes.lines}


def test_a_picture_of_gaps_is_drawn_too(drawn):
    nothing = {"A": {1: []}}
    bars, curves = drawn(nothing, {}, nothing, {})
    assert not lines(bars, "--") and all(np.isnan(bar.get_height()) for bar in bars.patches)
    assert TRIANGLE not in {line.get_marker() for line in curves.lines}


def test_long_names_stay_in_the_picture(drawn):
    names = {f"local-dir:{'W' * 80}{i}": {1: [50.0]} for i in range(8)}
    for axes in drawn(names, names, names, names):
        figure = axes.figure
        found = figure.get_tightbbox()
        assert found.x0 >= 0 and found.x1 <= figure.get_figwidth()
        assert axes.get_window_extent().width > 1.5 * figure.dpi
