"""The picture of the paper's Figure 3: backbones as bars, LLMs as curves, and a baseline in both."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING, NamedTuple

from report.plots import AXIS, NAME, WIDTH, canvas, save, shortened, style, wrapped

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Curves = Mapping[str, Mapping[int, Sequence[float]]]  # name -> number of shots -> a value of each seed
TRIANGLE = "^"  # of the baseline alone
FILLED, WIDEST = 0.8, 0.3  # of the room of a number of shots that its bars take together, and one at most


class View(NamedTuple):
    """A panel.

    Attributes:
        heading: above it.
        method: values of each bar's or curve's seeds in percent; none leave a gap.
        baseline: the same of the baseline, which may lack some.
        label: of the baseline's mark in the legend.
    """

    heading: str
    method: Curves
    baseline: Curves
    label: str


def plot_views(
    bars: View,
    curves: View,
    path: str | Path,
    title: str,
    metric: str,
    svg: bool = False,
    within: str | Path | None = None,
) -> None:
    """Draw two panels below each other: means as bars, and means as curves; seeds are dots in both.

    The baseline is a dashed line across each bar, and a triangle at its average over all curves. A name without values
    has its place, and nothing in it. Other arguments are those of `report.plots.plot_methods`.
    """
    figure, panels = canvas(height=8.0, rows=2)
    for axes, view, draw in zip(panels, (bars, curves), (_draw_bars, _draw_curves), strict=True):
        shots = sorted({k for curve in view.method.values() for k in curve})
        draw(figure, axes, view, shots)
        axes.set_title(wrapped(figure, view.heading, WIDTH - NAME), loc="left", size="medium")
        axes.set_xticks(range(len(shots)), [str(k) for k in shots])
        axes.set_xlim(-0.5, len(shots) - 0.5)
        axes.set_xlabel("labelled images per class")
        axes.set_ylabel(wrapped(figure, f"{shortened(figure, metric, AXIS)} (%): means, and seeds as dots", AXIS))
        axes.grid(axis="y", alpha=0.3)
        axes.set_axisbelow(True)
        axes.legend(loc="center left", bbox_to_anchor=(1.01, 0.5), frameon=False)
    save(figure, path, title, svg, within)


def _draw_bars(figure: "Figure", axes: "Axes", view: View, shots: Sequence[int]) -> None:
    width = min(FILLED / len(view.method), WIDEST)
    label = view.label
    for row, (name, curve) in enumerate(view.method.items()):
        places = [i + width * (row - (len(view.method) - 1) / 2) for i in range(len(shots))]
        values = [curve.get(k, ()) for k in shots]
        colour, _ = style(row)
        axes.bar(places, _means(values), 0.9 * width, color=colour, alpha=0.75, label=shortened(figure, name, NAME))
        _draw_seeds(axes, places, values)
        baseline = [view.baseline.get(name, {}).get(k, ()) for k in shots]
        for place, mean in zip(places, _means(baseline), strict=True):
            if not math.isnan(mean):
                ends = [place - width / 2, place + width / 2]
                axes.plot(ends, [mean, mean], color="black", linestyle=(0, (3, 1.5)), linewidth=1.8, label=label)
                label = ""  # of the first one: a legend has each mark once


def _draw_curves(figure: "Figure", axes: "Axes", view: View, shots: Sequence[int]) -> None:
    step = min(0.06, FILLED / len(view.method))
    for row, (name, curve) in enumerate(view.method.items()):
        places = [i + step * (row - (len(view.method) - 1) / 2) for i in range(len(shots))]
        values = [curve.get(k, ()) for k in shots]
        colour, marker = style(row)
        marker = "h" if marker == TRIANGLE else marker
        label = shortened(figure, name, NAME)
        axes.plot(places, _means(values), color=colour, marker=marker, markersize=7, label=label)
        _draw_seeds(axes, places, values, colour)
    every = [[view.baseline.get(name, {}).get(k, ()) for name in view.method] for k in shots]
    means = [fmean(map(fmean, each)) if each and all(each) else math.nan for each in every]
    if not all(map(math.isnan, means)):
        axes.plot(
            range(len(shots)), means, color="black", marker=TRIANGLE, markersize=9, linestyle="", label=view.label
        )


def _means(values: Sequence[Sequence[float]]) -> list[float]:
    """Return the mean of each, NaN for none, which is drawn as a gap."""
    return [fmean(each) if each else math.nan for each in values]


def _draw_seeds(
    axes: "Axes", places: Sequence[float], values: Sequence[Sequence[float]], colour: str = "white"
) -> None:
    dots = [(place, value) for place, each in zip(places, values, strict=True) for value in each]
    edge = "black" if colour == "white" else "none"
    axes.scatter(
        [x for x, _ in dots], [y for _, y in dots], color=colour, edgecolor=edge, s=14, linewidths=0.6, zorder=3
    )
