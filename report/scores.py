"""One method's figures on a grid of data sets, shots and seeds, and which of them are missing."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from statistics import fmean, pstdev

from report.collect import Run
from report.tables import GAP, Key, by_key, mean_std
from runs.methods import SEEDLESS


@dataclass(frozen=True)
class Grid:
    """What a table spans: a point of it without a run is a gap, a run outside of it does not count."""

    methods: tuple[str, ...]
    datasets: tuple[str, ...]
    shots: tuple[int, ...]
    seeds: tuple[int, ...]


@dataclass(frozen=True)
class Scores:
    """One method's values on a grid; `single`: one run stands for every number of shots and every seed."""

    values: Mapping[Key, float]
    grid: Grid
    single: bool = False

    def at(self, dataset: str, shots: int) -> dict[int, float]:
        """Values per seed; those of a `single` method are alike."""
        if self.single:
            known = [value for (name, _, _), value in self.values.items() if name == dataset]
            return dict.fromkeys(self.grid.seeds, known[0]) if known else {}
        points = {seed: (dataset, shots, seed) for seed in self.grid.seeds}
        return {seed: self.values[key] for seed, key in points.items() if key in self.values}

    def missing(self, dataset: str, shots: int) -> list[int]:
        """Seeds of the grid that have no value."""
        found = self.at(dataset, shots)
        return [seed for seed in self.grid.seeds if seed not in found]

    def mean(self, dataset: str, shots: int) -> float | None:
        """Mean over the seeds, None while one is missing."""
        return None if self.missing(dataset, shots) else fmean(self.at(dataset, shots).values())

    def cell(self, dataset: str, shots: int) -> str:
        """Mean ± std over the seeds that there are, with their number while it is not that of the grid."""
        found, n = list(self.at(dataset, shots).values()), len(self.grid.seeds)
        partial = f" ({len(found)}/{n} seeds)" if 0 < len(found) < n else ""
        return mean_std(found[:1] if self.single else found) + partial

    def means(self, shots: int) -> list[float]:
        """Mean over the seeds of each complete data set."""
        return [mean for dataset in self.grid.datasets if (mean := self.mean(dataset, shots)) is not None]

    def average(self, shots: int) -> str:
        """Averages over data sets of the mean and of the std over seeds; a gap while a data set is incomplete."""
        means, n = self.means(shots), len(self.grid.datasets)
        if len(means) < n or not n:
            return f"{GAP} ({len(means)}/{n})" if means else GAP
        if self.single or len(self.grid.seeds) == 1:
            return f"{fmean(means):.2f}"
        stds = [pstdev(self.at(dataset, shots).values()) for dataset in self.grid.datasets]
        return f"{fmean(means):.2f} ± {fmean(stds):.2f}"

    def points(self) -> dict[Key, float]:
        """Every value on the grid by data set, shots and seed: what can be paired with another method's."""
        datasets, shots = self.grid.datasets, self.grid.shots
        return {(d, k, seed): v for d in datasets for k in shots for seed, v in self.at(d, k).items()}


def score(
    runs: Iterable[Run], metric: str, grid: Grid, label: Callable[[Run], str] = lambda run: run.trainer
) -> dict[str, Scores]:
    """Scores of each method of the grid; `label` says which one a run belongs to.

    Raises a UserError where two runs of a method claim the same data set, shots and seed.
    """
    per_method: dict[str, list[Run]] = {method: [] for method in grid.methods}
    for run in runs:
        if (method := label(run)) in per_method:
            per_method[method].append(run)
    return {m: Scores(by_key(each, metric), grid, m in SEEDLESS) for m, each in per_method.items()}
