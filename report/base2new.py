"""Base to novel as in the paper's Table 3, and on one data set at the end of every base2new.sh.

    python -m report.base2new --dataset btmri --shots 16 --backbone PhantomCLIP --trainer vMFCoOp --seed 1 2 3

prints base, novel and harmonic mean of each seed, then both harmonic means over the seeds. It takes the flags and the
KEY VALUE pairs that scripts/run.sh gives to train.py.
"""

import argparse
import sys
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

from dassl.errors import command
from report import paper
from report.collect import FoundRun, find_runs
from report.groups import check_same_data
from report.render import GAP, Table, mean_std, render
from report.scores import Grid, Scores, hm_of_means, mean_of_hms, values_by
from report.stats import average_of_hms, harmonic_mean, hm_of_averages
from report.tables.few_shot import DIFFERENCES, PAIRED, difference_rows, points_of
from runs.layout import data_name, own_datasets, protocol_folder, seeds_folder
from runs.methods import check_method, default_seeds, split_protocol
from runs.options import split_options
from runs.spec import pairs

HM_OF_AVERAGES, AVERAGE_OF_HMS = "HM of the averages", "average of the HMs"


def base2new_table(
    base: Mapping[str, Scores],
    new: Mapping[str, Scores],
    grid: Grid,
    shots: int,
    source: str,
    metric: str,
    where: str,
    seen: str = "",
) -> Table:
    """Return rows per data set and metric, a method per column; the paper's own beneath if it has them.

    `seen` is the part of the note that says what the methods saw.
    """
    printed = [dataset for dataset in grid.datasets if dataset in paper.TABLE3["rows"]]
    own = metric == "accuracy" and shots == paper.NOVEL_SHOTS and bool(printed)
    averages = own and paper.has(grid.datasets)
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
    rows += _paper_averages(columns) if averages else []
    for dataset in grid.datasets:
        rows.append(line(dataset, "base", {m: b.cell(dataset, shots) for m, (b, _) in pairs.items()}))
        rows.append(line(dataset, "novel", {m: n.cell(dataset, shots) for m, (_, n) in pairs.items()}))
        rows.append(line(dataset, "HM", {m: _dataset_hm(b, n, dataset, shots) for m, (b, n) in pairs.items()}))
        rows += _paper_dataset(dataset, columns) if own and dataset in printed else []
    note = (
        "mean ± std over seeds (population std, divided by n); averages over data sets are of both. "
        f"{HM_OF_AVERAGES}: harmonic mean of the two rows above it, the paper's way. {AVERAGE_OF_HMS}: mean over the "
        "data sets of each one's HM, which other papers print under the same name; it is never the larger of the two. "
        f"HM of a data set: of its means over seeds. {seen}"
    ).strip()
    if own and not averages:
        note += " The paper's averages are left out, as it does not have all of these data sets."
    if averages:
        note += (
            f" {paper.RECOMPUTED}: taken here over the paper's 13 data sets; for BiomedCoOp and vMFCoOp its printed "
            "base averages are higher than the mean of its own rows, and with them its HMs."
        )
    title = f"Table 3: {metric} (%), base to novel at K = {shots}, {where}"
    return Table(f"table3_{shots}", title, ["data set", "metric", "source", *columns], rows, note)


def _dataset_hm(base: Scores, new: Scores, dataset: str, shots: int) -> str:
    b, n = base.mean(dataset, shots), new.mean(dataset, shots)
    return GAP if b is None or n is None else f"{harmonic_mean(b, n):.2f}"


def _paper_averages(columns: Sequence[str]) -> list[list[str]]:
    """Return the paper's averages as it prints them, then as its own rows give them."""
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
    source = paper.of_sets(len(paper.TABLE3["rows"]))
    return [_paper_line("average", what, source, values, columns) for what, values in lines] + [
        _paper_line("average", what, paper.RECOMPUTED, values, columns) for what, values in recomputed.items()
    ]


def _paper_dataset(dataset: str, columns: Sequence[str]) -> list[list[str]]:
    row = paper.TABLE3["rows"][dataset]
    return [_paper_line(dataset, what, paper.SOURCE, row[what], columns) for what in ("base", "novel")]


def _paper_line(dataset: str, what: str, source: str, values: Sequence[float], columns: Sequence[str]) -> list[str]:
    cells = dict(zip(paper.TABLE3["methods"], values, strict=True))
    return [dataset, what, source, *(f"{cells[m]:.2f}" if m in cells else GAP for m in columns)]


def differences_table(
    base: Mapping[str, Scores], new: Mapping[str, Scores], shots: int, subject: str, metric: str, where: str
) -> Table:
    """Return the subject's paired differences to each other method: base, novel, and the HM of each seed's pair."""
    bases, news = points_of(base, shots), points_of(new, shots)
    hms = {
        method: {key: harmonic_mean(value, news[method][key]) for key, value in each.items() if key in news[method]}
        for method, each in bases.items()
    }
    rows = difference_rows({"base": bases, "novel": news, "HM": hms}, subject)
    title = f"Base to novel at K = {shots}: paired differences in {metric} (points), {where}"
    return Table(f"differences_base2new_{shots}", title, [f"{subject} minus", "on", *PAIRED], rows, DIFFERENCES)


