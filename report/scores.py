"""Figures of methods on a grid of data sets, shots and seeds, and which of them are missing."""

import math
from collections.abc import Callable, Collection, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import fmean, pstdev
from typing import NamedTuple, TypeVar

from dassl.errors import UserError
from report import paper
from report.collect import FoundRun
from report.render import GAP, mean_std
from report.stats import average_of_hms, hm_of_averages
from runs.methods import SEEDLESS, trainer_of, without_llm, without_settings

MOST = 200_000  # points of a grid; the paper's Table 1 has 3,780
METRICS = {
    "accuracy": "accuracy",
    "macro_f1": "macro-F1",
    "balanced_accuracy": "balanced accuracy",
    "auroc": "AUROC",
    "ece": "ECE",
}  # name in metrics.json -> in tables
Key = tuple[str, int | None, int | None]  # data set, shots, seed
K = TypeVar("K", bound=Hashable)


@dataclass(frozen=True)
class Grid:
    """The points that a table spans: one without a run is a gap, a run outside of it does not count."""

    methods: tuple[str, ...]
    datasets: tuple[str, ...]
    shots: tuple[int, ...]
    seeds: tuple[int | None, ...]  # None for runs without one


class Wanted(NamedTuple):
    """The grid that a command line asks for; None for all that has been run."""

    methods: Sequence[str] | None = None
    datasets: Sequence[str] | None = None
    shots: Sequence[int] | None = None
    seeds: Sequence[int] | None = None


@dataclass(frozen=True)
class Scores:
    """One method's values on a grid; `single`: one run stands for every number of shots and every seed."""

    values: Mapping[Key, float]
    grid: Grid
    single: bool = False

    def at(self, dataset: str, shots: int) -> dict[int | None, float]:
        """Return the value of each seed; those of a `single` method are alike."""
        if self.single:
            known = [value for (name, _, _), value in self.values.items() if name == dataset]
            return dict.fromkeys(self.grid.seeds, known[0]) if known else {}
        points = {seed: (dataset, shots, seed) for seed in self.grid.seeds}
        return {seed: self.values[key] for seed, key in points.items() if key in self.values}

    def runs_at(self, dataset: str, shots: int) -> list[float]:
        """Return the value of each run: one of a `single` method."""
        found = list(self.at(dataset, shots).values())
        return found[:1] if self.single else found

    def missing(self, dataset: str, shots: int) -> list[int]:
        """Return the seeds of the grid that have no value."""
        found = self.at(dataset, shots)
        return [seed for seed in self.grid.seeds if seed is not None and seed not in found]

    def mean(self, dataset: str, shots: int) -> float | None:
        """Return the mean over the seeds, None while one is missing."""
        return None if self.missing(dataset, shots) else fmean(self.at(dataset, shots).values())

    def cell(self, dataset: str, shots: int) -> str:
        """Return mean ± std over the seeds that there are, with their number while it is not that of the grid."""
        found, n = len(self.at(dataset, shots)), len(self.grid.seeds)
        partial = f" ({found}/{n} seeds)" if 0 < found < n else ""
        return mean_std(self.runs_at(dataset, shots)) + partial

    def average(self, shots: int) -> str:
        """Return averages over data sets of mean and std over seeds; a gap while a data set is incomplete.

        Where every data set has the same seeds, but not all of the grid, their number stands behind the average.
        """
        datasets, seeds = self.grid.datasets, self.shared_seeds(self.grid.datasets, shots)
        if 0 < len(seeds) < len(self.grid.seeds) and all(len(self.at(name, shots)) == len(seeds) for name in datasets):
            fewer = replace(self, grid=replace(self.grid, seeds=tuple(seeds)))
            return f"{fewer.average(shots)} ({len(seeds)}/{len(self.grid.seeds)} seeds)"
        if (averages := self.averages(shots)) is None:
            complete = len(self.complete(shots))
            return f"{GAP} ({complete}/{len(datasets)})" if complete else GAP
        mean, std = averages
        return f"{mean:.2f}" if self.single or len(self.grid.seeds) == 1 else f"{mean:.2f} ± {std:.2f}"

    def averages(self, shots: int) -> tuple[float, float] | None:
        """Return the averages over data sets of mean and std over seeds; None while a data set is incomplete."""
        datasets = self.complete(shots)
        if not datasets or len(datasets) < len(self.grid.datasets):
            return None
        values = [list(self.at(dataset, shots).values()) for dataset in datasets]
        return fmean(map(fmean, values)), fmean(map(pstdev, values))

    def complete(self, shots: int) -> list[str]:
        """Return the data sets that have a value of every seed."""
        return [dataset for dataset in self.grid.datasets if self.mean(dataset, shots) is not None]

    def seed_averages(self, datasets: Sequence[str], shots: int, partial: bool = False) -> list[float]:
        """Return the average over `datasets` of each seed; one of a `single` method.

        There are none while a seed of the grid is missing; with `partial`, those of the seeds that all data sets have.
        """
        if not partial and any(self.missing(dataset, shots) for dataset in datasets):
            return []
        values = [self.at(dataset, shots) for dataset in datasets]
        averages = [fmean(each[seed] for each in values) for seed in self.shared_seeds(datasets, shots)]
        return averages[:1] if self.single else averages

    def shared_seeds(self, datasets: Sequence[str], shots: int) -> list[int | None]:
        """Return the seeds of the grid that have a value on each of `datasets`."""
        found = [self.at(dataset, shots) for dataset in datasets]
        return [seed for seed in self.grid.seeds if found and all(seed in each for each in found)]

    def points(self, shots: int | None = None) -> dict[Key, float]:
        """Return the values on the grid, at one number of shots or at all, to be paired with another method's."""
        return {
            (dataset, k, seed): value
            for dataset in self.grid.datasets
            for k in ([shots] if shots is not None else self.grid.shots)
            for seed, value in self.at(dataset, k).items()
        }


