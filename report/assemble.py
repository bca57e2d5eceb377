"""Everything that a report says of one group of runs: tables, pictures, and the commands that fill the gaps."""

import os
import shlex
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from dassl.console import IN_NAME
from dassl.names import OWN_FOLDER
from report import base2new, paper
from report.ablation_table import METHOD, NAMES, Ablation, ablation_table, terms_of
from report.class_table import PER_CLASS, class_tables
from report.few_shot_table import average_table, dataset_table, differences_table, seen_note
from report.gap import gap_pictures
from report.groups import Group
from report.render import Figure, Gap, Section, Table, file_names, p_value
from report.scores import Grid, Scores, Wanted, complete_cases, grid_of, metric_name, score_methods
from report.stats import rank
from runs.layout import own_datasets
from runs.methods import METHODS, ZERO_SHOT, llm_of, method_of, split_protocol, without_llm

if TYPE_CHECKING:
    from report.page.section import Answers

ROOT = Path(__file__).parents[1]
OUTPUT = "output"  # folder of all runs, unless OUTPUT= names another
KINDS = {"few_shot": "few-shot", "base2new": "base to novel", "ablation": "of vMFCoOp"}  # script -> in words
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


def assemble(group: Group, request: Request, folder: Path) -> Section:
    """Return everything about one group; pictures are written into `folder`."""
    parts: list[Table | Figure] = []
    gaps: list[Gap] = []
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
    if (subject := _row_of(request.subject, scores)) and len(scores) > 1:
        parts.append(differences_table(scores, grid, subject, metric, group.title))
    parts += _ranks(scores, grid, folder / "ranks.png", group.title, request.within)
    return parts, _method_gaps([scores], grid, group, request.output, "few_shot")


def _classes(group: Group, request: Request, folder: Path) -> Part:
    scores, grid, _ = _few_shot_scores(group, replace(request, metric="accuracy"))  # a run has all metrics or none
    gaps = _method_gaps([scores], grid, group, request.output, "few_shot")
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

    curves = {method: {k: each.seed_averages(datasets, k) for k in grid.shots} for method, each in scores.items()}
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
    ablated = group.ablated()
    if not (ablated or request.ablation.shots):
        return [], []
    rows = [run for run in group.runs if run.trainer == METHOD and terms_of(run)]
    if ablated:  # rows of the table read the sentences of one LLM
        llm, _ = Counter(run.llm for run in ablated).most_common(1)[0]
        rows, ablated = ([run for run in each if run.llm == llm] for each in (rows, ablated))
    few, novel = ([run for run in ablated if (run.subsample == "all") == kind] for kind in (True, False))
    wanted = request.ablation._replace(methods=NAMES)
    grid = grid_of(few, wanted)
    novel_grid = grid_of(novel or few, wanted._replace(shots=[paper.NOVEL_SHOTS]), without=paper.WITHOUT_NOVEL)

    def scores(subsample: str, grid: Grid) -> dict[str, Scores]:
        chosen = [run for run in rows if run.subsample == subsample]
        return score_methods(chosen, request.metric, grid, label=lambda run: str(terms_of(run)))

    found = Ablation(scores("all", grid), scores("base", novel_grid), scores("new", novel_grid), grid, novel_grid)
    table = ablation_table(found, group.source, metric_name(request.metric), group.title)
    return [table], _ablation_gaps(found, group, request.output)


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
        if (subject := _row_of(request.subject, b)) and len(b) > 1:
            parts.append(base2new.differences_table(b, n, k, subject, metric, group.title))
    return parts, _method_gaps([b, n], grid, group, request.output, "base2new")


def _row_of(method: str, rows: Iterable[str]) -> str | None:
    """Return the row of a method: the first that names an LLM, else its own, which has runs of earlier versions too."""
    own = [row for row in rows if method in (row, without_llm(row))]
    return next((row for row in own if row != method), own[0] if own else None)


def _method_gaps(
    scores: Sequence[Mapping[str, Scores]], grid: Grid, group: Group, output: Path, script: str
) -> list[Gap]:
    """Return the gaps of one script, a line per method and data set; a run must be in all `scores`."""
    gaps = []
    for method in grid.methods:
        if _row_of(method, grid.methods) != method and not llm_of(method):
            continue  # runs of an earlier version, which named no LLM: those of today have a row of their own
        for dataset in grid.datasets:
            if missing := _missing([each[method] for each in scores], dataset):
                shots, seeds = missing
                if scores[0][method].single:
                    shots, seeds = shots[-1:], []
                gaps.append(_gap(method, method, dataset, shots, seeds, group, output, script))
    return gaps


