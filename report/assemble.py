"""Everything that a report says of one group of runs: tables, pictures, and the commands that fill the gaps."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from report import base2new, paper
from report.collect import FoundRun
from report.gap import gap_pictures
from report.gaps import ablation_gaps, method_gaps, row_of
from report.groups import Group
from report.render import Figure, Gap, Section, Table, file_names, p_value
from report.scores import Grid, Scores, Wanted, complete_cases, grid_of, metric_name, score_methods
from report.stats import rank
from report.tables.ablation import METHOD, NAMES, TERM_KEYS, Ablation, ablation_table, terms_of
from report.tables.by_setting import by_setting
from report.tables.few_shot import average_table, dataset_table, differences_table, seen_note
from report.tables.per_class import PER_CLASS, class_tables
from runs.changed import in_words
from runs.methods import ZERO_SHOT

if TYPE_CHECKING:
    from report.page.section import Answers

Part = tuple[list[Table | Figure], list[Gap]]


@dataclass(frozen=True)
class Request:
    """The contents that a report is asked for.

    Attributes:
        output: folder of the runs.
        within: folder that nothing is written outside of.
        metric: its name in metrics.json.
        subject: the method that is compared with all others.
        few_shot, base2new, ablation: what the tables span.
        by: key of a setting, whose values get a table; "" for none.
        pictures: bytes that the pictures of errors of a group may take; None to show none.
    """

    output: Path
    within: Path
    metric: str
    subject: str
    few_shot: Wanted
    base2new: Wanted
    ablation: Wanted
    pictures: int | None = None
    by: str = ""


def assemble(group: Group, request: Request, folder: Path) -> Section:
    """Return everything about one group; pictures are written into `folder`."""
    parts: list[Table | Figure] = []
    gaps: list[Gap] = []
    if request.by:
        parts += by_setting(group, request.by, request.few_shot, request.metric, folder / "by.png", request.within)
    for part in (_classes,) if request.metric == PER_CLASS else (few_shot, _ablation, _base2new, _datasets):
        shown, missing = part(group, request, folder)
        parts += shown
        gaps += missing
    unfinished = [run.problem for run in group.runs if not run.finished]
    pictures, unseen = gap_pictures(group, folder, request.within)
    told = _answers(group, request)
    return Section(
        group.title, group.phantom, [*parts, *pictures], gaps, unfinished, unseen, told.datasets, told.remarks
    )


def _answers(group: Group, request: Request) -> "Answers":
    from report.page.section import answers  # NumPy is not loaded before it is needed

    runs = group.few_shot()
    return answers(runs, grid_of(runs, request.few_shot), request.output, request.pictures)


def few_shot(group: Group, request: Request, folder: Path) -> Part:
    """Return Table 1, its curves, paired differences and ranks; then what is missing of them."""
    scores, grid, metric = _few_shot_scores(group, request)
    if not scores or not grid.datasets:
        return [], []
    n = len(grid.datasets)
    where = f"{group.title}, average over {n} data set{'s' if n > 1 else ''}"
    table = average_table(scores, grid, group.source, metric, where, seen_note(group.few_shot()))
    parts: list[Table | Figure] = [table]
    parts += _curves(scores, grid, grid.datasets, folder / "curves.png", metric, where, request.within)
    if (subject := row_of(request.subject, scores)) and len(scores) > 1:
        parts.append(differences_table(scores, grid, subject, metric, group.title))
    parts += _ranks(scores, grid, folder / "ranks.png", group.title, request.within)
    return parts, method_gaps([scores], grid, group, request.output, "few_shot")


def _classes(group: Group, request: Request, folder: Path) -> Part:
    scores, grid, _ = _few_shot_scores(group, replace(request, metric="accuracy"))  # a run has all metrics or none
    gaps = method_gaps([scores], grid, group, request.output, "few_shot")
    return [*class_tables(group, request.few_shot, request.base2new)], gaps


def _datasets(group: Group, request: Request, folder: Path) -> Part:
    scores, grid, metric = _few_shot_scores(group, request)
    seen = seen_note(group.few_shot())
    own: list[Table | Figure] = []
    for dataset, name in zip(grid.datasets, file_names(grid.datasets), strict=True):
        parts: list[Table | Figure] = []
        parts.append(dataset_table(scores, grid, dataset, name, group.source, metric, group.title, seen))
        if len(grid.datasets) > 1:
            path, where = folder / f"curves_{name}.png", f"{dataset}, {group.title}"
            parts += _curves(scores, grid, [dataset], path, metric, where, request.within)
        own += [part._replace(dataset=dataset) for part in parts]
    return own, []


def _few_shot_scores(group: Group, request: Request) -> tuple[dict[str, Scores], Grid, str]:
    runs = group.few_shot()
    grid = grid_of(runs, request.few_shot)
    return score_methods(runs, request.metric, grid), grid, metric_name(request.metric)


def _curves(
    scores: Mapping[str, Scores], grid: Grid, datasets: Sequence[str], path: Path, metric: str, where: str, within: Path
) -> list[Figure]:
    """Draw few-shot curves, or rows of dots for one number of shots; only what is complete is drawn."""
    from report.plots import plot_curves, plot_methods

    curves = {method: {k: each.seed_averages(datasets, k, True) for k in grid.shots} for method, each in scores.items()}
    if not any(values for curve in curves.values() for values in curve.values()):
        return []
    title = f"{metric}, {where}"
    if len(grid.shots) > 1:
        plot_curves(curves, path, title, metric, ZERO_SHOT, svg=True, within=within)
    else:
        title += f", K = {grid.shots[0]}"
        dots = {method: curve[grid.shots[0]] for method, curve in curves.items()}
        plot_methods(dots, path, title, metric, ZERO_SHOT, svg=True, within=within)
    return [Figure(path.with_suffix(".svg"), f"Few-shot {title}. Each dot is a seed that all its data sets have.")]


def _ranks(scores: Mapping[str, Scores], grid: Grid, path: Path, where: str, within: Path) -> list[Figure]:
    from report.plots import plot_ranks

    ranking = rank(complete_cases(scores, grid))
    if ranking is None:
        return []
    title = f"Average ranks over {ranking.blocks} complete cases, {where}"
    plot_ranks(ranking, path, title, svg=True, within=within)
    caption = (
        f"{title}. A case is a data set at one number of shots that every method has completed; rank 1 is best. "
        f"Friedman's p = {p_value(ranking.p)}; methods joined by a bar differ by less than Nemenyi's critical "
        f"difference at 5 % (Demšar 2006), {ranking.critical_difference:.2f}. "
        "Cases of one data set are not independent."
    )
    return [Figure(path.with_suffix(".svg"), caption)]


def _ablation(group: Group, request: Request, folder: Path) -> Part:
    """Return Table 2, one for each choice of the other settings; then what is missing."""
    ablated = group.ablated()
    if not (ablated or request.ablation.shots):
        return [], []
    rows, llm = [run for run in group.runs if run.trainer == METHOD and terms_of(run)], ""
    if ablated:  # rows of the table read the sentences of one LLM
        llm, _ = Counter(run.llm for run in ablated).most_common(1)[0]
        rows, ablated = ([run for run in each if run.llm == llm] for each in (rows, ablated))
    parts: list[Table | Figure] = []
    gaps: list[Gap] = []
    others = {in_words(other): other for other in map(_other_settings, ablated)} or {"": {}}
    for i, (words, other) in enumerate(sorted(others.items())):
        all_rows, lacking = ([run for run in each if _other_settings(run) == other] for each in (rows, ablated))
        name = f"table2_{i + 1}" if i else "table2"
        table, missing = _ablation_of(all_rows, lacking, group, request, words, name, other, llm)
        parts.append(table)
        gaps += missing
    return parts, gaps


def _other_settings(run: FoundRun) -> dict[str, Any]:
    """Return the changed settings of a run but those that switch off terms of Table 2."""
    return {key: value for key, value in run.changed.items() if value or key not in TERM_KEYS}


def _ablation_of(
    rows: Sequence[FoundRun],
    ablated: Sequence[FoundRun],
    group: Group,
    request: Request,
    words: str,
    name: str,
    changed: Mapping[str, Any],
    llm: str,
) -> tuple[Table, list[Gap]]:
    few, novel = ([run for run in ablated if (run.subsample == "all") == kind] for kind in (True, False))
    wanted = request.ablation._replace(methods=NAMES)
    grid = grid_of(few, wanted)
    novel_grid = grid_of(novel or few, wanted._replace(shots=[paper.NOVEL_SHOTS]), without=paper.WITHOUT_NOVEL)

    def scores(subsample: str, grid: Grid) -> dict[str, Scores]:
        chosen = [run for run in rows if run.subsample == subsample]
        return score_methods(chosen, request.metric, grid, label=lambda run: str(terms_of(run)))

    found = Ablation(scores("all", grid), scores("base", novel_grid), scores("new", novel_grid), grid, novel_grid)
    title = group.title + (f", {words}" if words and words != group.changed else "")
    table = ablation_table(found, group.source, metric_name(request.metric), title)
    return table._replace(name=name), ablation_gaps(found, group, request.output, changed, llm)


def _base2new(group: Group, request: Request, folder: Path) -> Part:
    base, new = group.base2new("base"), group.base2new("new")
    grid = grid_of([*base, *new], request.base2new, without=paper.WITHOUT_NOVEL)
    if not (grid.methods and grid.datasets):
        return [], []
    metric, seen = metric_name(request.metric), seen_note([*base, *new])
    b, n = (score_methods(runs, request.metric, grid) for runs in (base, new))
    parts: list[Table | Figure] = []
    for k in grid.shots:
        parts.append(base2new.base2new_table(b, n, grid, k, group.source, metric, group.title, seen))
        if (subject := row_of(request.subject, b)) and len(b) > 1:
            parts.append(base2new.differences_table(b, n, k, subject, metric, group.title))
    return parts, method_gaps([b, n], grid, group, request.output, "base2new")
