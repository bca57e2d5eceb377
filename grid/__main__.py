"""Run the missing runs of methods x data sets x shots x seeds; a process loads the backbone once for all its runs.

    python -m grid --methods zeroshot coop vmfcoop --datasets btmri busi --shots 1 4 16 --seeds 1 2 3
    python -m grid --methods all --datasets all --shots all --root data --devices cuda:0 cuda:1 OPTIM.MAX_EPOCH 50

Run folders are those of train.py; KEY VALUE pairs at the end override any setting. A run that fails leaves a line, and
the others go on. The same command again runs those that are still missing; an interrupted run goes on from its last
epoch.
"""

import argparse
import signal
import sys
from collections.abc import Sequence

from dassl.errors import UserError, command
from grid.plan import Grid, plan
from grid.run import print_phantom_notice, run_grid
from runs.methods import METHODS
from runs.options import positive, split_options
from runs.outcome import title
from runs.spec import SETTINGS, RunSpec, pairs

RAY = (
    'a Ray cluster does the work, on all its GPUs or else CPU cores: HOST:PORT of its head, "auto", or "local" for a '
    "new one of this machine alone; this folder, --root and --output must be on a file system that all nodes share. "
    "Whoever reaches a head runs code on its nodes and here: name only one that you trust"
)


def parser() -> argparse.ArgumentParser:
    p = argparse.ArgumentParser(
        prog="python -m grid",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        usage="%(prog)s --methods M ... --datasets D ... --shots K ... [options] [KEY VALUE ...]",
    )
    p.add_argument("--methods", nargs="+", required=True, help=f"of {', '.join(METHODS)}, or trainers' names; or all")
    p.add_argument("--datasets", nargs="+", required=True, help="keys of data sets, such as btmri; or all")
    p.add_argument("--shots", nargs="+", type=shots, required=True, help="images per class; or all: 1 2 4 8 16 32 64")
    p.add_argument("--seeds", nargs="+", type=int, help="default: 1 2 3, and 1 where nothing is drawn or trained")
    p.add_argument("--setting", default="few_shot", choices=SETTINGS, help="base2new tests on novel classes too")
    p.add_argument("--root", default="phantoms", help='folder of the data sets (default: "phantoms", rendered)')
    p.add_argument("--backbone", default="", help="default: BiomedCLIP, or PhantomCLIP on phantoms")
    p.add_argument("--output", default="output", help="root of all runs (default: output)")
    p.add_argument("--devices", nargs="+", help="cpu, cuda:0, ...: a process for each (default: all GPUs, or cpu)")
    p.add_argument("--ray", metavar="ADDRESS", default="", help=RAY)
    p.add_argument("--cpus", type=int, default=1, help="CPU cores of a worker on Ray (default: 1)")
    p.add_argument("--dry-run", action="store_true", help="list what would be run")
    return p


def shots(word: str) -> int | str:
    """Return a number of images per class, or the word "all"."""
    return word if word == "all" else positive(word)


def parse(argv: Sequence[str]) -> tuple[Grid, argparse.Namespace]:
    """Return the runs that a command line asks for, and its flags; the first KEY ends the flags."""
    flags, options = split_options(argv)
    args = parser().parse_args(flags)
    if args.ray and args.devices:
        raise UserError(
            "Expected either --devices, which are of this machine, or --ray, which finds its own, but got both."
        )
    template = RunSpec(
        root=args.root, backbone=args.backbone, setting=args.setting, output=args.output, options=pairs(options)
    )
    return Grid(args.methods, args.datasets, args.shots, args.seeds, template), args


def print_plan(grid: Grid) -> None:
    """Print a line for each job that is missing."""
    print_phantom_notice(grid)
    jobs, finished = plan(grid)
    print("\n".join(title(job, job.seeds) for job in jobs))
    print(f"{sum(len(job.seeds) for job in jobs)} runs to be done, {finished} finished before.")


@command
def main(argv: Sequence[str] | None = None) -> int:
    """Return 1 if a run failed."""
    grid, args = parse(sys.argv[1:] if argv is None else argv)
    if args.dry_run:
        print_plan(grid)
        return 0
    summary = run_grid(grid, args.devices, args.ray, args.cpus)
    print(summary)
    return int(summary.failed > 0)


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # as if Ctrl-C were pressed
    sys.exit(main())
