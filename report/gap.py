"""The picture of the gap of a data set: images and class directions of one run in two dimensions.

On the left they are as the backbone gives them, on the right each relative to the centre of its own source. A test
leaves the points in its run's folder (`runs.record.POINTS`); the file may come from anyone.
"""

import csv
import io
import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from dassl.errors import UserError
from dassl.names import check_name
from dassl.reading import MB, read_text
from report.collect import FoundRun
from report.groups import Group
from report.render import Figure, file_names
from runs.record import GAP_NAMES, GAP_PARTS, GAP_SHARES, POINTS, POINTS_HEAD, number

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure as MplFigure

LIMIT = MB  # of a file of points; ours take some 12 kB
MOST_ROWS = 5000
TRIED = 3  # runs of a data set whose file cannot be read
FIRST = ("vMFCoOp", "vMFPosterior")  # methods that are shown if they are there, in this order
WORDS = {"all": "few-shot", "new": "novel classes"}  # a picture of each; base classes look as the first
LEGEND, COLUMNS = 15, 3  # class names below the panels, and columns of them; more classes stay without names
NAME = 1.9  # inches that a class name may take
LARGEST_SHOWN = 1000  # times what images make
Place = tuple[float, float]


class Star(NamedTuple):
    """A class: its name, and its direction on the left and on the right."""

    name: str
    places: tuple[Place, Place]


class Points(NamedTuple):
    """Images, each with its class and its places on the left and on the right, and the classes by number."""

    images: list[tuple[int, tuple[Place, Place]]]
    classes: dict[int, Star]


def gap_pictures(group: Group, folder: Path, within: Path) -> tuple[list[Figure], list[str]]:
    """Draw pictures of each data set into `folder`; return them, and sentences on files that cannot be read.

    There is one of a few-shot run and one of a test on novel classes. Shown is the run of vMFCoOp, or else of
    vMFPosterior, or of the first other method that has directions; with the most shots; the first seed.
    """
    runs = [run for part in (group.few_shot(), group.base2new("new")) for run in part]
    found: dict[tuple[str, str], list[FoundRun]] = {}
    for run in sorted({run.path: run for run in runs}.values(), key=_preference):
        if run.finished and all(part in run.record.gap for part in GAP_PARTS):
            found.setdefault((run.dataset, run.subsample), []).append(run)
    figures, problems = [], []
    for place, name in zip(found, file_names("-".join(place) for place in found), strict=True):
        for run in found[place][:TRIED]:
            try:
                points = read_points(run.path / POINTS)
            except UserError as error:
                problems.append(str(error))
                continue
            path = folder / f"gap_{name}.png"
            title = title_of(run)
            plot_gap(points, run.record.gap, path, title, within)
            caption = f"{title}. {_shares(run.record.gap)}{CAPTION}"
            figures.append(Figure(path.with_suffix(".svg"), caption, run.dataset))
            break
    return figures, problems


CAPTION = (
    "Dots are test images, stars the directions of the classes. Left: as the backbone gives them, on the first two "
    "principal axes of images and texts, each source with half the weight. Right: images less the mean support image, "
    "directions less their mean, each in units of its own spread, in the plane in which the directions lie furthest "
    "apart. Above each panel: what all images have in common favours some classes by a constant; here it is how large "
    "that is, over the classes, against what images make."
)


def title_of(run: FoundRun) -> str:
    """Return what a picture shows: data set, method, classes, shots, seed, and whether it is of phantoms."""
    seed = f", seed {run.seed}" if run.seed is not None and run.seed >= 0 else ""
    mark = " (phantom)" if run.phantom else ""
    return f"Images and texts, {run.dataset}, {run.row}, {WORDS[run.subsample]}, K = {run.shots}{seed}{mark}"


def _shares(gap: dict[str, Any]) -> str:
    if not all(key in gap for key in (*GAP_NAMES, *GAP_SHARES)):
        return ""
    return (
        f"In this test {gap['predicted_share']:.1f}% of the images were predicted as {gap['predicted']}; the largest "
        f"class, {gap['largest']}, has {gap['largest_share']:.1f}%. "
    )


def _preference(run: FoundRun) -> tuple[Any, ...]:
    """Return a key that sorts the run to be shown first."""
    method = FIRST.index(run.trainer) if run.trainer in FIRST else len(FIRST)
    shots, seed = run.shots or 0, math.inf if run.seed is None else run.seed
    return run.dataset, list(WORDS).index(run.subsample), method, run.row, -shots, seed, str(run.path)


def read_points(path: Path) -> Points:
    """Return the points of a picture.

    Raises:
        UserError: there is no file, or it is none of ours; names it.
    """
    try:
        rows = list(_rows(read_text(path, LIMIT, links=False)))
        return _points(rows, str(path))
    except FileNotFoundError as error:
        raise UserError(f"Expected {path} beside metrics.json, but it is not there: test the run again.") from error
    except (ValueError, csv.Error) as error:
        words = " ".join(str(error).split())[:200]
        raise UserError(f"Expected the points of images in {path}, but {words}: test the run again.") from error


