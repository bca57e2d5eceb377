"""Pictures of a comparison: every seed is a dot, every method is drawn with the same weight.

Each is written as a PNG, and with `svg` as an SVG beside it.
"""

import math
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING

from dassl.console import printable
from dassl.writing import atomic_write
from report.tables import mean_std

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Okabe and Ito's palette tells apart under all common colour-vision deficiencies; markers differ as well
COLOURS = ["#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#000000"]
MARKERS = ["o", "s", "^", "v", "P", "X", "D"]
GREY = "#555555"
LONGEST_LABEL = 40


def plot_methods(
    methods: Mapping[str, Sequence[float]],
    path: str | Path,
    title: str,
    metric: str,
    reference: str | None = None,
    svg: bool = False,
    within: str | Path | None = None,
) -> None:
    """Writes a PNG with one row per method: seeds as dots, the mean as a bar; `reference` also as a vertical line."""
    drawn = {name: values for name, values in methods.items() if values}
    figure, axes = canvas(height=1.9 + 0.5 * len(drawn))
    if reference in drawn:
        axes.axvline(fmean(drawn[reference]), color=GREY, linestyle="--", linewidth=1, zorder=0)
    for row, values in enumerate(drawn.values()):
        colour, _ = _style(row)  # one marker for all: rows have names, and shapes differ in weight
        axes.vlines(fmean(values), row - 0.3, row + 0.3, color=colour, linewidth=2.5)
        axes.scatter(values, _spread(row, len(values)), color=colour, edgecolor="white", s=55, zorder=3)
        label = axes.annotate(mean_std(values), (1.02, row), xycoords=("axes fraction", "data"), va="center")
        label.set_fontfamily("monospace")
    axes.set_yticks(range(len(drawn)), list(map(short, drawn)))
    axes.set_ylim(len(drawn) - 0.5, -0.5)
    axes.margins(x=0.08)
    axes.set_xlabel(f"{metric} (%): each dot is a seed, each bar their mean")
    axes.grid(axis="x", alpha=0.3)
    save(figure, axes, path, title, svg, within)


def plot_curves(
    methods: Mapping[str, Mapping[int, Sequence[float]]],
    path: str | Path,
    title: str,
    metric: str,
    reference: str | None = None,
    svg: bool = False,
    within: str | Path | None = None,
) -> None:
    """Writes a PNG of few-shot curves: a line through each method's means, its seeds as faint dots.

    A line is interrupted where a method lacks a number of shots that others have.
    `reference` is drawn as one horizontal line at its mean over all shots, since zero-shot needs none.
    """
    figure, axes = canvas(height=4.5)
    shots = sorted({k for curve in methods.values() for k, values in curve.items() if values})
    trained = [name for name in methods if name != reference]
    step = min(0.05, 0.3 / max(len(trained), 1))
    for row, name in enumerate(trained):
        curve = {k: methods[name].get(k, []) for k in shots}
        colour, marker = _style(row)
        nudge = 2 ** (step * (row - (len(trained) - 1) / 2))  # methods side by side at each number of shots
        means = [fmean(values) if values else math.nan for values in curve.values()]
        axes.plot([k * nudge for k in shots], means, color=colour, marker=marker, markersize=7, label=short(name))
        dots = [(k * nudge, value) for k, values in curve.items() for value in values]
        if dots:
            axes.scatter(*zip(*dots, strict=True), color=colour, s=14, alpha=0.45, linewidths=0)
    if values := [value for each in methods.get(reference, {}).values() for value in each]:
        axes.axhline(fmean(values), color=GREY, linestyle="--", linewidth=1.2, label=short(reference), zorder=0)
    axes.set_xscale("log", base=2)
    axes.set_xticks(shots, [str(k) for k in shots])
    axes.minorticks_off()
    axes.set_xlabel("labelled images per class")
    axes.set_ylabel(f"{metric} (%): lines are means, dots seeds")
    axes.grid(alpha=0.3)
    axes.legend(loc="center left", bbox_to_anchor=(1.01, 0.5), frameon=False)
    save(figure, axes, path, title, svg, within)


def canvas(height: float) -> tuple["Figure", "Axes"]:
    """An empty picture, eight inches wide."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, height), layout="constrained")
    figure.get_layout_engine().set(w_pad=0.12, h_pad=0.12)
    FigureCanvasAgg(figure)  # no pyplot: no display, no global state
    return figure, figure.subplots()


def _style(row: int) -> tuple[str, str]:
    """Colour and marker, the pair being another one for each of the first 49 rows."""
    return COLOURS[row % len(COLOURS)], MARKERS[(row + row // len(COLOURS)) % len(MARKERS)]


def _spread(row: int, n: int) -> list[float]:
    """Heights that keep equal values of one row apart."""
    return [row + 0.3 * (i / (n - 1) - 0.5) for i in range(n)] if n > 1 else [float(row)]


def short(name: str) -> str:
    """Return a name as it stands in a picture: on one line, and cut where it would leave no room for the figures."""
    name = printable(name)
    name = f" {name}" if name.startswith("_") else name  # Matplotlib leaves such names out of a legend
    return name if len(name) <= LONGEST_LABEL else f"{name[: LONGEST_LABEL - 1]}…"


def save(
    figure: "Figure",
    axes: "Axes",
    path: str | Path,
    title: str,
    svg: bool = False,
    within: str | Path | None = None,
) -> None:
    """Write a picture as the PNG `path`, and with `svg` as an SVG beside it.

    Args:
        figure, axes: what is drawn.
        path: the PNG.
        title: above the picture; like every text in it, it is drawn as it is written, with no mathematics in it.
        svg: write an SVG as well.
        within: folder that both must lie in, as for `atomic_write`.
    """
    from matplotlib import rc_context
    from matplotlib.text import Text

    axes.set_title(printable(title), loc="left")
    axes.spines[["top", "right"]].set_visible(False)
    for text in figure.findobj(Text):
        text.set_parse_math(False)
    path = Path(path)
    files = {path: {"format": "png", "dpi": 150}}
    if svg:
        files[path.with_suffix(".svg")] = {"format": "svg", "metadata": {"Date": None}}
    # The salt: the same figure gives the same file. The rest is of texts that are made while it is drawn.
    with rc_context({"svg.hashsalt": path.name, "text.parse_math": False}), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing from")  # the tables have the name
        for file_path, options in files.items():
            with atomic_write(file_path, "wb", within=within) as file:
                figure.savefig(file, **options)