def seeds_text(base: Mapping[int | None, float], new: Mapping[int | None, float]) -> str:
    """Return a line per seed that has either value, mean ± std, and both harmonic means over the seeds with both."""
    both = [seed for seed in base if seed in new]
    rows = []
    for seed in sorted({*base, *new}, key=lambda seed: (seed is None, seed or 0)):
        hm = f"{harmonic_mean(base[seed], new[seed]):.2f}" if seed in both else GAP
        cells = (f"{each[seed]:.2f}" if seed in each else GAP for each in (base, new))
        rows.append([f"seed {seed}", *cells, hm])
    pairs = [base[seed] for seed in both], [new[seed] for seed in both]
    rows.append([f"mean ± std, n = {len(both)}", *map(mean_std, pairs), GAP])
    lines = [render(["", "base", "novel", "HM"], rows)]
    if both:
        averages = f"{HM_OF_AVERAGES}: {hm_of_averages(*pairs):.2f} (of the mean base and the mean novel accuracy)"
        lines += ["", averages, f"{AVERAGE_OF_HMS}: {average_of_hms(*pairs):.2f} (mean of the seeds' HM above)"]
    return "\n".join(lines)


def counted_runs(folder: Path, seeds: Collection[int], metric: str) -> list[FoundRun]:
    """Return the finished runs with `metric` of these seeds, of all for none; say on stderr which are not counted."""
    counted = []
    for run in find_runs(folder, test_log=True):
        if seeds and run.seed not in seeds:
            continue
        if run.finished and metric in run.metrics:
            counted.append(run)
        else:
            problem = run.problem or f"{run.path} has no metric {metric!r}; it has {', '.join(run.metrics)}."
            print(f"Not counted: {problem}", file=sys.stderr)
    return counted


def parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    parser = argparse.ArgumentParser(prog="python -m report.base2new", description="Base, novel and harmonic mean.")
    parser.add_argument("--output", default="output", help="folder of all runs (default: output)")
    parser.add_argument("--root", help="folder of the images, needed for --dataset folder and table")
    parser.add_argument("--dataset", required=True)
    parser.add_argument("--shots", type=int, required=True)
    parser.add_argument("--backbone", required=True)
    parser.add_argument("--trainer", required=True, help="trainer, or a folder of scripts/")
    parser.add_argument("--seed", nargs="+", help="seeds to print, or `default` (default: all that have runs)")
    parser.add_argument("--keyword", default="accuracy", help="metric to print (default: accuracy)")
    return parser


def print_seeds(
    output: str | Path,
    dataset: str,
    shots: int,
    trainer: str,
    backbone: str,
    seeds: Collection[int] = (),
    metric: str = "accuracy",
    options: Sequence[tuple[str, Any]] = (),
) -> bool:
    """Print a block per context (`nctx4_...`) of one method's base-to-novel runs.

    Args:
        output: root of all runs.
        dataset: name under which the runs are kept.
        shots: images per class.
        trainer: of the runs; its blocks are those of both protocols, whichever its name says.
        backbone: of the runs.
        seeds: to print; none for all that have runs.
        metric: to print.
        options: settings of the runs that are not those of the yaml files: pairs of key and value.

    Returns:
        Whether a seed has been tested on both base and novel classes.
    """
    trainer, _ = split_protocol(trainer)  # its folders are those of both protocols
    first, second = (
        seeds_folder(protocol_folder(output, part), dataset, shots, trainer, backbone).parent
        for part in ("base", "new")
    )
    complete = False
    for folder in sorted(first.glob("*/")):
        found = [counted_runs(place / folder.name, seeds, metric) for place in (first, second)]
        base, new = ([run for run in runs if run.made_with(options)] for runs in found)
        if not (base or new):
            continue
        check_same_data([*base, *new])
        values = [values_by(runs, metric, lambda run: run.seed) for runs in (base, new)]
        complete |= bool(values[0].keys() & values[1].keys())
        phantom = " (phantom)" if any(run.phantom for run in (*base, *new)) else ""
        what = f"{trainer} on {dataset}, K = {shots}, {backbone}{phantom}, {folder.name}"
        print(f"Base to novel: {what}; {metric} in percent, std of the population (numpy.std)\n")
        print(seeds_text(*values), end="\n\n")
    if not complete:
        check_method(trainer, others=[trainer] if first.is_dir() else [])
        where = Path(output) / "base2new" / "{train_base,test_new}" / dataset / f"shots_{shots}"
        print(f"Nothing to average in {where}: expected a seed with finished runs in both.", file=sys.stderr)
    return complete


@command
def main(argv: list[str] | None = None) -> int:
    """Print the runs of the command line; return 1 if no seed has been tested on both base and novel classes."""
    cli = parser()
    flags, options = split_options(sys.argv[1:] if argv is None else argv)
    args = cli.parse_args(flags)
    words = list(map(str, default_seeds(args.trainer))) if args.seed == ["default"] else args.seed or []
    if not all(word.isdecimal() and word.isascii() and len(word) < 16 for word in words):
        cli.error(f"expected --seed numbers, or default, but got {' '.join(args.seed)}")
    if args.dataset in own_datasets() and not args.root:
        cli.error(f"--dataset {args.dataset} needs --root, the folder of the images, whose name its runs bear")
    dataset, seeds = data_name(args.dataset, args.root or ""), set(map(int, words))
    what = args.output, dataset, args.shots, args.trainer, args.backbone, seeds, args.keyword
    return int(not print_seeds(*what, pairs(options)))


if __name__ == "__main__":
    sys.exit(main())
