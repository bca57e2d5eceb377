"""Accuracy of each class: classes by methods, on one data set at one number of shots."""

import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING

from dassl.names import shared_name
from report.collect import FoundRun
from report.groups import Group
from report.render import Table, file_names, render
from report.scores import Grid, Scores, Wanted, grid_of, score_methods
from report.tables.few_shot import PER_SEED, seen_note

if TYPE_CHECKING:
    from report.tables.comparison import Comparison

PER_CLASS = "per_class"  # as a metric on command lines; a run's record has "per_class/<class>" for each class
OF_CLASS = "Share of the test images of a class that were given this class (its recall)"
ScoresOf = Callable[[str], Mapping[str, Scores]]  # from the name of a metric to each method's scores


def has_classes(runs: Iterable[FoundRun]) -> bool:
    """Return whether any run tells the accuracy of its classes."""
    return any(name.startswith(f"{PER_CLASS}/") for run in runs for name in run.metrics)


def class_rows(
    runs: Iterable[FoundRun], scores_of: ScoresOf, dataset: str, shots: int
) -> tuple[list[str], list[list[str]]]:
    """Return headers and a row for each class, in the order of the labels: mean ± std over the seeds of each method.

    A class that some runs of a method have not tested is followed by the number of seeds that have it, and one that
    none has is a gap. A method without any run has no column.

    Args:
        runs: of the data set; the finished ones say which classes there are.
        scores_of: returns the scores of each method.
        dataset, shots: what the table is of.
    """
    classes = dict.fromkeys(name for run in runs if run.finished for name in run.record.classes)
    scores = {name: scores_of(f"{PER_CLASS}/{name}") for name in classes}
    methods = dict.fromkeys(name for each in scores.values() for name, own in each.items() if own.at(dataset, shots))
    rows = [[name, *(each[method].cell(dataset, shots) for method in methods)] for name, each in scores.items()]
    return ["class", *methods], rows


def print_classes(comparison: "Comparison", gaps: Iterable[str], style: str) -> int:
    """Print the table of each number of shots, and then the gaps; return 1 if no run tells its classes."""
    dataset, found, runs = comparison.dataset, False, comparison.finished()
    phantom = " (phantom)" if comparison.phantom else ""
    for k in comparison.shots:
        headers, rows = class_rows(runs, comparison.scores, dataset, k)
        if len(headers) > 1:
            found = True
            where = f"{dataset}, K = {k}, {shared_name(comparison.backbone)}{phantom}"
            print(f"{where}: accuracy of each class, mean ± std over seeds, in percent\n")
            print(render(headers, rows, style), end="\n\n")
    if not found:
        print(f"No finished run tells the accuracy of its classes on {dataset}.", file=sys.stderr)
    for gap in gaps:
        print(gap)
    return int(not found)


def class_tables(group: Group, few_shot: Wanted, base2new: Wanted) -> list[Table]:
    """Return a table of each data set and number of shots, few-shot and then base to novel; none without any figure.

    Args:
        group: the runs.
        few_shot, base2new: what the tables span.
    """
    parts = [("", group.few_shot(), few_shot)]
    parts += [(name, group.base2new(side), base2new) for side, name in (("base", "base"), ("new", "novel"))]
    return [table for side, runs, wanted in parts for table in _tables(group, side, runs, grid_of(runs, wanted))]


def _tables(group: Group, side: str, runs: Sequence[FoundRun], grid: Grid) -> Iterator[Table]:
    """Yield the tables of one protocol; `side` is "base", "novel" or, for few-shot runs, ""."""
    words, mark = (f", {side} classes", f"_{side}") if side else ("", "")
    for dataset, name in zip(grid.datasets, file_names(grid.datasets), strict=True):
        own = [run for run in runs if run.dataset == dataset]
        for k in grid.shots:
            headers, rows = class_rows(own, partial(score_methods, own, grid=grid), dataset, k)
            if len(headers) > 1:
                title = f"{dataset}, K = {k}{words}: accuracy of each class (%), {group.title}"
                note = f"{OF_CLASS}: {PER_SEED} {seen_note(own)}".strip()
                yield Table(f"{PER_CLASS}_{name}_{k}{mark}", title, headers, rows, note, dataset)
