"""Pure functions from values in percent to statistics and tables.

Every std here is the population's (`numpy.std`, divided by n), as Dassl's own script has it.
"""

import itertools
import math
from collections.abc import Iterable, Mapping, Sequence
from statistics import fmean, pstdev
from typing import NamedTuple

from tabulate import tabulate

from dassl.console import printable
from dassl.errors import UserError
from dassl.names import file_name
from dassl.sheet import csv_lines
from report.collect import Run
from report.escaping import markdown

FORMATS = {"text": "simple", "markdown": "github", "latex": "latex_booktabs", "csv": "csv"}
GAP = "-"
Key = tuple[str, int | None, int | None]  # data set, shots, seed


class Table(NamedTuple):
    """A table of ready-made strings: its file name, what it shows, and how to read it."""

    name: str
    title: str
    headers: list[str]
    rows: list[list[str]]
    note: str


def file_names(names: Iterable[str], taken: Iterable[str] = ()) -> list[str]:
    """Return a file name for each name, all different from each other and from `taken`, on any file system."""
    found, used = [], {name.casefold() for name in taken}
    for name in map(file_name, names):
        numbered = (f"{name}-{i}" for i in itertools.count(2))
        found.append(next(free for free in itertools.chain([name], numbered) if free.casefold() not in used))
        used.add(found[-1].casefold())
    return found


class Paired(NamedTuple):
    """Differences in points between two methods on what both have run; `p` is None where n < 5."""

    mean: float
    std: float
    n: int
    p: float | None


def ci95(values: Sequence[float]) -> float:
    """Half-width of the normal 95 % interval of the mean, 1.96 std / sqrt(n)."""
    return 1.96 * pstdev(values) / math.sqrt(len(values))


def by_key(runs: Iterable[Run], metric: str) -> dict[Key, float]:
    """Values of the finished runs that have `metric`; raises a UserError if two runs claim one key."""
    paths, values = {}, {}
    for run in runs:
        if run.finished and metric in run.metrics:
            key = (run.dataset, run.shots, run.seed)
            if key in paths:
                raise UserError(f"{paths[key]} and {run.path} are the same data set, shots and seed: compare only one.")
            paths[key], values[key] = run.path, run.metrics[metric]
    return values


def by_shots(values: Mapping[Key, float]) -> dict[int | None, list[float]]:
    """Values of one method, listed per number of shots in the order given."""
    table: dict[int | None, list[float]] = {}
    for (_, shots, _), value in values.items():
        table.setdefault(shots, []).append(value)
    return table


def paired_difference(ours: Mapping[Key, float], theirs: Mapping[Key, float]) -> Paired:
    """Ours minus theirs over the keys that both have; from five pairs on with Wilcoxon's two-sided signed-rank p."""
    differences = [ours[key] - theirs[key] for key in ours if key in theirs]
    if not differences:
        return Paired(math.nan, math.nan, 0, None)
    p = _wilcoxon(differences) if len(differences) >= 5 else None
    return Paired(fmean(differences), pstdev(differences), len(differences), p)


def _wilcoxon(differences: Sequence[float]) -> float:
    nonzero = [difference for difference in differences if difference]
    if not nonzero:
        return 1.0
    from scipy.stats import wilcoxon

    return float(wilcoxon(nonzero).pvalue)


def harmonic_mean(base: float, novel: float) -> float:
    """Harmonic mean of two accuracies, 0 where either is 0."""
    return 2 * base * novel / (base + novel) if base and novel else 0.0


def hm_of_averages(base: Sequence[float], novel: Sequence[float]) -> float:
    """Harmonic mean of the averages over data sets: the convention of the vMFCoOp paper."""
    _same_length(base, novel)
    return harmonic_mean(fmean(base), fmean(novel))


def average_of_hms(base: Sequence[float], novel: Sequence[float]) -> float:
    """Average over data sets of each one's harmonic mean: other papers print this under the same name."""
    _same_length(base, novel)
    return fmean(harmonic_mean(*pair) for pair in zip(base, novel, strict=True))


def _same_length(base: Sequence[float], novel: Sequence[float]) -> None:
    if len(base) != len(novel) or not base:
        raise UserError(f"Expected one base and one novel value per data set, found {len(base)} and {len(novel)}.")


def mean_std(values: Sequence[float]) -> str:
    """A table's cell: `77.08 ± 1.36`, without ± for a single value and a gap for none."""
    if not values:
        return GAP
    return f"{fmean(values):.2f} ± {pstdev(values):.2f}" if len(values) > 1 else f"{values[0]:.2f}"


def method_by_shots(methods: Mapping[str, Mapping[Key, float]], shots: Sequence[int]) -> tuple[list[str], list[list]]:
    """Headers and rows of the few-shot table: a method per row, a number of shots per column."""
    rows = []
    for name, values in methods.items():
        cells = by_shots(values)
        rows.append([name, *(mean_std(cells.get(k, [])) for k in shots)])
    return ["method", *(f"K = {k}" for k in shots)], rows


def render(headers: Sequence[str], rows: Sequence[Sequence[str]], style: str = "text") -> str:
    """Table of ready-made strings in one of FORMATS; the first column is left-aligned, the others right.

    Whatever the cells hold is shown as it is: it is no markup, and no formula of a spreadsheet.
    """
    if style == "csv":
        return "".join(csv_lines([headers, *rows])).rstrip("\n")
    shown = markdown if style == "markdown" else printable
    headers, rows = list(map(shown, headers)), [list(map(shown, row)) for row in rows]
    align = ["left", *["right"] * (len(headers) - 1)]
    table = tabulate(rows, headers, FORMATS[style], disable_numparse=True, colalign=align if rows else None)
    return table.replace("±", r"$\pm$").replace("✓", r"\checkmark") if style == "latex" else table
