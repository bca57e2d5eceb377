"""Mean and std over the seeds of an experiment, or of one method on each data set and on average over them.

python parse_test_res.py output/btmri/shots_16/vMFCoOp_PhantomCLIP/nctx4_cscFalse_ctpend_claude
python parse_test_res.py output --method vMFCoOp --shots 16
"""

import argparse
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from statistics import fmean

import toolbox  # noqa: F401, its dassl comes first
from dassl.errors import command
from dassl.names import check_name
from report.collect import find_runs
from report.render import FORMATS, GAP, latex_comment, markdown, render
from report.stats import average_of_hms, harmonic_mean, hm_of_averages
from report.tables.experiments import (
    BOTH,
    CLASSES,
    Asked,
    Experiment,
    Kind,
    average,
    cells_of,
    experiment_of,
    find_kinds,
)
from runs.methods import METHODS

Block = tuple[str, list[str], list[list[str]]]  # title, headers and rows of a table


def parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    parser = argparse.ArgumentParser(
        description="Mean and std over the seeds of an experiment, from metrics.json or log.txt. With --method, or any "
        "of the four flags after it: a line per data set, then the average over them, of all such runs below a folder. "
        "Runs that differ in more than data set and seed are never averaged: each kind has a table of its own."
    )
    parser.add_argument("positional", nargs="?", metavar="directory", help="folder that holds seed1/, seed2/, ...")
    parser.add_argument("--directory", help="the same, as BiomedCoOp's script has it")
    parser.add_argument("--method", default="", help=f"of {', '.join(METHODS)}, or a trainer's name")
    parser.add_argument("--shots", type=int)
    parser.add_argument("--backbone", default="")
    parser.add_argument(
        "--setting", default="", help="few_shot, base2new, or the folder between method and seeds (nctx4_...)"
    )
    parser.add_argument(
        "--subsample",
        default="",
        choices=[*CLASSES, BOTH],
        help="classes of the test; both: base and novel, with their harmonic mean",
    )
    parser.add_argument(
        "--ci95",
        action="store_true",
        help="after +- print 1.96 std / sqrt(n) instead of the std; std is the population's (numpy.std, as in Dassl)",
    )
    parser.add_argument("--test-log", action="store_true", help="count logs that only test: they end in '=> result'")
    parser.add_argument(
        "--multi-exp",
        action="store_true",
        help="each sub-folder is an experiment; an average's +- is the mean of the experiments' own",
    )
    parser.add_argument("--keyword", default="accuracy", help="metric to print, such as macro_f1 (default: accuracy)")
    parser.add_argument("--format", default="text", choices=FORMATS, help="text (Dassl's lines) or a table")
    return parser


def mark(experiments: Iterable[Experiment]) -> str:
    """Return the words that follow the name of what is a phantom."""
    return " (phantom)" if any(each.phantom for each in experiments) else ""


def print_text(experiment: Experiment, keyword: str) -> None:
    """Print one experiment in Dassl's lines."""
    print(f"Parsing files in {experiment.folder}")
    for run in experiment.runs:
        print(f"{run.path.name}: {keyword}: {run.metrics[keyword]:.2f}%")
    single = " (n = 1, no std)" if experiment.single else ""
    print("===")
    print(f"Summary of directory: {experiment.folder}{mark([experiment])}")
    print(f"* {keyword}: {experiment.mean:.2f}% +- {experiment.spread:.2f}%{single}")
    print("===")


def print_average(experiments: Sequence[Experiment], keyword: str, of: str = "") -> None:
    """Print the average of experiments in Dassl's lines; `of` says which they are."""
    alone = sum(each.single for each in experiments)
    single = f" ({alone} of n = 1, no std)" if alone else ""
    print(f"Average performance of {len(experiments)} experiments{of and f' of {of}'}{mark(experiments)}")
    mean, spread = fmean(each.mean for each in experiments), fmean(each.spread for each in experiments)
    print(f"* {keyword}: {mean:.2f}% +- {spread:.2f}%{single}")


def block(
    kind: Kind, experiments: Sequence[Experiment], headers: Sequence[str], directory: Path, by_folder: bool
) -> Block:
    """Return the table of one kind of experiments.

    Args:
        kind: what they share.
        experiments: of one data set each.
        headers: of mean and spread.
        directory: folder that they lie below.
        by_folder: rows are called after folders, instead of after data sets.
    """
    rows = []
    for each in experiments:
        folder = each.folder.relative_to(directory).as_posix()
        rows.append([(folder if by_folder else each.dataset or folder) + mark([each]), *each.cells])
    first, what, n = ("experiment", "average", str(len(rows))) if by_folder else ("data set", _average(len(rows)), "")
    return kind.title, [first, *headers, "n"], [*rows, [what + mark(experiments), *cells_of(*average(experiments)), n]]


def _average(n: int) -> str:
    return f"average over {n} data set{'s' * (n > 1)}"


