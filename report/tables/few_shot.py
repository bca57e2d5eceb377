"""Few-shot tables: methods by number of shots as in the paper's Table 1, all metrics, and paired differences."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from statistics import fmean

from report import paper
from report.collect import FoundRun
from report.render import GAP, Table, mean_std, p_value
from report.scores import METRICS, Grid, Key, Scores
from report.stats import paired_difference
from runs.methods import SEEDLESS, trainer_of

AVERAGED = (
    "mean ± std: both over seeds per data set (population std, divided by n), then averaged over the data sets. "
    "- (2/3): two of three data sets are complete, and no average is taken until all are."
)
PER_SEED = "mean ± std over seeds (population std, divided by n)."
DIFFERENCES = (
    "Mean difference in points on the same data set, shots and seed, and from five pairs on the two-sided p of "
    "Wilcoxon's signed-rank test. The pairs of one data set are not independent of each other and no p is corrected "
    "for the number of comparisons: read them as a description, not as a proof."
)
VIEWS = {
    "none": "none (the image as it is)",
    "one": "one",
    "many": "many",
    "": "no training image",
}  # VIEWS -> in words
PAIRED = ["points", "pairs", "Wilcoxon p"]  # headers of `difference_cells`


def shots_headers(shots: Sequence[int]) -> list[str]:
    """Return a header for each number of shots.

    >>> shots_headers([1, 16])
    ['K = 1', 'K = 16']
    """
    return [f"K = {k}" for k in shots]


def average_table(
    scores: Mapping[str, Scores], grid: Grid, source: str, metric: str, where: str, seen: str = ""
) -> Table:
    """Return averages over the data sets of the grid, each followed by the paper's.

    The paper's are left out if the metric is not accuracy, or if the paper does not have one of the data sets. `seen`
    is the part of the note that says what the methods saw.
    """
    printed = paper.TABLE1["rows"] if metric == "accuracy" and paper.has(grid.datasets) else {}
    rows = []
    order = paper.in_order([*grid.methods, *printed])
    for trainer in dict.fromkeys(map(trainer_of, order)):
        for method in (row for row in order if trainer_of(row) == trainer and row in scores):
            rows.append([method, source, *(scores[method].average(k) for k in grid.shots)])
        if trainer in printed:
            rows.append([trainer, paper.of_sets(len(paper.DATASETS)), *(paper_cell(trainer, k) for k in grid.shots)])
    note = f"{AVERAGED} {paper.compared(grid.datasets)} {seen}".strip()
    headers = ["method", "source", *shots_headers(grid.shots)]
    return Table("table1", f"Table 1: {metric} (%), methods by number of shots, {where}", headers, rows, note)


def dataset_table(
    scores: Mapping[str, Scores],
    grid: Grid,
    dataset: str,
    name: str,
    source: str,
    metric: str,
    where: str,
    seen: str = "",
) -> Table:
    """Return the same on one data set, of which the paper prints nothing, for the file table1_<name>."""
    rows = [[m, source, *(scores[m].cell(dataset, k) for k in grid.shots)] for m in grid.methods]
    headers = ["method", "source", *shots_headers(grid.shots)]
    return Table(f"table1_{name}", f"{dataset}: {metric} (%), {where}", headers, rows, f"{PER_SEED} {seen}".strip())


def paper_cell(method: str, shots: int) -> str:
    """Return the paper's cell for a method, or a gap.

    >>> paper_cell("vMFCoOp", 16), paper_cell("vMFCoOp", 5)
    ('75.45 ± 1.48', '-')
    """
    row, columns = paper.TABLE1["rows"][method], paper.TABLE1["shots"]
    if shots not in columns:
        return GAP
    if "std" not in row:  # zero-shot: one figure for all numbers of shots
        return f"{row['mean'][0]:.2f}"
    i = columns.index(shots)
    return f"{row['mean'][i]:.2f} ± {row['std'][i]:.2f}"


def metrics_row(runs: Sequence[FoundRun]) -> list[str]:
    """Return the cells of one method's finished runs: METRICS, their number, and mean seconds of training and test."""
    cells = [mean_std([run.metrics[key] for run in runs if key in run.metrics]) for key in METRICS]
    spent = [run.record.spent for run in runs if run.record.spent]
    seconds = [sum(each.get(part, 0.0) for part in ("train", "test")) for each in spent]
    return [*cells, str(len(runs)), f"{fmean(seconds):.1f}" if seconds else GAP]


def differences_table(scores: Mapping[str, Scores], grid: Grid, subject: str, metric: str, where: str) -> Table:
    """Return the subject's paired differences to each other method, at each number of shots and at all together."""
    parts = {str(k): points_of(scores, k) for k in grid.shots}
    if len(parts) > 1:
        parts["all"] = points_of(scores)
    title = f"Few-shot: paired differences in {metric} (points), {where}"
    return Table("differences", title, [f"{subject} minus", "K", *PAIRED], difference_rows(parts, subject), DIFFERENCES)


def points_of(scores: Mapping[str, Scores], shots: int | None = None) -> dict[str, dict[Key, float]]:
    """Return the values of each method, at one number of shots or at all."""
    return {method: each.points(shots) for method, each in scores.items()}


def difference_rows(parts: Mapping[str, Mapping[str, Mapping[Key, float]]], subject: str) -> list[list[str]]:
    """Return a row for each other method and part, such as a number of shots; each part has the same methods."""
    return [
        [other, part, *difference_cells(points[subject], points[other])]
        for other in next(iter(parts.values()))
        for part, points in parts.items()
        if other != subject
    ]


def difference_cells(ours: Mapping[Key, float], theirs: Mapping[Key, float]) -> list[str]:
    """Return mean ± std of the paired differences, the number of pairs, and Wilcoxon's p."""
    paired = paired_difference(ours, theirs)
    if not paired.n:
        return [GAP, "0", GAP]
    spread = f" ± {paired.std:.2f}" if paired.n > 1 else ""
    return [f"{paired.mean:+.2f}{spread}", str(paired.n), p_value(paired.p)]


def seen_note(runs: Iterable[FoundRun], named: Callable[[str], str] = str) -> str:
    """Return what the methods of finished runs saw, as far as their records say it; "" if none does.

    `named` gives the name of a row in the note.
    """
    finished = [run for run in runs if run.finished]
    views = [(VIEWS[found], run.row) for run in finished if (found := _views(run)) is not None]
    llms = [(run.llm, run.row) for run in finished if run.llm]
    notes = [("Random views of a training image", views), ("Sentences", llms)]
    return " ".join(f"{title}: {_by_value(pairs, named)}." for title, pairs in notes if pairs)


def _views(run: FoundRun) -> str | None:
    """Return what a run's method saw of training images, "" for one that sees none; None if it is not recorded."""
    return "" if run.record.views and run.trainer in SEEDLESS else run.record.views


def _by_value(pairs: Iterable[tuple[str, str]], named: Callable[[str], str]) -> str:
    rows: dict[str, set[str]] = {}
    for value, row in pairs:
        rows.setdefault(value, set()).add(row)
    in_words = {
        value: ", ".join(named(row).replace(", ", " with ") for row in paper.in_order(each))
        for value, each in rows.items()
    }
    return "; ".join(f"{value}: {each}" for value, each in sorted(in_words.items()))
