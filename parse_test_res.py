"""Mean and std over the seeds of an experiment.

python parse_test_res.py output/btmri/shots_16/vMFCoOp_PhantomCLIP/nctx4_cscFalse_ctpend_claude
"""

import argparse
import sys
from pathlib import Path
from statistics import fmean, pstdev
from typing import NamedTuple

import toolbox  # noqa: F401, its dassl comes first
from dassl.errors import command
from report.collect import FoundRun, find_experiments, find_runs
from report.groups import check_same_data
from report.render import FORMATS, render
from report.stats import ci95


class Summary(NamedTuple):
    """One experiment: its name, the runs that count, the mean of their values and its spread."""

    name: str
    runs: list[FoundRun]
    mean: float
    spread: float
    phantom: bool


def parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    parser = argparse.ArgumentParser(
        description="Mean and std over the seeds of an experiment, from metrics.json or log.txt."
    )
    parser.add_argument("positional", nargs="?", metavar="directory", help="folder that holds seed1/, seed2/, ...")
    parser.add_argument("--directory", help="the same, as BiomedCoOp's script has it")
    parser.add_argument(
        "--ci95",
        action="store_true",
        help="after +- print 1.96 std / sqrt(n) instead of the std; std is the population's (numpy.std, as in Dassl)",
    )
    parser.add_argument("--test-log", action="store_true", help="count logs that only test: they end in '=> result'")
    parser.add_argument(
        "--multi-exp",
        action="store_true",
        help="each sub-folder is an experiment; the average's +- is the mean of the experiments' own",
    )
    parser.add_argument("--keyword", default="accuracy", help="metric to print, such as macro_f1 (default: accuracy)")
    parser.add_argument("--format", default="text", choices=FORMATS, help="text (Dassl's lines) or a table")
    return parser


def summarise(directory: Path, metric: str, with_ci95: bool, test_log: bool) -> Summary | None:
    """Read one experiment and say on stderr what is not counted; return None if nothing is left.

    Args:
        directory: folder of its runs.
        metric: the figure that is averaged.
        with_ci95: the spread is half of the 95 % interval, instead of the std.
        test_log: logs that only test count as well.
    """
    runs = find_runs(directory, test_log)
    for run in runs:
        if not run.finished:
            print(f"Unfinished, not counted: {run.problem}", file=sys.stderr)
    finished = [run for run in runs if run.finished]
    counted = [run for run in finished if metric in run.metrics]
    for run in finished:
        if metric not in run.metrics:
            known = ", ".join(sorted(run.metrics))
            print(f"Not counted: {run.path} has no metric {metric!r}; it has {known}.", file=sys.stderr)
    if not counted:
        expected = "sub-folders such as seed1/ with the metrics.json or log.txt of a finished run"
        print(f"Nothing found in {directory}: expected {expected} that has {metric!r}.", file=sys.stderr)
        return None
    check_same_data(counted)
    values = [run.metrics[metric] for run in counted]
    spread = ci95(values) if with_ci95 else pstdev(values)
    return Summary(str(directory), counted, fmean(values), spread, any(run.phantom for run in counted))


def mark(phantom: bool) -> str:
    """Return the words that follow the name of what is a phantom."""
    return " (phantom)" if phantom else ""


def print_text(summary: Summary, keyword: str) -> None:
    """Print one experiment in Dassl's lines."""
    print(f"Parsing files in {summary.name}")
    for run in summary.runs:
        print(f"{run.path.name}: {keyword}: {run.metrics[keyword]:.2f}%")
    print("===")
    print(f"Summary of directory: {summary.name}{mark(summary.phantom)}")
    print(f"* {keyword}: {summary.mean:.2f}% +- {summary.spread:.2f}%")
    print("===")


@command
def main(argv: list[str] | None = None) -> int:
    """Print the tables; return 1 if nothing was found."""
    cli = parser()
    args = cli.parse_args(argv)
    if (args.positional is None) == (args.directory is None):
        cli.error("expected one directory, either alone or after --directory")
    directory = Path(args.positional or args.directory)
    folders, left_out = find_experiments(directory) if args.multi_exp else ([directory], [])
    for run in left_out:
        print(f"Not counted: {run.problem}", file=sys.stderr)
    summaries = [
        summary for folder in folders if (summary := summarise(folder, args.keyword, args.ci95, args.test_log))
    ]
    if not summaries:
        if not folders:
            print(f"Nothing found in {directory}: expected one sub-folder per experiment.", file=sys.stderr)
        return 1

    average = None
    if args.multi_exp:
        phantom = any(summary.phantom for summary in summaries)
        mean, spread = fmean(s.mean for s in summaries), fmean(s.spread for s in summaries)
        average = Summary("average", [], mean, spread, phantom)

    if args.format == "text":
        for summary in summaries:
            print_text(summary, args.keyword)
        if average:
            print(f"Average performance of {len(summaries)} experiments{mark(average.phantom)}")
            print(f"* {args.keyword}: {average.mean:.2f}% +- {average.spread:.2f}%")
        return 0

    def row(summary: Summary, name: str) -> list[str]:
        n = str(len(summary.runs) or len(summaries))
        return [name + mark(summary.phantom), f"{summary.mean:.2f}", f"{summary.spread:.2f}", n]

    if average:
        first = "experiment"
        rows = [row(s, Path(s.name).relative_to(directory).as_posix()) for s in summaries] + [row(average, "average")]
    else:
        first, (summary,) = "run", summaries
        rows = [[r.path.name + mark(r.phantom), f"{r.metrics[args.keyword]:.2f}", "", ""] for r in summary.runs]
        rows.append(row(summary, "mean"))
    headers = [first, f"{args.keyword} (%)", "ci95" if args.ci95 else "std", "n"]
    print(render(headers, rows, args.format))
    return 0


if __name__ == "__main__":
    sys.exit(main())