def metric_name(metric: str) -> str:
    """Return the name of a metric in tables; one that is not ours keeps its own.

    >>> metric_name("macro_f1"), metric_name("f2")
    ('macro-F1', 'f2')
    """
    return METRICS.get(metric, metric)


def place_of_run(run: FoundRun) -> Key:
    """Return data set, shots and seed of a run."""
    return run.dataset, run.shots, run.seed


def values_by(runs: Iterable[FoundRun], metric: str, key: Callable[[FoundRun], K]) -> dict[K, float]:
    """Return the values of the finished runs that have `metric`, by what `key` says of each.

    Raises:
        UserError: two runs have one key.
    """
    paths: dict[K, Path] = {}
    values: dict[K, float] = {}
    for run in runs:
        if run.finished and metric in run.metrics:
            if (place := key(run)) in paths:
                first = paths[place]
                raise UserError(f"{first} and {run.path} are the same data set, shots and seed: compare only one.")
            paths[place], values[place] = run.path, run.metrics[metric]
    return values


def grid_of(runs: Iterable[FoundRun], wanted: Wanted, without: Collection[str] = ()) -> Grid:
    """Return the grid that `runs` span, unfinished ones too, unless `wanted` names what it spans.

    Shots and seeds are those of the methods that draw images: a zero-shot method has one run for all of them.

    Args:
        runs: of all methods.
        wanted: what the command line asks for.
        without: data sets to leave out.

    Raises:
        UserError: it has so many points that it cannot be what was meant.
    """
    runs = list(runs)
    drawn = [run for run in runs if run.trainer not in SEEDLESS] or runs
    datasets = wanted.datasets or sorted({run.dataset for run in runs}, key=_order)
    grid = Grid(
        methods=tuple(rows_of(runs, wanted.methods)),
        datasets=tuple(name for name in datasets if name not in without),
        shots=tuple(sorted(wanted.shots or {run.shots for run in drawn if run.shots is not None})),
        seeds=tuple(sorted(wanted.seeds or {run.seed for run in drawn if run.seed is not None})),
    )
    sizes = [len(each) for each in (grid.methods, grid.datasets, grid.shots, grid.seeds)]
    if math.prod(sizes) > MOST:
        raise UserError(
            f"Expected a table of at most {MOST:,} runs, but it would span "
            "{:,} methods, {:,} data sets, {:,} numbers of shots and {:,} seeds: name those to show.".format(*sizes)
        )
    return grid


def rows_of(runs: Iterable[FoundRun], wanted: Sequence[str] | None) -> list[str]:
    """Return the rows of a table: those of all runs, or of the wanted methods, with each LLM's or without any run."""
    runs = list(runs)
    done = {run.row for run in runs if run.finished}  # of changed settings, only what has finished is a row
    found = paper.in_order(run.row for run in runs if run.row in done or run.row == without_settings(run.row))
    if not wanted:
        return found
    rows = [(name, [row for row in found if name in (row, without_llm(row))]) for name in wanted]
    return list(dict.fromkeys(row for name, own in rows for row in own or [name]))


def _order(dataset: str) -> tuple[int, str]:
    """Sort the data sets of the paper in its order, then others by name."""
    known = list(paper.DATASETS)
    return (known.index(dataset) if dataset in known else len(known), dataset)


def score_methods(
    runs: Iterable[FoundRun], metric: str, grid: Grid, label: Callable[[FoundRun], str] = lambda run: run.row
) -> dict[str, Scores]:
    """Return the scores of each method of the grid; `label` says which one a run belongs to.

    Raises:
        UserError: two runs of a method have the same data set, shots and seed.
    """
    per_method: dict[str, list[FoundRun]] = {method: [] for method in grid.methods}
    for run in runs:
        if (method := label(run)) in per_method:
            per_method[method].append(run)
    return {
        m: Scores(values_by(each, metric, place_of_run), grid, trainer_of(m) in SEEDLESS)
        for m, each in per_method.items()
    }


def complete_cases(scores: Mapping[str, Scores], grid: Grid) -> dict[str, list[float]]:
    """Return means over seeds of each method on the pairs of data set and shots that every method has completed."""
    methods = {name: each for name, each in scores.items() if each.values}
    cases = [[each.mean(dataset, k) for each in methods.values()] for dataset in grid.datasets for k in grid.shots]
    complete = [[mean for mean in case if mean is not None] for case in cases if None not in case]
    return {name: [case[i] for case in complete] for i, name in enumerate(methods)}


def hm_of_means(base: Scores, new: Scores, shots: int) -> str:
    """Return the harmonic mean of the averages over data sets, a gap while one is incomplete."""
    pairs = _means(base, new, shots)
    return f"{hm_of_averages(*zip(*pairs, strict=True)):.2f}" if pairs else GAP


def mean_of_hms(base: Scores, new: Scores, shots: int) -> str:
    """Return the average over data sets of each one's harmonic mean, a gap while one is incomplete."""
    pairs = _means(base, new, shots)
    return f"{average_of_hms(*zip(*pairs, strict=True)):.2f}" if pairs else GAP


def _means(base: Scores, new: Scores, shots: int) -> list[tuple[float, float]]:
    """Return the means on base and novel classes of each data set; none while one is incomplete."""
    pairs = [(base.mean(dataset, shots), new.mean(dataset, shots)) for dataset in base.grid.datasets]
    complete = [(b, n) for b, n in pairs if b is not None and n is not None]
    return complete if len(complete) == len(pairs) else []
