"""One run, or one per seed: flags -> config -> trainer -> log.txt, metrics.json, checkpoint.

    python train.py --root phantoms --backbone PhantomCLIP --trainer vMFCoOp --dataset btmri --shots 16 --seed 1 2 3

Several seeds are run together, a step of each at a time, with one backbone; each has its own folder, as if run alone.
Trainers of another checkout (`--with`) run one seed after the other, with the settings that its own scripts name, into
`<output>/<the checkout's name>`.
`--dataset` and `--setting` name files below configs/; Dassl's `--dataset-config-file` and `--config-file`
work as ever, and KEY VALUE pairs at the end override any setting. A run that was interrupted goes on from its last
epoch; a finished one is left alone. The console shows what is special about a run, its progress and its results; all
else is in the run's log.txt, and with VERBOSE True on the console too.
"""

import argparse
import itertools
import re
import sys

import toolbox  # noqa: F401, its dassl comes first
from dassl.errors import UserError, command
from runs.methods import default_seeds
from runs.options import KEY, positive
from runs.spec import SETTINGS, RunSpec, pairs
from runs.tally import note

NEGATIVE = re.compile(r"-\.?\d")  # begins a value such as -1e-3 or -160:240; argparse would take it for a flag
NUMBERS = re.compile(r"-?\d+(,-?\d+)*,?$")  # 1, or 1,2,3
LIKE_A_KEY = re.compile(r"[A-Za-z]+[._]")  # optim.lr, LAMBDA_ANC: an unknown setting rather than a seed


def parser() -> argparse.ArgumentParser:
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--root", default="", help='folder of the data sets, or "phantoms"')
    p.add_argument("--trainer", default="", help="method, such as vMFCoOp or its short name vmfcoop")
    p.add_argument("--with", dest="checkout", default="", help="folder of a CoOp-style checkout whose trainers to add")
    p.add_argument(
        "--backbone",
        default="",
        help="BiomedCLIP (default), CLIP, PhantomCLIP (default on phantoms), hf-hub:..., local-dir:...",
    )
    p.add_argument("--dataset", default="", help="data set, such as btmri; folder or table for images of your own")
    p.add_argument("--shots", type=positive, help="training images per class, any number: 1, 5, 16, ...")
    p.add_argument("--setting", default="few_shot", choices=SETTINGS, help="which settings of the trainer")
    p.add_argument(
        "--seed",
        nargs="+",
        default=[],
        help="seed of draw and training; several; or `default`: 1 2 3, or 1 if nothing is drawn",
    )
    p.add_argument("--output", default="output", help="root of all runs; the run's own folder follows from the flags")
    p.add_argument("--output-dir", default="", help="the run's own folder, instead")
    p.add_argument("--subsample", default="", choices=["", "all", "base", "new"], help="which classes")
    p.add_argument("--dataset-config-file", default="", help="yaml of the data set")
    p.add_argument("--config-file", default="", help="yaml of the trainer")
    p.add_argument("--resume", default="", help="folder to resume from, if not the run's own")
    p.add_argument("--eval-only", action="store_true", help="test what --model-dir holds")
    p.add_argument("--model-dir", default="", help="run folder to load from; of the base classes by default")
    p.add_argument("--load-epoch", type=int, help="epoch to load, the last one by default")
    p.add_argument("--no-train", action="store_true", help="build everything, train nothing")
    p.add_argument("opts", nargs=argparse.REMAINDER, help="KEY VALUE ... overriding the config")
    p._negative_number_matcher = NEGATIVE
    return p


def parse(argv: list[str] | None = None) -> RunSpec:
    """Return the runs that a command line asks for; words after the numbers of --seed are settings."""
    flags = vars(parser().parse_args(argv))
    words, opts = flags.pop("seed"), flags.pop("opts")
    if words[:1] == ["default"]:
        words[:1] = map(str, default_seeds(flags["trainer"]))
    numbers = list(itertools.takewhile(NUMBERS.match, words))
    settings = words[len(numbers) :]
    if settings and not (KEY.fullmatch(settings[0]) or LIKE_A_KEY.match(settings[0])):
        raise UserError(
            f"Expected seeds such as 1 2 3 or 1,2,3 (--seed, SEEDS), but got {settings[0]!r}: write whole numbers."
        )
    seeds = tuple(int(number) for number in ",".join(numbers).split(",") if number)
    return RunSpec(**flags, seeds=seeds, options=pairs([*settings, *opts]))


@command
def main(argv: list[str] | None = None) -> int:
    """Return 1 if a run failed, or was left to another process."""
    spec = parse(argv)
    from runs.run import perform  # PyTorch is not needed to print --help

    outcomes = perform(spec)
    note(spec, outcomes)
    return int(not all(outcome.done for outcome in outcomes))


if __name__ == "__main__":
    sys.exit(main())
