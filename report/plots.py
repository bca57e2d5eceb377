"""Pictures of a comparison: few-shot curves, seeds of each method, average ranks.

Every seed is a dot, every method is drawn with the same weight. Each picture is a PNG, and with `svg` an SVG beside it.
"""

import math
import warnings
from bisect import bisect_right
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING, Any

from dassl.console import printable
from dassl.writing import atomic_write
from report.render import mean_std
from report.stats import Ranking

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# Okabe and Ito's palette tells apart under all common colour-vision deficiencies; markers differ as well
COLOURS = ["#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#000000"]
MARKERS = ["o", "s", "^", "v", "P", "X", "D"]
GREY = "#555555"
DPI = 150
WIDTH = 8.0  # inches, of a picture
MARGIN = 0.12  # inches, on all sides
AXIS, NAME, RANKED = 3.2, 2.8, 2.3  # inches that an axis label, a name, and a name in the picture of ranks may take
ROW, BAR = 0.55, 0.3  # heights of a name and of a bar in the picture of ranks, where a rank is 1 wide


def plot_methods(
    methods: Mapping[str, Sequence[float]],
    path: str | Path,
    title: str,
    metric: str,
    reference: str | None = None,
    svg: bool = False,
    within: str | Path | None = None,
) -> None:
    """Draw a row per method: seeds as dots, the mean as a bar; `reference` also as a vertical line.

    Args:
        methods: values of each method's seeds in percent; one without any is left out.
        path: the PNG.
        title: above the picture.
        metric: the values' name.
        reference: a method.
        svg: write an SVG as well.
        within: folder that both must lie in, as for `atomic_write`.
    """
    drawn = {name: values for name, values in methods.items() if values}
    figure, axes = canvas(height=1.9 + 0.5 * len(drawn))
    if reference in drawn:
        axes.axvline(fmean(drawn[reference]), color=GREY, linestyle="--", linewidth=1, zorder=0)
    for row, values in enumerate(drawn.values()):
        colour, _ = style(row)  # one marker for all: rows have names, and shapes differ in weight
        axes.vlines(fmean(values), row - 0.3, row + 0.3, color=colour, linewidth=2.5)
        axes.scatter(values, _spread(row, len(values)), color=colour, edgecolor="white", s=55, zorder=3)
        label = axes.annotate(mean_std(values), (1.02, row), xycoords=("axes fraction", "data"), va="center")
        label.set_fontfamily("monospace")
    axes.set_yticks(range(len(drawn)), [shortened(figure, name, NAME) for name in drawn])
    axes.set_ylim(len(drawn) - 0.5, -0.5)
    axes.margins(x=0.08)
    words = f"{shortened(figure, metric, AXIS)} (%): each dot is a seed, each bar their mean"
    axes.set_xlabel(wrapped(figure, words, AXIS))
    axes.grid(axis="x", alpha=0.3)
    save(figure, path, title, svg, within)


def plot_curves(
    methods: Mapping[str, Mapping[int, Sequence[float]]],
    path: str | Path,
    title: str,
    metric: str,
    reference: str | None = None,
    svg: bool = False,
    within: str | Path | None = None,
    along: str = "labelled images per class",
) -> None:
    """Draw few-shot curves: a line through each method's means, its seeds as faint dots.

    A line is interrupted where a method lacks a number of shots that others have. `reference` is drawn as one
    horizontal line at its mean over all shots, since zero-shot needs none. Arguments are those of `plot_methods`, but
    `methods` holds values for each number of shots, or of what `along` says.
    """
    shots = sorted({k for curve in methods.values() for k, values in curve.items() if values})
    trained = [name for name in methods if name != reference]
    figure, axes = canvas(height=max(4.5, 1.5 + 0.22 * len(methods)))
    step = min(0.05, 0.3 / max(len(trained), 1))
    for row, name in enumerate(trained):
        curve = {k: methods[name].get(k, []) for k in shots}
        colour, marker = style(row)
        nudge = 2 ** (step * (row - (len(trained) - 1) / 2))  # methods side by side at each number of shots
        means = [fmean(values) if values else math.nan for values in curve.values()]
        label = shortened(figure, name, NAME)
        axes.plot([k * nudge for k in shots], means, color=colour, marker=marker, markersize=7, label=label)
        dots = [(k * nudge, value) for k, values in curve.items() for value in values]
        axes.scatter([x for x, _ in dots], [y for _, y in dots], color=colour, s=14, alpha=0.45, linewidths=0)
    if reference is not None and (values := [value for each in methods.get(reference, {}).values() for value in each]):
        label = shortened(figure, reference, NAME)
        axes.axhline(fmean(values), color=GREY, linestyle="--", linewidth=1.2, label=label, zorder=0)
    axes.set_xscale("log", base=2)
    axes.set_xticks(shots, [str(k) for k in shots])
    axes.minorticks_off()
    axes.set_xlabel(along)
    words = f"{shortened(figure, metric, AXIS)} (%): lines are means, dots seeds"
    axes.set_ylabel(wrapped(figure, words, AXIS))
    axes.grid(alpha=0.3)
    axes.legend(loc="center left", bbox_to_anchor=(1.01, 0.5), frameon=False)
    save(figure, path, title, svg, within)


