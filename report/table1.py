"""Table 1: methods by number of shots, averaged over data sets or on one of them."""

from report import paper
from report.scores import Grid, Scores
from report.tables import GAP, Table

AVERAGED = (
    "mean ± std: both over seeds per data set (population std, divided by n), then averaged over the data sets. "
    "- (2/3): two of three data sets are complete, and no average is taken until all are."
)
PER_SEED = "mean ± std over seeds (population std, divided by n)."


def average_table(scores: dict[str, Scores], grid: Grid, source: str, metric: str, where: str) -> Table:
    """Averages over the data sets of the grid, each followed by the paper's if the metric is accuracy."""
    printed = paper.TABLE1["rows"] if metric == "accuracy" else {}
    rows = []
    for method in paper.in_order([*grid.methods, *printed]):
        if method in scores:
            rows.append([method, source, *(scores[method].average(k) for k in grid.shots)])
        if method in printed:
            rows.append([method, paper.SOURCE, *(paper_cell(method, k) for k in grid.shots)])
    note = f"{AVERAGED} Data sets here: {', '.join(grid.datasets)}. In the paper: 14 data sets."
    headers = ["method", "source", *(f"K = {k}" for k in grid.shots)]
    return Table("table1", f"Table 1: {metric} (%), methods by number of shots, {where}", headers, rows, note)


def dataset_table(scores: dict[str, Scores], grid: Grid, dataset: str, source: str, metric: str, where: str) -> Table:
    """The same on one data set, of which the paper prints nothing; the caller names its file."""
    rows = [[m, source, *(scores[m].cell(dataset, k) for k in grid.shots)] for m in grid.methods]
    headers = ["method", "source", *(f"K = {k}" for k in grid.shots)]
    return Table("table1", f"{dataset}: {metric} (%), {where}", headers, rows, PER_SEED)


def paper_cell(method: str, shots: int) -> str:
    """What the paper prints for a method: `77.08 ± 1.36`, or a gap."""
    row, columns = paper.TABLE1["rows"][method], paper.TABLE1["shots"]
    if shots not in columns:
        return GAP
    if "std" not in row:  # zero-shot: one figure for all numbers of shots
        return f"{row['mean'][0]:.2f}"
    i = columns.index(shots)
    return f"{row['mean'][i]:.2f} ± {row['std'][i]:.2f}"
