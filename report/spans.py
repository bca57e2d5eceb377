"""The grid of a table: what its runs span, unless the command line says otherwise."""

import math
from collections.abc import Collection, Iterable, Sequence
from typing import NamedTuple

from dassl.errors import UserError
from report import paper
from report.collect import Run
from report.scores import Grid
from runs.methods import SEEDLESS

MOST = 200_000  # points of a grid; the paper's Table 1 has 3,780


class Wanted(NamedTuple):
    """What the command line asks for; None: whatever has been run."""

    methods: Sequence[str] | None = None
    datasets: Sequence[str] | None = None
    shots: Sequence[int] | None = None
    seeds: Sequence[int] | None = None


def span(runs: Iterable[Run], wanted: Wanted, without: Collection[str] = ()) -> Grid:
    """Grid of all methods, data sets, shots and seeds of `runs`, unfinished ones too, less the data sets `without`.

    Shots and seeds are those of the methods that draw images: a zero-shot method has one run for all of them.

    Raises:
        UserError: it has so many points that it cannot be what was meant.
    """
    runs = list(runs)
    drawn = [run for run in runs if run.trainer not in SEEDLESS] or runs
    datasets = wanted.datasets or sorted({run.dataset for run in runs}, key=_place)
    grid = Grid(
        methods=tuple(wanted.methods or paper.in_order(run.trainer for run in runs)),
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


def _place(dataset: str) -> tuple[int, str]:
    """Where a data set stands: those of the paper in its order, then others by name."""
    known = list(paper.DATASETS)
    return (known.index(dataset) if dataset in known else len(known), dataset)
