"""A table of the values of one setting: a row for each, as a sweep of it has run them."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from report.collect import FoundRun
from report.groups import Group
from report.render import Figure, Table, file_names
from report.scores import Grid, Scores, Wanted, grid_of, metric_name, score_methods
from report.tables.few_shot import AVERAGED, PER_SEED, shots_headers
from runs.changed import short_key, value_text
from runs.methods import ZERO_SHOT

BY = "by"  # begins the name of such a table


def runs_with(group: Group, key: str) -> list[tuple[FoundRun, Any]]:
    """Return the finished few-shot runs whose method has a setting, with its value in each.

    Args:
        group: the runs.
        key: of the setting, such as "OPTIM.LR"; that of a method may be short, as "LAMBDA_ANC".
    """
    runs = [run for run in group.runs if run.finished and run.subsample == "all"]
    return [(run, found) for run in runs for name, found in run.settings.items() if key in (name, short_key(name))]


def by_setting(
    group: Group, key: str, wanted: Wanted, metric: str, picture: Path, within: Path
) -> list[Table | Figure]:
    """Return a table of the values of a setting, averaged over the data sets, then one of each; and a curve of numbers.

    Methods, and runs that differ in other settings, have rows of their own.

    Args:
        group: the runs.
        key: of the setting.
        wanted: what the tables span.
        metric: its name in metrics.json.
        picture: file of the curve.
        within: folder that nothing is written outside of.
    """
    found = runs_with(group, key)
    named = [(replace(run, told=run.told | _keys_of(run, key)), value) for run, value in found]
    rows = {f"{run.row} = {value_text(value)}": (run.row, value) for run, value in sorted(named, key=_order)}
    if not rows:
        return []
    runs = [run for run, _ in named]
    labels = {run.path: f"{run.row} = {value_text(value)}" for run, value in named}
    grid = grid_of(runs, wanted._replace(methods=list(dict.fromkeys(run.row for run in runs))))
    grid = replace(grid, methods=tuple(rows))
    scores = score_methods(runs, metric, grid, label=lambda run: labels[run.path])
    name = metric_name(metric)
    title = f"{name} (%) by {key}, {group.title}"
    n = len(grid.datasets)
    tables: list[Table | Figure] = []
    if n > 1:
        cells = {row: [scores[row].average(k) for k in grid.shots] for row in rows}
        note = f"{AVERAGED} Data sets: {', '.join(grid.datasets)}."
        tables.append(_table(BY, f"{title}, average over {n} data sets", short_key(key), rows, cells, grid, note))
    for dataset, file in zip(grid.datasets, file_names(grid.datasets), strict=True):
        cells = {row: [scores[row].cell(dataset, k) for k in grid.shots] for row in rows}
        table = _table(f"{BY}_{file}", f"{dataset}: {title}", short_key(key), rows, cells, grid, PER_SEED)
        tables.append(table)
    return tables + _curve(rows, scores, grid, key, name, title, picture, within)


def _keys_of(run: FoundRun, key: str) -> set[str]:
    return {name for name in run.changed if key in (name, short_key(name))}


def _order(pair: tuple[FoundRun, Any]) -> tuple[str, bool, float, str]:
    run, value = pair
    number = isinstance(value, (int, float))
    return run.row, not number, float(value) if number else 0.0, value_text(value)


def _table(
    name: str,
    title: str,
    key: str,
    rows: Mapping[str, tuple[str, Any]],
    cells: Mapping[str, list[str]],
    grid: Grid,
    note: str,
) -> Table:
    lines = [[method, value_text(value), *cells[row]] for row, (method, value) in rows.items()]
    return Table(name, title, ["method", key, *shots_headers(grid.shots)], lines, note)


def _curve(
    rows: Mapping[str, tuple[str, Any]],
    scores: Mapping[str, Scores],
    grid: Grid,
    key: str,
    metric: str,
    title: str,
    picture: Path,
    within: Path,
) -> list[Figure]:
    """Draw the metric by the values on a logarithmic axis, a curve for each method and number of shots.

    Values that are no positive numbers have no place on it.
    """
    curves: dict[str, dict[Any, list[float]]] = {}
    for row, (method, value) in rows.items():
        for k in grid.shots:
            found = scores[row].seed_averages(grid.datasets, k, partial=True)
            if isinstance(value, (int, float)) and value > 0 and not isinstance(value, bool) and found:
                curves.setdefault(f"{method}, K = {k}", {})[value] = found
    curves = {name: curve for name, curve in curves.items() if len(curve) > 1}
    if not curves:
        return []
    from report.plots import plot_curves

    plot_curves(curves, picture, title, metric, ZERO_SHOT, svg=True, within=within, along=key)
    return [Figure(picture.with_suffix(".svg"), f"{title}. Each dot is a seed.")]
