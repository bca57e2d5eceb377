"""Base to novel on one data set: base, novel and harmonic mean of each seed, then both harmonic means over the seeds.

    python -m report.base2new --dataset btmri --shots 16 --backbone PhantomCLIP --trainer vMFCoOp --seed 1 2 3

takes the flags that scripts/run.sh gives to train.py, and is run at the end of every base2new.sh.
"""

import argparse
import sys
from collections.abc import Mapping
from pathlib import Path

from dassl.errors import command
from report.collect import Run, check_same_data, find_runs
from report.compare import NUMBER
from report.table3 import AVERAGE_OF_HMS, HM_OF_AVERAGES
from report.tables import GAP, average_of_hms, harmonic_mean, hm_of_averages, mean_std, render
from runs.layout import OWN, data_name, seeds_folder
from runs.methods import default_seeds


def parser() -> argparse.ArgumentParser:
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


def settings_folders(args: argparse.Namespace) -> list[tuple[Path, Path]]:
    """Folders of seeds on the base and on the novel classes, a pair for each setting (`nctx4_...`) that was run."""
    base, new = (
        seeds_folder(Path(args.output) / "base2new" / part, args.dataset, args.shots, args.trainer, args.backbone)
        for part in ("train_base", "test_new")
    )
    return [(folder, new.with_name(folder.name)) for folder in sorted(base.parent.glob("*/"))]


def by_seed(folder: Path, args: argparse.Namespace) -> dict[int | None, Run]:
    """Finished runs of the seeds that are asked for; says on stderr which others are not counted."""
    runs = {}
    for run in find_runs(folder, test_log=True):
        if args.seed and run.seed not in args.seed:
            continue
        if run.finished and args.keyword in run.metrics:
            runs[run.seed] = run
        else:
            problem = run.problem or f"{run.path} has no metric {args.keyword!r}; it has {', '.join(run.metrics)}."
            print(f"Not counted: {problem}", file=sys.stderr)
    return runs


def text(base: Mapping[int | None, float], new: Mapping[int | None, float]) -> str:
    """A line per seed that has either value, mean ± std, and the two harmonic means over the seeds that have both."""
    both = [seed for seed in base if seed in new]
    rows = []
    for seed in sorted({*base, *new}, key=lambda seed: (seed is None, seed)):
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


@command
def main(argv: list[str] | None = None) -> int:
    """Prints one block per setting; returns 1 where no seed has been tested on both base and novel classes."""
    cli = parser()
    args = cli.parse_args(argv)
    if args.seed:
        words = default_seeds(args.trainer) if args.seed == ["default"] else args.seed
        if not all(NUMBER.fullmatch(str(word)) for word in words):
            cli.error(f"expected --seed numbers, or default, but got {' '.join(args.seed)}")
        args.seed = [int(word) for word in words]
    if args.dataset in OWN and not args.root:
        cli.error(f"--dataset {args.dataset} needs --root, the folder of the images, whose name its runs bear")
    args.dataset = data_name(args.dataset, args.root or "")
    complete = False
    for folders in settings_folders(args):
        base, new = (by_seed(folder, args) for folder in folders)
        if not (base or new):
            continue
        check_same_data([*base.values(), *new.values()])
        complete |= bool(base.keys() & new.keys())
        phantom = " (phantom)" if any(run.phantom for run in (*base.values(), *new.values())) else ""
        what = f"{args.trainer} on {args.dataset}, K = {args.shots}, {args.backbone}{phantom}, {folders[0].name}"
        print(f"Base to novel: {what}; {args.keyword} in percent, std of the population (numpy.std)\n")
        values = ({seed: run.metrics[args.keyword] for seed, run in runs.items()} for runs in (base, new))
        print(text(*values), end="\n\n")
    if not complete:
        where = Path(args.output) / "base2new" / "{train_base,test_new}" / args.dataset / f"shots_{args.shots}"
        print(f"Nothing to average in {where}: expected a seed with finished runs in both.", file=sys.stderr)
    return int(not complete)


if __name__ == "__main__":
    sys.exit(main())
