"""The tables that tell what the posterior is worth: accuracies, paired differences, calibration."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from statistics import fmean, pstdev

from dassl.console import printable
from report.collect import FoundRun
from report.render import GAP, p_value, render
from report.scores import place_of_run, values_by
from report.stats import harmonic_mean, paired_difference
from reproduce.posterior_runs import SUBJECT, VIEWS, Row, Study
from reproduce.provenance import commit, today
from reproduce.series import Series, find, images_of
from runs.methods import SEEDLESS, trainer_name, with_setting

COLUMNS = ("base", "novel", "HM")
Values = dict[tuple[str, int | None], float]  # by data set and seed


@dataclass(frozen=True)
class Measured:
    """The runs of one row: values by column, "1", "4", "16", "base", "novel" and "HM"; {} where it has none."""

    row: Row
    accuracy: dict[str, Values]
    ece: dict[str, Values]
    problems: list[str]
    runs: list[FoundRun]


def measured(study: Study, row: Row) -> Measured:
    """Return what has been run of a row."""
    single, novel = trainer_name(row.trainer) in SEEDLESS, row.novel and row.trainer in with_setting("base2new")
    accuracy: dict[str, Values] = {}
    ece: dict[str, Values] = {}
    problems: list[str] = []
    runs: list[FoundRun] = []
    asked = [(str(k), study.template(row), k) for k in study.points.shots]
    for name, part in (("base", "base"), ("novel", "new")) if novel else ():
        asked.append(
            (name, replace(study.template(row, "base2new"), subsample=part, eval_only=True), study.novel_shots)
        )
    for name, template, k in asked:
        found = find(Series((row.name,), template), replace(study.points, shots=(k,)))
        problems += found.problems
        runs += found.runs
        for metric, kept in (("accuracy", accuracy), ("ece", ece)):
            values = values_by(found.runs, metric, place_of_run)
            if single:  # one run stands for all seeds
                values = {(d, n, seed): v for (d, n, _), v in values.items() for seed in study.points.seeds}
            kept[name] = {(d, seed): v for (d, _, seed), v in values.items()}
    if novel:
        both = accuracy["base"].keys() & accuracy["novel"].keys()
        accuracy["HM"] = {key: harmonic_mean(accuracy["base"][key], accuracy["novel"][key]) for key in both}
    return Measured(row, accuracy, ece, problems, runs)


def whole(study: Study, values: Values) -> bool:
    """Return whether there is a value for every data set and seed."""
    return all((dataset, seed) in values for dataset in study.points.datasets for seed in study.points.seeds)


def by_dataset(study: Study, values: Values) -> list[list[float]]:
    """Return the values of the seeds of each data set."""
    return [[values[dataset, seed] for seed in study.points.seeds] for dataset in study.points.datasets]


def cell(study: Study, values: Values | None) -> str:
    """Return mean and std over seeds, both averaged over data sets; no std for one seed, a gap while one is missing."""
    if not values or not whole(study, values):
        return GAP
    found = by_dataset(study, values)
    spread = f" ± {fmean(map(pstdev, found)):.1f}" if len(study.points.seeds) > 1 else ""
    return f"{fmean(map(fmean, found)):.1f}{spread}"


def difference(study: Study, ours: Values | None, theirs: Values | None) -> str:
    """Return the mean paired difference, Wilcoxon's p over the pairs, and in how many data sets ours is ahead."""
    if not ours or not theirs or not (whole(study, ours) and whole(study, theirs)):
        return GAP
    found = paired_difference(ours, theirs)
    pairs_of = zip(by_dataset(study, ours), by_dataset(study, theirs), strict=True)
    ahead = sum(fmean(own) > fmean(other) for own, other in pairs_of)
    return f"{found.mean:+.1f} (p {p_value(found.p)}, {ahead}/{len(study.points.datasets)})"


def tables(study: Study, rows: Sequence[Measured]) -> list[str]:
    """Return the tables in Markdown: accuracies, differences to the subject, calibration."""
    mark = " (phantom)" * any(run.phantom for m in rows for run in m.runs)
    columns = [*map(str, study.points.shots), *COLUMNS]
    heads = [f"K = {k}" for k in study.points.shots] + list(COLUMNS)
    accuracies = [[m.row.name, *(cell(study, m.accuracy.get(column)) for column in columns)] for m in rows]
    subject = next(m for m in rows if m.row.name == SUBJECT)
    others = [m for m in rows if m is not subject]
    differences = [
        [m.row.name, *(difference(study, subject.accuracy.get(c), m.accuracy.get(c)) for c in columns)] for m in others
    ]
    calibration = [[m.row.name, *(cell(study, m.ece.get(column)) for column in columns[:-1])] for m in rows]
    return [
        "### Accuracy (%)",
        render([f"method{mark}", *heads], accuracies, "markdown"),
        f"### {SUBJECT} minus each, in points",
        render([f"{SUBJECT} minus{mark}", *heads], differences, "markdown"),
        "### Expected calibration error (%)",
        render([f"method{mark}", *heads[:-1]], calibration, "markdown"),
    ]


def text_of(study: Study, everything: Sequence[Row], line: str) -> tuple[str, bool]:
    """Return what is written below the mark, and whether nothing is missing."""
    rows = [measured(study, row) for row in everything]
    for problem in dict.fromkeys(problem for each in rows for problem in each.problems):
        print(f"not counted: {printable(problem)}")
    kind = images_of(run for each in rows for run in each.runs)
    seeds = ", ".join(map(str, study.points.seeds))
    blocks = [
        f"## Measured on {len(study.points.datasets)} data sets, {len(study.points.seeds)} seeds",
        f"`{line}`, {today()}, commit {commit()}. **{kind}**: {', '.join(study.points.datasets)}; seeds {seeds}; "
        f"{VIEWS[0]} {VIEWS[1]}; else the settings of configs/. ± is the std over the seeds of a data set, averaged; "
        f"base, novel and HM (of each data set and seed) at K = {study.novel_shots}. p is Wilcoxon's, two-sided, over "
        "the pairs of data set and seed, which are not independent within a data set, and not corrected for the number "
        "of comparisons; the fraction counts the data sets where the mean is ahead. A gap: cannot be tested on novel "
        "classes, or has not been run.",
        *tables(study, rows),
    ]
    asked = [values for each in rows for values in each.accuracy.values()]
    return "\n\n".join(blocks) + "\n", all(whole(study, values) for values in asked)
