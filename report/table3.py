"""Table 3: base to novel, per data set and averaged, with both harmonic means."""

from collections.abc import Sequence

from report import paper
from report.scores import Grid, Scores
from report.tables import GAP, Table, average_of_hms, harmonic_mean, hm_of_averages

HM_OF_AVERAGES, AVERAGE_OF_HMS = "HM of the averages", "average of the HMs"


def base2new_table(
    base: dict[str, Scores], new: dict[str, Scores], grid: Grid, shots: int, source: str, metric: str, where: str
) -> Table:
    """Rows per data set and metric, a method per column; the paper's own beneath if it has them."""
    own = metric == "accuracy" and shots == paper.NOVEL_SHOTS
    columns = paper.in_order([*grid.methods, *(paper.TABLE3["methods"] if own else [])])
    pairs = {m: (base[m], new[m]) for m in grid.methods}

    def line(dataset: str, what: str, cells: dict[str, str]) -> list[str]:
        return [dataset, what, source, *(cells.get(m, GAP) for m in columns)]

    rows = [
        line("average", "base", {m: b.average(shots) for m, (b, _) in pairs.items()}),
        line("average", "novel", {m: n.average(shots) for m, (_, n) in pairs.items()}),
        line("average", HM_OF_AVERAGES, {m: hm_of_means(b, n, shots) for m, (b, n) in pairs.items()}),
        line("average", AVERAGE_OF_HMS, {m: mean_of_hms(b, n, shots) for m, (b, n) in pairs.items()}),
    ]
    rows += _paper_averages(columns) if own else []
    for dataset in grid.datasets:
        rows.append(line(dataset, "base", {m: b.cell(dataset, shots) for m, (b, _) in pairs.items()}))
        rows.append(line(dataset, "novel", {m: n.cell(dataset, shots) for m, (_, n) in pairs.items()}))
        rows.append(line(dataset, "HM", {m: _dataset_hm(b, n, dataset, shots) for m, (b, n) in pairs.items()}))
        rows += _paper_dataset(dataset, columns) if own and dataset in paper.TABLE3["rows"] else []
    note = (
        "mean ± std over seeds (population std, divided by n); averages over data sets are of both. "
        f"{HM_OF_AVERAGES}: harmonic mean of the two rows above it, the paper's way. {AVERAGE_OF_HMS}: mean over the "
        "data sets of each one's HM, which other papers print under the same name; it is never the larger of the two. "
        "HM of a data set: of its means over seeds."
    )
    if own:
        note += (
            f" {paper.RECOMPUTED}: taken here over the paper's 13 data sets; for BiomedCoOp and vMFCoOp its printed "
            "base averages are higher than the mean of its own rows, and with them its HMs."
        )
    title = f"Table 3: {metric} (%), base to novel at K = {shots}, {where}"
    return Table(f"table3_{shots}", title, ["data set", "metric", "source", *columns], rows, note)


def hm_of_means(base: Scores, new: Scores, shots: int) -> str:
    """Harmonic mean of the averages over data sets, a gap while one is incomplete."""
    pairs = _means(base, new, shots)
    return f"{hm_of_averages(*zip(*pairs, strict=True)):.2f}" if pairs else GAP


def mean_of_hms(base: Scores, new: Scores, shots: int) -> str:
    """Average over data sets of each one's harmonic mean, a gap while one is incomplete."""
    pairs = _means(base, new, shots)
    return f"{average_of_hms(*zip(*pairs, strict=True)):.2f}" if pairs else GAP


def _means(base: Scores, new: Scores, shots: int) -> list[tuple[float, float]]:
    pairs = [(base.mean(dataset, shots), new.mean(dataset, shots)) for dataset in base.grid.datasets]
    return [] if any(None in pair for pair in pairs) else pairs


def _dataset_hm(base: Scores, new: Scores, dataset: str, shots: int) -> str:
    b, n = base.mean(dataset, shots), new.mean(dataset, shots)
    return GAP if b is None or n is None else f"{harmonic_mean(b, n):.2f}"


def _paper_averages(columns: Sequence[str]) -> list[list[str]]:
    methods, rows = paper.TABLE3["methods"], list(paper.TABLE3["rows"].values())
    recomputed: dict[str, list[float]] = {"base": [], "novel": [], HM_OF_AVERAGES: [], AVERAGE_OF_HMS: []}
    for i in range(len(methods)):
        base, novel = ([row[key][i] for row in rows] for key in ("base", "novel"))
        recomputed["base"].append(sum(base) / len(base))
        recomputed["novel"].append(sum(novel) / len(novel))
        recomputed[HM_OF_AVERAGES].append(hm_of_averages(base, novel))
        recomputed[AVERAGE_OF_HMS].append(average_of_hms(base, novel))
    printed = paper.TABLE3["average"]
    lines = [("base", printed["base"]), ("novel", printed["novel"]), (HM_OF_AVERAGES, printed["hm"])]
    return [_paper_line("average", what, paper.SOURCE, values, columns) for what, values in lines] + [
        _paper_line("average", what, paper.RECOMPUTED, values, columns) for what, values in recomputed.items()
    ]


def _paper_dataset(dataset: str, columns: Sequence[str]) -> list[list[str]]:
    row = paper.TABLE3["rows"][dataset]
    return [_paper_line(dataset, what, paper.SOURCE, row[what], columns) for what in ("base", "novel")]


def _paper_line(dataset: str, what: str, source: str, values: Sequence[float], columns: Sequence[str]) -> list[str]:
    cells = dict(zip(paper.TABLE3["methods"], values, strict=True))
    return [dataset, what, source, *(f"{cells[m]:.2f}" if m in cells else GAP for m in columns)]
