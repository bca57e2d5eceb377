"""What a page shows of the answers of few-shot runs: of each data set, the methods side by side."""

import shlex
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from dassl.errors import UserError
from report.collect import FoundRun
from report.groups import MOST_NAMED
from report.page import charts
from report.page.calibration import row_shares
from report.page.gallery import Found, Gallery, find_errors, hint, open_galleries
from report.page.summary import COVERAGES, Seeds, read_summary
from report.render import mean_std
from report.scores import Grid
from runs.methods import SEEDLESS
from runs.predictions import PREDICTIONS

WIDEST = 20  # classes of a matrix on the page
Key = tuple[str, str]  # data set, row of a method


class Cell(NamedTuple):
    """A cell of a confusion matrix: the share of its row, which shades it, in percent too, and the number of images."""

    share: str
    percent: str
    images: str


class MethodShown(NamedTuple):
    """A method on one data set.

    Attributes:
        row: its name in tables.
        figures: number of seeds, accuracy, ECE, AURC, then the risk at each coverage of `summary.LISTED`.
        classes: names of the classes.
        matrix: the confusion matrix by rows; empty if it has no room.
        bars: of the reliability diagram.
        line: points of the curve of risk against coverage.
        gallery: of its errors; None without pictures.
    """

    row: str
    figures: list[str]
    classes: tuple[str, ...]
    matrix: list[list[Cell]]
    bars: list[charts.Bar]
    line: str
    gallery: Gallery | None


class DatasetShown(NamedTuple):
    """The methods on one data set, at a number of shots, and the marks of their chart's height."""

    dataset: str
    shots: int | None
    methods: list[MethodShown]
    ticks: list[charts.Tick]


class Answers(NamedTuple):
    """What is shown of each data set, and sentences on what is not."""

    datasets: list[DatasetShown]
    remarks: list[str]


def answers(runs: Iterable[FoundRun], grid: Grid, output: Path, pictures: int | None) -> Answers:
    """Return what the answers of runs tell, of each data set at the most shots.

    Args:
        runs: few-shot runs of full methods, finished or not.
        grid: the methods, data sets, shots and seeds that are shown.
        output: folder of all runs, for the commands in sentences.
        pictures: bytes that pictures of errors may take; None to show none.
    """
    runs = list(runs)
    chosen = {dataset: choose(runs, grid, dataset) for dataset in grid.datasets}
    read, remarks = _read({(name, row): own for name, (_, rows) in chosen.items() for row, own in rows.items()})
    found, problems = find_errors({key: [run for run, _ in pairs] for key, pairs in read.items()})
    opened = None if pictures is None else open_galleries(found, pictures)
    if read:
        problems += hint(found, len(read), shlex.quote(str(output)), opened)
    seeds = {key: Seeds([summary for _, summary in pairs]) for key, pairs in read.items()}
    shown = [
        _dataset(name, shots, {row: seeds[name, row] for row in rows if (name, row) in seeds}, opened)
        for name, (shots, rows) in chosen.items()
    ]
    if opened:
        problems = opened.problems + problems
    wide = sum(1 for each in shown for method in each.methods if not method.matrix)
    if wide:
        problems.append(f"{wide} confusion matrices of more than {WIDEST} classes are left out: they have no room.")
    return Answers([each for each in shown if each.methods], remarks + problems)


def choose(runs: Sequence[FoundRun], grid: Grid, dataset: str) -> tuple[int | None, dict[str, list[FoundRun]]]:
    """Return the most shots at which a data set has finished runs, and these runs of each method by seed.

    A method that draws no images has one run for all shots and seeds.
    """
    own = [run for run in runs if run.finished and run.dataset == dataset]
    drawn = [run for run in own if run.trainer not in SEEDLESS and run.seed in grid.seeds]
    shots = max((run.shots for run in drawn if run.shots in grid.shots), default=max(grid.shots, default=None))
    rows: dict[str, list[FoundRun]] = {}
    for row in grid.methods:
        seedless = sorted((run for run in own if run.row == row and run.trainer in SEEDLESS), key=_first)
        of_seeds = {run.seed: run for run in drawn if run.row == row and run.shots == shots}
        if found := seedless[:1] or [of_seeds[seed] for seed in grid.seeds if seed in of_seeds]:
            rows[row] = found
    return shots, rows


def _first(run: FoundRun) -> tuple[int, int]:
    """Return a key that sorts the run with the most shots first, and of these the first seed."""
    return -(run.shots or 0), run.seed or 0


def _read(runs: dict[Key, list[FoundRun]]) -> tuple[dict, list[str]]:
    """Return runs with their summaries by data set and row, and sentences on those that have none."""
    read: dict[Key, list] = {}
    without, unread = [], []
    for key, each in runs.items():
        for run in each:
            try:
                summary = read_summary(run)
                if key in read and read[key][0][1].classes != summary.classes:
                    raise UserError(f"{run.path / PREDICTIONS} has other classes than that of {read[key][0][0].path}.")
                read.setdefault(key, []).append((run, summary))
            except FileNotFoundError:
                without.append(run)
            except UserError as error:
                unread.append(str(error))
    remarks = unread[:MOST_NAMED]
    if len(unread) > MOST_NAMED:
        remarks.append(f"{len(unread) - MOST_NAMED} more files of predictions could not be read.")
    if without:
        words = "their errors are not shown"
        remarks.append(f"{len(without)} run(s) left no {PREDICTIONS}, such as {without[0].path}: {words}.")
    return read, remarks


def _dataset(dataset: str, shots: int | None, rows: dict[str, Seeds], opened: Found | None) -> DatasetShown:
    highest = charts.highest_risk([seeds.risk for seeds in rows.values()]) if rows else 1.0
    galleries = opened.galleries if opened else {}
    methods = [_method(row, seeds, highest, galleries.get((dataset, row))) for row, seeds in rows.items()]
    return DatasetShown(dataset, shots, methods, charts.ticks_up(highest))


def _method(row: str, seeds: Seeds, highest: float, gallery: Gallery | None) -> MethodShown:
    told = [[one.accuracy, one.ece, one.aurc, *one.listed.tolist()] for one in seeds.each]
    figures = [mean_std(list(values)) for values in zip(*told, strict=True)]
    counts = seeds.confusion
    shares = row_shares(counts)
    pairs = zip(shares, counts, strict=True) if len(counts) <= WIDEST else ()
    return MethodShown(
        row=row,
        figures=[str(len(seeds.each)), *figures],
        classes=seeds.classes,
        matrix=[[_cell(*each) for each in zip(*pair, strict=True)] for pair in pairs],
        bars=charts.bars(seeds.bins),
        line=charts.line(COVERAGES, seeds.risk, highest),
        gallery=gallery,
    )


def _cell(share: float, count: float) -> Cell:
    if np.isnan(share):
        return Cell("0", "-", "0")
    return Cell(f"{share:.2g}", f"{100 * share:.0f}", f"{count:.0f}" if count >= 10 else f"{count:.2g}")
