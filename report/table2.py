"""Table 2: vMFCoOp with some of its three terms, base to novel and few-shot."""

from typing import NamedTuple

from report import paper
from report.ablation import Terms
from report.scores import Grid, Scores
from report.table1 import AVERAGED
from report.table3 import hm_of_means
from report.tables import GAP, Table

ROWS = [Terms(*row["terms"]) for row in paper.TABLE2["rows"]]
NAMES = tuple(map(str, ROWS))


class Ablation(NamedTuple):
    """Scores of each row few-shot, and tested on the base and on the novel classes."""

    few_shot: dict[str, Scores]
    base: dict[str, Scores]
    new: dict[str, Scores]
    grid: Grid
    novel_grid: Grid


def ablation_table(scores: Ablation, source: str, metric: str, where: str) -> Table:
    """Each row of the ablation, followed by the paper's if the metric is accuracy."""
    grid, k = scores.grid, paper.NOVEL_SHOTS
    headers = ["L_SCE", "L_anc", "L_sc", "source", "base", "novel", "HM", *(f"K = {k}" for k in grid.shots)]
    rows = []
    for terms, printed in zip(ROWS, paper.TABLE2["rows"], strict=True):
        name, marks = str(terms), ["✓" if used else "" for used in terms]
        base, new = scores.base[name], scores.new[name]
        novel = [base.average(k), new.average(k), hm_of_means(base, new, k)]
        rows.append([*marks, source, *novel, *(scores.few_shot[name].average(k) for k in grid.shots)])
        if metric == "accuracy":
            cells = dict(zip(paper.TABLE2["shots"], printed["mean"], strict=True))
            shots = [f"{cells[k]:.2f}" if k in cells else GAP for k in grid.shots]
            rows.append([*marks, paper.SOURCE, *(f"{printed[key]:.2f}" for key in ("base", "novel", "hm")), *shots])
    note = (
        f"No mark under L_SCE: plain cross-entropy. {AVERAGED} "
        f"Base, novel and HM (harmonic mean of the averages) at K = {k}. "
        f"Data sets here: {', '.join(grid.datasets) or 'none'}; base to novel: "
        f"{', '.join(scores.novel_grid.datasets) or 'none'}. {' '.join(paper.TABLE2['inferred'])} "
        "The paper's HM of 74.71 in row 5 is no harmonic mean of its 74.35 and 74.08 (74.21)."
    )
    return Table("table2", f"Table 2: {metric} (%), ablation of vMFCoOp's three terms, {where}", headers, rows, note)
