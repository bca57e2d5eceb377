"""Methods side by side on one data set.

python -m report.compare --dataset btmri --shots 16 --backbone PhantomCLIP --methods zeroshot coop biomedcoop vmfcoop
"""

import argparse
import os
import re
import sys
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean

from dassl.errors import UserError, command
from dassl.names import check_name, file_name, shared_name
from report.collect import PHANTOM_BACKBONE, Run, check_same_data, find_runs
from report.commands import fill_command
from report.tables import GAP, Key, by_key, by_shots, mean_std, method_by_shots, paired_difference, render
from runs.layout import OWN, SETTING, data_name, seeds_folder
from runs.methods import METHODS, SEEDLESS, ZERO_SHOT, trainer_name

NUMBER = re.compile(r"\d{1,15}", re.ASCII)
COLUMNS = {
    "accuracy": "accuracy",
    "macro_f1": "macro-F1",
    "balanced_accuracy": "balanced accuracy",
    "auroc": "AUROC",
    "ece": "ECE",
}


@dataclass(frozen=True)
class Comparison:
    """Finished runs of each method (named as the user did), the gaps to fill, and whether phantoms are involved."""

    runs: dict[str, list[Run]]
    gaps: list[str]
    phantom: bool


def parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m report.compare", description="Methods side by side on one data set."
    )
    parser.add_argument("--output", default="output", help="folder of all runs (default: output)")
    parser.add_argument("--dataset", required=True)
    parser.add_argument("--root", help="folder of the images, needed for --dataset folder and table")
    parser.add_argument("--shots", nargs="+", required=True, help="one number, several, or all (those that have runs)")
    parser.add_argument("--backbone", required=True)
    parser.add_argument("--methods", nargs="+", required=True, help=f"of {', '.join(METHODS)}, or trainers' names")
    parser.add_argument(
        "--against", metavar="METHOD", help="method that is compared with the others (default: the last)"
    )
    parser.add_argument("--reference", metavar="METHOD", help="compare it with this one only (default: every other)")
    parser.add_argument("--keyword", default="accuracy", help="metric of differences and picture (default: accuracy)")
    parser.add_argument("--setting", default=SETTING, help=f"folder between method and seeds (default: {SETTING})")
    parser.add_argument("--format", default="text", choices=["text", "markdown", "latex"])
    parser.add_argument("--png", help="picture to write (default: beside the runs)")
    return parser


def parse_shots(words: list[str], folder: Path) -> list[int]:
    """Numbers of `words`, sorted; `all` stands for every shots_<K>/ that lies in `folder`."""
    words = " ".join(words).split()
    if words == ["all"]:
        words = [path.name.removeprefix("shots_") for path in folder.glob("shots_*")]
    if not words or not all(NUMBER.fullmatch(word) and int(word) for word in words):
        found = " ".join(words) or f"no shots_<K>/ in {folder}"
        raise UserError(f"--shots expects numbers such as 1 2 4 8 16, or all; found {found}.")
    return sorted({int(word) for word in words})


def gather(args: argparse.Namespace, shots: list[int]) -> Comparison:
    """Reads the runs of every method and number of shots, and lists what is missing."""
    cells: dict[tuple[str, int], list[Run]] = {}
    for method in args.methods:
        for k in shots:
            folder = seeds_folder(args.output, args.dataset, k, method, args.backbone, args.setting)
            # logs that only test count here: zero-shot methods have no others
            cells[method, k] = find_runs(folder, test_log=True)
    finished = {cell: [run for run in runs if run.finished] for cell, runs in cells.items()}
    every = [run for runs in finished.values() for run in runs]
    check_same_data(every)
    phantom = args.backbone == PHANTOM_BACKBONE or any(run.phantom for run in every)
    rendered = any(run.rendered for run in every) or (phantom and not every)

    gaps = []
    for (method, k), runs in finished.items():
        gaps += [f"unfinished: {run.problem}" for run in cells[method, k] if not run.finished]
        seeds = {run.seed for run in runs}
        others = {run.seed for (_, shots_), each in finished.items() if shots_ == k for run in each}
        missing = tuple(sorted(seed for seed in others - seeds if seed is not None))
        if runs and (not missing or trainer_name(method) in SEEDLESS):
            continue
        what = f"{trainer_name(method)} at K = {k}" + (f", seed {' '.join(map(str, missing))}" if runs else "")
        command = fill_command(
            method,
            args.dataset,
            k,
            args.backbone,
            data="phantoms" if rendered else os.environ.get("DATA", "<folder>"),
            output=args.output,
            seeds=missing if runs else (),
        )
        gaps.append(f"missing: {what}: {command}")
    return Comparison({m: [run for k in shots for run in finished[m, k]] for m in args.methods}, gaps, phantom)