def _rows(text: str) -> Iterator[list[str]]:
    reader = csv.reader(io.StringIO(text, newline=""))
    if tuple(next(reader, ())) != POINTS_HEAD:
        raise ValueError(f"its columns are not {', '.join(POINTS_HEAD)}")
    for row in reader:
        if len(row) != len(POINTS_HEAD):
            raise ValueError(f"line {reader.line_num} has {len(row)} cells")
        if reader.line_num > MOST_ROWS:
            raise ValueError(f"it has more than {MOST_ROWS:,} lines")
        yield row


def _points(rows: Sequence[Sequence[str]], where: str) -> Points:
    found = Points([], {})
    for what, label, name, *cells in rows:
        x, y, x_centred, y_centred = (number(float(cell), "a coordinate", where) for cell in cells)
        places = ((x, y), (x_centred, y_centred))
        if what == "class" and int(label) not in found.classes:
            found.classes[int(label)] = Star(check_name(name, "class", where), places)
        elif what == "image":
            found.images.append((int(label), places))
        else:
            raise ValueError("a row is neither of an image nor of another class")
    if not found.images or not {label for label, _ in found.images} <= found.classes.keys():
        raise ValueError("it has no images, or an image of a class without a direction")
    return found


def plot_gap(points: Points, gap: dict[str, Any], path: Path, title: str, within: Path | None = None) -> None:
    """Draw images and class directions before and after centring, side by side, as a PNG and an SVG.

    Args:
        points: of both panels.
        gap: figures of `runs.record.Record.gap`.
        path: the PNG.
        title: above the picture.
        within: folder that both must lie in, as for `atomic_write`.
    """
    from report.plots import GREY, canvas, save

    rows = math.ceil(len(points.classes) / COLUMNS) if len(points.classes) <= LEGEND else 0
    figure, (left, right) = canvas(height=4.3 + 0.25 * rows, columns=2)
    for side, (axes, suffix, words) in enumerate(
        ((left, "", "before centring"), (right, "_centred", "after centring"))
    ):
        _draw(axes, points, side)
        axes.set_title(f"{words}: {_against(gap, suffix)}", size="medium", loc="left")
        axes.set_xticks([])
        axes.set_yticks([])
        axes.margins(0.12, 0.24)  # room for the words above a cloud
    for line in (right.axhline, right.axvline):  # where m_V lies; between two classes the border is upright
        line(0, color=GREY, linewidth=0.8, alpha=0.5, zorder=0)
    left.set_aspect("equal", adjustable="datalim")
    _name_clouds(left, points)
    if rows:
        _name_classes(figure, points)
    save(figure, path, title, svg=True, within=within)


def _draw(axes: "Axes", points: Points, side: int) -> None:
    from report.plots import style

    for row, (label, star) in enumerate(sorted(points.classes.items())):
        colour, marker = style(row)
        dots = [places[side] for own, places in points.images if own == label]
        axes.scatter([x for x, _ in dots], [y for _, y in dots], color=colour, marker=marker, s=16, alpha=0.5, lw=0)
        axes.scatter(*star.places[side], color=colour, marker="*", s=230, edgecolor="black", lw=1, zorder=4)


def _name_clouds(axes: "Axes", points: Points) -> None:
    """Write "images" and "texts" where they lie."""
    clouds = {"images": [places[0] for _, places in points.images]}
    clouds["texts"] = [star.places[0] for star in points.classes.values()]
    for words, places in clouds.items():
        x, top = sum(x for x, _ in places) / len(places), max(y for _, y in places)
        axes.annotate(words, (x, top), xytext=(0, 12), textcoords="offset points", ha="center", weight="bold")


def _name_classes(figure: "MplFigure", points: Points) -> None:
    """Write the names of the classes below both panels, each beside its star and its dot."""
    from matplotlib.legend_handler import HandlerTuple
    from matplotlib.lines import Line2D

    from report.plots import shortened, style

    handles = []
    for row, (_, star) in enumerate(sorted(points.classes.items())):
        colour, marker = style(row)
        dot, name = Line2D([], [], color=colour, marker=marker, ls="", alpha=0.6), shortened(figure, star.name, NAME)
        handles.append(((Line2D([], [], color=colour, marker="*", ms=13, mec="black", mew=0.7, ls=""), dot), name))
    pairs, names = zip(*handles, strict=True)
    handler = {tuple: HandlerTuple(ndivide=None)}
    figure.legend(pairs, names, handler_map=handler, loc="outside lower left", ncols=COLUMNS, frameon=False)


def _against(gap: dict[str, Any], suffix: str) -> str:
    """Return how large the constant is in units of what images make.

    >>> _against({"common": 0.31, "images": 0.1}, ""), _against({"common": 0.1, "images": 0.0}, "")
    ('constant 3.1 × images', 'constant alone')
    """
    common, images = gap[f"common{suffix}"], gap[f"images{suffix}"]
    if images <= 0 or common > LARGEST_SHOWN * images:
        return "constant alone"
    return f"constant {common / images:.1f} × images"
