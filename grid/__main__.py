"""Methods x data sets x shots x seeds: what is missing is run, several runs to a loaded backbone.

    python -m grid --methods zeroshot coop vmfcoop --datasets btmri busi --shots 1 4 16 --seeds 1 2 3
    python -m grid --methods all --datasets all --shots all --root data --devices cuda:0 cuda:1 OPTIM.MAX_EPOCH 50

Run folders are those of train.py; KEY VALUE pairs at the end override any setting. A run that fails leaves a line, and
the others go on. The same command again runs what is still missing, from the last epoch where one was interrupted.
"""

import argparse
import contextlib
import signal
import sys
from collections import Counter
from collections.abc import Iterator, Sequence

from tqdm import tqdm

from dassl.errors import UserError, command
from grid import cluster, local
from grid.devices import devices
from grid.local import Answer
from grid.plan import Grid, plan, title
from runs.methods import METHODS
from runs.options import positive, split_options
from runs.outcome import BEFORE, DONE, FAILED, LEFT, Outcome
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
    p.add_argument("--ray", metavar="ADDRESS", help=RAY)
    p.add_argument("--cpus", type=int, default=1, help="CPU cores of a worker on Ray (default: 1)")
    p.add_argument("--dry-run", action="store_true", help="list what would be run")
    return p


def shots(word: str) -> int | str:
    """A number of images per class, or "all"."""
    return word if word == "all" else positive(word)


def parse(argv: Sequence[str]) -> tuple[Grid, argparse.Namespace]:
    """Return the runs that are asked for, and the flags; the first KEY ends these."""
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


def lines(job: RunSpec, outcomes: Sequence[Outcome]) -> Iterator[str]:
    """A line for each reason why runs of a job are not done."""
    seeds: dict[tuple[str, str], list[Outcome]] = {}
    for outcome in outcomes:
        if outcome.state not in (DONE, BEFORE):
            seeds.setdefault((outcome.state, outcome.reason), []).append(outcome)
    for (state, reason), group in seeds.items():
        log = f" (log: {group[0].log})" if group[0].log else ""
        yield f"{state}: {title(job, [outcome.seed for outcome in group])}: {reason}{log}"


def work(jobs: Sequence[RunSpec], answers: Iterator[Answer]) -> Counter:
    """Take the answers to all jobs, with a progress bar; return how many runs came to which end."""
    states: Counter = Counter()
    runs = sum(len(job.seeds) for job in jobs)
    with contextlib.closing(answers), tqdm(total=runs, desc="Grid", unit="run", smoothing=0) as bar:
        for job, outcomes in answers:
            for line in lines(job, outcomes):
                bar.write(line, file=sys.stderr)
            states.update(outcome.state for outcome in outcomes)
            bar.set_postfix_str(f"{states[FAILED]} failed" if states[FAILED] else "", refresh=False)
            bar.update(len(outcomes))
    return states


@command
def main(argv: Sequence[str] | None = None) -> int:
    """Returns 1 where a run failed."""
    try:
        grid, args = parse(sys.argv[1:] if argv is None else argv)
        if args.root == "phantoms":
            print("The embedded phantoms (rendered, no medical data); --root FOLDER for real images.")
        jobs, finished = plan(grid)
        if args.dry_run:
            print("\n".join(title(job, job.seeds) for job in jobs))
            print(f"{sum(len(job.seeds) for job in jobs)} runs to be done, {finished} finished before.")
            return 0
        states: Counter = Counter()
        if jobs and args.ray:
            states = work(jobs, cluster.run(jobs, args.ray, args.cpus))
        elif jobs:
            states = work(jobs, local.run(jobs, devices(args.devices, grid.template.options)))
    except KeyboardInterrupt:
        print("Interrupted: what is done stays, the same command goes on from there.", file=sys.stderr)
        return 130
    left = f", {states[LEFT]} left to other processes" if states[LEFT] else ""
    again = "; the same command runs them again" if states[FAILED] else ""
    done = states[DONE] + states[BEFORE]
    print(f"{done} runs done, {finished} finished before{left}, {states[FAILED]} failed{again}.")
    return int(states[FAILED] > 0)


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # as if Ctrl-C were pressed
    sys.exit(main())