def plot_ranks(
    ranking: Ranking, path: str | Path, title: str, svg: bool = False, within: str | Path | None = None
) -> None:
    """Draw the critical-difference diagram of Demšar (2006): average ranks on a line, names on both sides.

    Bars below the line join methods that are not told apart. Arguments are those of `plot_methods`.
    """
    k, levels = len(ranking.ranks), _levels(ranking)
    names_top = -ROW - BAR * max(levels, default=0)
    bottom = names_top - ROW * ((k + 1) // 2)
    figure, axes = canvas(height=1.5 - 0.45 * bottom)
    axes.hlines(0, 1, k, color="black", linewidth=1.2)
    for tick in range(1, k + 1):
        axes.vlines(tick, 0, 0.12, color="black", linewidth=1.2)
        axes.text(tick, 0.2, str(tick), ha="center", va="bottom")

    margin = 0.06 * (k - 1)
    for i, (name, rank) in enumerate(ranking.ranks.items()):
        name = shortened(figure, name, RANKED)
        left = i < (k + 1) // 2  # the better half on the left, the best and the worst on top
        y = names_top - ROW * (i if left else k - 1 - i)
        end = 1 - margin if left else k + margin
        axes.plot([rank, rank, end], [0, y, y], color=GREY, linewidth=1)
        axes.plot(rank, 0, "o", color="black", markersize=5, zorder=3)
        if left:
            axes.text(end - 0.1 * margin, y, f"{name}  {rank:.2f}", ha="right", va="center")
        else:
            axes.text(end + 0.1 * margin, y, f"{rank:.2f}  {name}", ha="left", va="center")

    for level, clique in zip(levels, ranking.cliques, strict=True):
        ends = [ranking.ranks[clique[0]] - 0.03, ranking.ranks[clique[-1]] + 0.03]
        axes.plot(ends, [-BAR * level] * 2, color="black", linewidth=4, solid_capstyle="round")

    ruler = [1, 1 + ranking.critical_difference]
    axes.plot(ruler, [1, 1], color="black", linewidth=1.2)
    axes.vlines(ruler, 0.88, 1.12, color="black", linewidth=1.2)
    axes.text(sum(ruler) / 2, 1.2, f"CD = {ranking.critical_difference:.2f}", ha="center", va="bottom")
    axes.set_xlim(1 - 8 * margin, k + 8 * margin)
    axes.set_ylim(bottom, 1.8)
    axes.axis("off")
    save(figure, path, title, svg, within)


def _levels(ranking: Ranking) -> list[int]:
    """Return how far below the line each bar is drawn, 1 being next to it: as near as no other bar is touched."""
    ends: list[float] = []  # of the last bar on each level
    levels = []
    for clique in ranking.cliques:
        first, last = ranking.ranks[clique[0]], ranking.ranks[clique[-1]]
        level = next((i for i, end in enumerate(ends) if end + 0.2 < first), len(ends))
        ends[level : level + 1] = [last]
        levels.append(level + 1)
    return levels


def canvas(height: float, rows: int = 1, columns: int = 1) -> tuple["Figure", Any]:
    """Return an empty picture of a height in inches, and its axes, an array of them for several rows or columns.

    `save` adds room for the title.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    layout = ConstrainedLayoutEngine(w_pad=MARGIN, h_pad=MARGIN)
    figure = Figure(figsize=(WIDTH, height), dpi=DPI, layout=layout)
    FigureCanvasAgg(figure)  # no pyplot: no display, no global state
    return figure, figure.subplots(rows, columns)


def style(row: int) -> tuple[str, str]:
    """Return colour and marker, the pair being another one for each of the first 49 rows."""
    return COLOURS[row % len(COLOURS)], MARKERS[(row + row // len(COLOURS)) % len(MARKERS)]


def _spread(row: int, n: int) -> list[float]:
    """Return heights that keep equal values of one row apart."""
    return [row + 0.3 * (i / (n - 1) - 0.5) for i in range(n)] if n > 1 else [float(row)]


def shortened(figure: "Figure", name: str, width: float) -> str:
    """Return a name on one line of at most `width` inches; a longer one is cut, and the tables have it in full."""
    name = printable(name)
    name = f" {name}" if name.startswith("_") else name  # Matplotlib leaves such names out of a legend
    inches = _measure(figure)
    if inches(name) <= width:
        return name
    return _beginning(name, width, lambda cut: inches(f"{cut}…")) + "…"


def wrapped(figure: "Figure", text: str, width: float, size: str = "medium") -> str:
    """Return `text` with line breaks, so that no line is wider than `width` inches; long words are broken too."""
    inches = _measure(figure, size)
    lines = [""]
    for word in printable(text).split(" "):
        longer = f"{lines[-1]} {word}".strip()
        if inches(longer) <= width:
            lines[-1] = longer
            continue
        while word:
            lines.append(_beginning(word, width, inches))
            word = word.removeprefix(lines[-1])
    return "\n".join(filter(None, lines))


def _beginning(text: str, width: float, inches: Callable[[str], float]) -> str:
    """Return the longest beginning of `text` that takes at most `width`, one character at least.

    >>> _beginning("aaaa", 2.5, inches=len)
    'aa'
    """
    n = bisect_right(range(1, len(text) + 1), width, key=lambda n: inches(text[:n]))
    return text[: max(n, 1)]


def _measure(figure: "Figure", size: str = "medium") -> Callable[[str], float]:
    """Return a function from a line of text to its width in inches, at a font size of Matplotlib."""

    def inches(line: str) -> float:
        with _unknown_letters():
            probe = figure.text(0, 0, line, size=size, parse_math=False)
            width = probe.get_window_extent().width / figure.dpi
            probe.remove()
        return width

    return inches


@contextmanager
def _unknown_letters() -> Iterator[None]:
    """Let letters that the font lacks be drawn as boxes, without a warning: the tables have the name."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing from")
        yield