def overview(comparison: Comparison) -> tuple[list[str], list[list[str]]]:
    """Headers and rows of the table at one number of shots: every metric as mean ± std over seeds."""
    rows = []
    for method, runs in comparison.runs.items():
        cells = [mean_std([run.metrics[key] for run in runs if key in run.metrics]) for key in COLUMNS]
        seconds = [run.seconds for run in runs if run.seconds is not None]
        rows.append([trainer_name(method), *cells, str(len(runs)), f"{fmean(seconds):.0f}" if seconds else GAP])
    return [_first_header(comparison), *COLUMNS.values(), "seeds", "seconds per seed"], rows


def differences(
    values: dict[str, dict[Key, float]], subject: str, others: list[str], phantom: bool
) -> tuple[list[str], list[list[str]]]:
    """Headers and rows of the paired differences: the subject's value minus each other's."""
    rows = []
    for other in others:
        paired = paired_difference(values[subject], _every_seed(values[other], values[subject], other))
        size = f"{paired.mean:+.2f} ± {paired.std:.2f}" if paired.n else GAP
        p = GAP if paired.p is None else f"{paired.p:.3g}"
        rows.append([trainer_name(other), size, str(paired.n), p])
    mark = " (phantom)" if phantom else ""
    return [f"{trainer_name(subject)} minus{mark}", "points", "pairs", "Wilcoxon p"], rows


def _every_seed(values: dict[Key, float], partners: dict[Key, float], method: str) -> dict[Key, float]:
    """A single run of a method that has no seeds answers for every seed of its partner."""
    single = {key[:2]: value for key, value in values.items()}
    if trainer_name(method) not in SEEDLESS or len(single) < len(values):
        return values
    return {key: single[key[:2]] for key in partners if key[:2] in single}


def _first_header(comparison: Comparison) -> str:
    return "method (phantom)" if comparison.phantom else "method"


def picture(args: argparse.Namespace, shots: list[int], values: dict[str, dict[Key, float]], title: str) -> Path:
    """Write the PNG of the comparison and return its path."""
    from report.plots import plot_curves, plot_methods

    name = f"comparison_{file_name(args.backbone)}.png"
    folder = Path(args.output) / file_name(args.dataset) / (f"shots_{shots[0]}" if len(shots) == 1 else "")
    path, within = (Path(args.png), None) if args.png else (folder / name, args.output)
    metric = COLUMNS.get(args.keyword, args.keyword)
    if len(shots) == 1:
        dots = {trainer_name(method): list(each.values()) for method, each in values.items()}
        plot_methods(dots, path, title, metric, ZERO_SHOT, within=within)
    else:
        curves = {trainer_name(method): by_shots(each) for method, each in values.items()}
        plot_curves(curves, path, title, metric, ZERO_SHOT, within=within)
    return path


@command
def main(argv: list[str] | None = None) -> int:
    """Prints tables, differences and gaps, writes the picture; returns 1 where no run has finished."""
    cli = parser()
    args = cli.parse_args(argv)
    args.methods = list(dict.fromkeys(args.methods))
    for word, flag in [*((method, "methods") for method in args.methods), (args.dataset, "dataset")]:
        check_name(word, flag, f"--{flag}")
    if args.dataset in OWN and not args.root:
        cli.error(f"--dataset {args.dataset} needs --root, the folder of the images, whose name its runs bear")
    args.dataset = data_name(args.dataset, args.root or "")
    subject = args.against or args.methods[-1]
    others = [args.reference] if args.reference else [method for method in args.methods if method != subject]
    for name in (subject, *others):
        if name not in args.methods:
            cli.error(f"{name} is none of --methods {' '.join(args.methods)}")
    if args.reference == subject:
        cli.error(f"--reference {subject} is the method that is compared itself: name another one with --against")
    try:
        shots = parse_shots(args.shots, Path(args.output) / file_name(args.dataset))
    except UserError as error:
        cli.error(str(error))

    comparison = gather(args, shots)
    values = {method: by_key(runs, args.keyword) for method, runs in comparison.runs.items()}
    if any(values.values()):
        title = f"{args.dataset}, K = {', '.join(map(str, shots))}, {shared_name(args.backbone)}"
        title += " (phantom)" if comparison.phantom else ""
        print(f"{title}: mean ± std over seeds, in percent\n")
        if len(shots) == 1:
            headers, rows = overview(comparison)
        else:
            headers, rows = method_by_shots({trainer_name(method): each for method, each in values.items()}, shots)
            headers[0] = _first_header(comparison)
        print(render(headers, rows, args.format), end="\n\n")
        if others:
            print(f"Paired difference in {COLUMNS.get(args.keyword, args.keyword)} on the same shots and seeds\n")
            print(render(*differences(values, subject, others, comparison.phantom), args.format), end="\n\n")
        print(f"Picture: {picture(args, shots, values, title)}")
    else:
        where = Path(args.output) / args.dataset
        print(
            f"No finished run with {args.keyword!r} in {where}: expected those of the commands below.", file=sys.stderr
        )
    for gap in comparison.gaps:
        print(gap)
    return 0 if any(values.values()) else 1


if __name__ == "__main__":
    sys.exit(main())
