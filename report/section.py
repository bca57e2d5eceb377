"""All tables, pictures and gaps of one group of runs."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean

from report import differences, gaps, paper, ranks
from report.ablation import METHOD, terms
from report.compare import COLUMNS
from report.groups import Group
from report.page import Figure, Section
from report.scores import Grid, Scores, score
from report.spans import Wanted, span
from report.table1 import average_table, dataset_table
from report.table2 import NAMES, Ablation, ablation_table
from report.table3 import base2new_table
from report.tables import Table, file_names
from runs.methods import ZERO_SHOT

Part = tuple[list[Table | Figure], list[gaps.Gap]]


@dataclass(frozen=True)
class Request:
    """What is asked for: the folder of runs, the one that nothing is written outside of, the metric, the method
    compared with all others, and what the tables span."""

    output: Path
    within: Path
    metric: str
    subject: str
    few_shot: Wanted
    base2new: Wanted
    ablation: Wanted


def section(group: Group, request: Request, folder: Path) -> Section:
    """Everything about one group; pictures are written into `folder`."""
    parts: list[Table | Figure] = []
    missing: list[gaps.Gap] = []
    for part in (few_shot, _ablation, _base2new, _datasets):
        shown, holes = part(group, request, folder)
        parts += shown
        missing += holes
    unfinished = [run.problem for run in group.runs if not run.finished]
    return Section(group.title, group.phantom, parts, missing, unfinished)


def few_shot(group: Group, request: Request, folder: Path) -> Part:
    """Table 1, its curves, paired differences and ranks; then what is missing of them."""
    scores, grid, metric = _few_shot_scores(group, request)
    if not scores or not grid.datasets:
        return [], []
    n = len(grid.datasets)
    where = f"{group.title}, average over {n} data set{'s' if n > 1 else ''}"
    parts: list[Table | Figure] = [average_table(scores, grid, group.source, metric, where)]
    parts += _curves(scores, grid, grid.datasets, folder / "curves.png", metric, where, request.within)
    if request.subject in scores and len(scores) > 1:
        parts.append(differences.by_shots_table(scores, grid, request.subject, metric, group.title))
    parts += _ranking(scores, grid, folder / "ranks.png", group.title, request.within)
    return parts, gaps.method_gaps([scores], grid, group, request.output, "few_shot")


def _datasets(group: Group, request: Request, folder: Path) -> Part:
    scores, grid, metric = _few_shot_scores(group, request)
    parts: list[Table | Figure] = []
    for dataset, name in zip(grid.datasets, file_names(grid.datasets), strict=True):
        where = f"{dataset}, {group.title}"
        table = dataset_table(scores, grid, dataset, group.source, metric, group.title)
        parts.append(table._replace(name=f"table1_{name}"))
        if len(grid.datasets) > 1:
            path = folder / f"curves_{name}.png"
            parts += _curves(scores, grid, [dataset], path, metric, where, request.within)
    return parts, []


def _few_shot_scores(group: Group, request: Request) -> tuple[dict[str, Scores], Grid, str]:
    runs = group.few_shot()
    grid = span(runs, request.few_shot)
    return score(runs, request.metric, grid), grid, COLUMNS.get(request.metric, request.metric)


def _curves(
    scores: Mapping[str, Scores], grid: Grid, datasets: Sequence[str], path: Path, metric: str, where: str, within: Path
) -> list[Figure]:
    """Few-shot curves, or rows of dots where there is one number of shots; only what is complete is drawn."""
    from report.plots import plot_curves, plot_methods

    curves = {method: {k: _per_seed(each, datasets, k) for k in grid.shots} for method, each in scores.items()}
    if not any(values for curve in curves.values() for values in curve.values()):
        return []
    title = f"{metric}, {where}"
    if len(grid.shots) > 1:
        plot_curves(curves, path, title, metric, ZERO_SHOT, svg=True, within=within)
    else:
        title += f", K = {grid.shots[0]}"
        dots = {method: curve[grid.shots[0]] for method, curve in curves.items()}
        plot_methods(dots, path, title, metric, ZERO_SHOT, svg=True, within=within)
    return [Figure(path.with_suffix(".svg"), f"Few-shot {title}. Each dot is a seed.")]


def _per_seed(scores: Scores, datasets: Sequence[str], shots: int) -> list[float]:
    """Average over the data sets of each seed; none while one is incomplete."""
    if any(scores.missing(dataset, shots) for dataset in datasets):
        return []
    seeds = [scores.at(dataset, shots) for dataset in datasets]
    values = [fmean(each[seed] for each in seeds) for seed in scores.grid.seeds]
    return values[:1] if scores.single else values


def _ranking(scores: Mapping[str, Scores], grid: Grid, path: Path, where: str, within: Path) -> list[Figure]:
    from report.rank_plot import plot_ranks

    ranking = ranks.rank(ranks.complete_cases(scores, grid))
    if ranking is None:
        return []
    title = f"Average ranks over {ranking.blocks} complete cases, {where}"
    plot_ranks(ranking, path, title, svg=True, within=within)
    caption = (
        f"{title}. A case is a data set at one number of shots that every method has completed; rank 1 is best. "
        f"Friedman's p = {ranking.p:.2g}; methods joined by a bar differ by less than Nemenyi's critical difference "
        f"at 5 % (Demšar 2006), {ranking.critical_difference:.2f}. Cases of one data set are not independent."
    )
    return [Figure(path.with_suffix(".svg"), caption)]


def _ablation(group: Group, request: Request, folder: Path) -> Part:
    ablated = group.ablated()
    if not (ablated or request.ablation.shots):
        return [], []
    rows = [run for run in group.runs if run.trainer == METHOD and terms(run)]
    few, novel = ([run for run in ablated if (run.subsample == "all") == kind] for kind in (True, False))
    wanted = request.ablation._replace(methods=NAMES)
    grid = span(few, wanted)
    novel_grid = span(novel or few, wanted._replace(shots=[paper.NOVEL_SHOTS]), without=paper.WITHOUT_NOVEL)

    def scores(subsample: str, grid: Grid) -> dict[str, Scores]:
        chosen = [run for run in rows if run.subsample == subsample]
        return score(chosen, request.metric, grid, label=lambda run: str(terms(run)))

    found = Ablation(scores("all", grid), scores("base", novel_grid), scores("new", novel_grid), grid, novel_grid)
    metric = COLUMNS.get(request.metric, request.metric)
    return [ablation_table(found, group.source, metric, group.title)], gaps.ablation_gaps(found, group, request.output)


def _base2new(group: Group, request: Request, folder: Path) -> Part:
    base, new = group.base2new("base"), group.base2new("new")
    grid = span([*base, *new], request.base2new, without=paper.WITHOUT_NOVEL)
    if not (grid.methods and grid.datasets):
        return [], []
    metric = COLUMNS.get(request.metric, request.metric)
    b, n = score(base, request.metric, grid), score(new, request.metric, grid)
    parts: list[Table | Figure] = []
    for k in grid.shots:
        parts.append(base2new_table(b, n, grid, k, group.source, metric, group.title))
        if request.subject in b and len(b) > 1:
            parts.append(differences.base2new_table(b, n, k, request.subject, metric, group.title))
    return parts, gaps.method_gaps([b, n], grid, group, request.output, "base2new")