def save(figure: "Figure", path: str | Path, title: str, svg: bool = False, within: str | Path | None = None) -> None:
    """Write a picture as the PNG `path`, and with `svg` as an SVG beside it.

    The title stands above it on as many lines as it needs. It and every other text is drawn as it is written, with no
    mathematics in it. The arguments are those of `plot_methods`.
    """
    from matplotlib import rc_context
    from matplotlib.text import Text

    words = wrapped(figure, title, WIDTH - 2 * MARGIN, "large")
    figure.suptitle(words, x=MARGIN / WIDTH, ha="left", size="large")
    figure.set_figheight(figure.get_figheight() + 0.22 * words.count("\n"))
    for axes in figure.axes:
        axes.spines[["top", "right"]].set_visible(False)
    for text in figure.findobj(Text):
        text.set_parse_math(False)
    path = Path(path)
    files: dict[Path, dict[str, Any]] = {path: {"format": "png", "dpi": DPI}}
    if svg:
        files[path.with_suffix(".svg")] = {"format": "svg", "metadata": {"Date": None}}
    # The salt: the same figure gives the same file. The rest is of texts that are made while it is drawn.
    with rc_context({"svg.hashsalt": path.name, "text.parse_math": False}), _unknown_letters():
        for file_path, options in files.items():
            with atomic_write(file_path, "wb", within=within) as file:
                figure.savefig(file, **options)