def base_to_novel(kinds: Mapping[Kind, list[Experiment]], metric: str) -> list[Block]:
    """Return a table for each kind that was tested on base or novel classes, with harmonic means of the means.

    A data set that was tested on one of the two is a row, and counts for no average.
    """
    blocks = []
    for kind in dict.fromkeys(kind._replace(classes=BOTH) for kind in kinds):
        sides = [{each.dataset: each for each in kinds.get(kind._replace(classes=c), [])} for c in ("base", "new")]
        rows, pairs = [], []
        for dataset in dict.fromkeys(name for side in sides for name in side):
            found = [side[dataset] for side in sides if dataset in side]
            cells = [_cell([side[dataset]]) if dataset in side else GAP for side in sides]
            hm = f"{harmonic_mean(*(each.mean for each in found)):.2f}" if len(found) == 2 else GAP
            pairs += [found] if len(found) == 2 else []
            counts = dict.fromkeys(str(len(each.runs)) for each in found)
            rows.append([dataset + mark(found), *cells, hm, "/".join(counts)])
        if pairs:
            base, new = zip(*pairs, strict=True)
            means = [each.mean for each in base], [each.mean for each in new]
            what = _average(len(pairs)) + mark([*base, *new])
            rows.append([f"{what}, HM of the averages", _cell(base), _cell(new), f"{hm_of_averages(*means):.2f}", ""])
            rows.append([f"{what}, average of the HMs", "", "", f"{average_of_hms(*means):.2f}", ""])
        blocks.append((kind.title, ["data set", f"base {metric} (%)", "novel", "HM", "n"], rows))
    return blocks


def _cell(experiments: Sequence[Experiment]) -> str:
    mean, spread = cells_of(*average(experiments))
    return mean if spread == GAP else f"{mean} ± {spread}"


def print_blocks(blocks: Sequence[Block], style: str) -> None:
    """Print tables below their titles; as CSV one table, whose first column has the titles if there are several."""
    if style == "csv":
        several = len(blocks) > 1
        rows = [[title, *row] if several else row for title, _, each in blocks for row in each]
        _, headers, _ = blocks[0]
        print(render(["runs", *headers] if several else headers, rows, style))
        return
    shown = {"markdown": markdown, "latex": latex_comment}.get(style, str)
    for number, (title, headers, rows) in enumerate(blocks):
        print(*([""] if number else []), *([shown(title), ""] if title else []), render(headers, rows, style), sep="\n")


@command
def main(argv: list[str] | None = None) -> int:
    """Print the tables; return 1 if nothing was found."""
    cli = parser()
    args = cli.parse_args(argv)
    if (args.positional is None) == (args.directory is None):
        cli.error("expected one directory, either alone or after --directory")
    for flag in ("method", "backbone", "setting"):
        if named := getattr(args, flag):
            check_name(named, flag, f"--{flag}")
    directory, spread = Path(args.positional or args.directory), "ci95" if args.ci95 else "std"
    asked = Asked(args.method, args.shots, args.backbone, args.setting, args.subsample, args.test_log)
    if not (asked or args.multi_exp):
        return parse_one(directory, args.keyword, args.ci95, args.test_log, args.format)
    kinds = find_kinds(directory, asked, args.keyword, args.ci95)
    if not kinds:
        print(f"Nothing found in {directory}: expected finished runs below it, with {args.keyword!r}.", file=sys.stderr)
        return 1
    if args.subsample == BOTH:
        print_blocks(base_to_novel(kinds, args.keyword), args.format)
    elif args.multi_exp and args.format == "text":
        for kind, experiments in kinds.items():
            for experiment in experiments:
                print_text(experiment, args.keyword)
            print_average(experiments, args.keyword, kind.title if len(kinds) > 1 else "")
    else:
        headers = [f"{args.keyword} (%)", spread]
        print_blocks([block(*each, headers, directory, args.multi_exp) for each in kinds.items()], args.format)
    return 0


def parse_one(directory: Path, keyword: str, with_ci95: bool, test_log: bool, style: str) -> int:
    """Print one experiment; return 1 if it has no run that counts."""
    experiment = experiment_of(directory, find_runs(directory, test_log), keyword, with_ci95)
    if experiment is None:
        expected = "sub-folders such as seed1/ with the metrics.json or log.txt of a finished run"
        print(f"Nothing found in {directory}: expected {expected} that has {keyword!r}.", file=sys.stderr)
        return 1
    if style == "text":
        print_text(experiment, keyword)
        return 0
    rows = [[run.path.name + mark([experiment]), f"{run.metrics[keyword]:.2f}", "", ""] for run in experiment.runs]
    rows.append(["mean" + mark([experiment]), *experiment.cells])
    print(render(["run", f"{keyword} (%)", "ci95" if with_ci95 else "std", "n"], rows, style))
    return 0


if __name__ == "__main__":
    sys.exit(main())