def _ablation_gaps(scores: Ablation, group: Group, output: Path) -> list[Gap]:
    """Return the gaps of Table 2, a line per data set: its script runs all rows, and both protocols."""
    gaps = []
    for dataset in scores.grid.datasets:
        missing = _missing(list(scores.few_shot.values()), dataset)
        if not missing and dataset in scores.novel_grid.datasets:
            novel = _missing([*scores.base.values(), *scores.new.values()], dataset)
            missing = novel and (list(scores.grid.shots), novel[1])
        if missing:
            gaps.append(_gap("ablation", METHOD, dataset, *missing, group, output, "ablation"))
    return gaps


def _missing(scores: Sequence[Scores], dataset: str) -> tuple[list[int], list[int]] | None:
    """Return numbers of shots and seeds at which any of the scores has no value on a data set; None for none."""
    holes = [(k, seed) for each in scores for k in each.grid.shots for seed in each.missing(dataset, k)]
    return (sorted({k for k, _ in holes}), sorted({seed for _, seed in holes})) if holes else None


def _gap(
    what: str,
    method: str,
    dataset: str,
    shots: Sequence[int],
    seeds: Sequence[int],
    group: Group,
    output: Path,
    script: str,
) -> Gap:
    hidden = OUTPUT if output == Path(OUTPUT) else "<output>"
    data, hidden_data = ("phantoms",) * 2 if group.phantom_images else (os.environ.get("DATA", "<folder>"), "<folder>")
    places = [(data, str(output)), (hidden_data, hidden)]
    commands = [
        fill_command(method, dataset, shots, group.backbone, data=data, output=where, seeds=seeds, script=script)
        for data, where in places
    ]
    seed = f", seed {' '.join(map(str, seeds))}" if seeds else ""
    return Gap(f"{what} {KINDS[script]} on {dataset} at K = {' '.join(map(str, shots))}{seed}", *commands)


def fill_command(
    method: str,
    dataset: str,
    shots: int | Sequence[int],
    backbone: str,
    *,
    data: str,
    output: str | Path = OUTPUT,
    seeds: Sequence[int] = (),
    script: str = "few_shot",
) -> str:
    """Return the shell line that makes the runs of a gap, or a sentence if there is none.

    `method` is a short name, a trainer's name or a row of a table. A backbone of which only the folder's last part is
    known gets `<folder>` before it.

    >>> fill_command("coop", "btmri", [1, 16], "BiomedCLIP", data="/my data", seeds=[1])
    "DATA='/my data' SEEDS=1 bash scripts/coop/few_shot.sh btmri '1 16' BiomedCLIP"
    """
    llm, method = llm_of(method), method_of(method)
    if split_protocol(method)[0] not in METHODS:
        return f"train {shlex.quote(method)} (its runs are read, but trainers/ has no such method)"
    output = Path(output)
    if output.parent.name == "base2new":  # .../base2new/train_base and test_new come from one script
        output, script = output.parent.parent, "base2new"
    several = str(shots) if isinstance(shots, int) else " ".join(map(str, shots))
    settings = {
        "DATA": data,
        "SEEDS": " ".join(map(str, seeds)),
        "OUTPUT": "" if output == Path(OUTPUT) else str(output),
        "OPTS": f"PROMPTS.LLM {shlex.quote(llm)}" if llm else "",
    }
    words = [f"{name}={shlex.quote(value)}" for name, value in settings.items() if value]
    dataset = next((own for own in own_datasets() if dataset.startswith(f"{own}-")), dataset)
    file = f"scripts/{method}/{script}.sh"
    call = ["bash", file] if (ROOT / file).is_file() else ["bash", f"scripts/{script}.sh", method]
    if backbone.startswith(OWN_FOLDER) and "/" not in backbone and "<" not in backbone:
        backbone = f"{OWN_FOLDER}<folder>/{backbone.removeprefix(OWN_FOLDER)}"
    line = " ".join([*words, shlex.join([*call, dataset, several, backbone])])
    if IN_NAME.search(line):  # a shell may obey it while it is pasted, whatever stands around it
        return "no command: a name in it has control characters"
    return line
