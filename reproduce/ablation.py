"""Run the six rows of the paper's Table 2: few-shot, and base to novel at 16 images per class.

    python -m reproduce.ablation --dataset btmri --shots 1 4 --root phantoms --backbone PhantomCLIP --seed 1 2 3

The runs lie where few_shot.sh and base2new.sh put them; the folders of rows that lack a term say so, as in
nctx4_cscFalse_ctpend_claude__LAMBDA_SC=0. KEY VALUE pairs at the end override any setting.
"""

import argparse
import sys
from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

from dassl.errors import UserError, command
from grid.plan import parts
from report import base2new, paper
from report.tables.ablation import METHOD, Terms
from runs.layout import data_name
from runs.methods import default_seeds
from runs.options import positive, split_options
from runs.outcome import title
from runs.run import perform
from runs.screen import print_error
from runs.spec import RunSpec, default_backbone, pairs
from runs.tally import Tally

OFF: dict[str, tuple[str, bool | float]] = {  # term -> the option that switches it off
    "sce": (f"TRAINER.{METHOD.upper()}.SCE", False),
    "anc": (f"TRAINER.{METHOD.upper()}.LAMBDA_ANC", 0.0),
    "sc": (f"TRAINER.{METHOD.upper()}.LAMBDA_SC", 0.0),
}


class Row(NamedTuple):
    """A row of Table 2.

    Attributes:
        terms: of the loss.

    >>> row = Row(Terms(sce=True, anc=True, sc=False))
    >>> str(row.terms), row.options
    ('SCE + anc', (('TRAINER.VMFCOOP.LAMBDA_SC', 0.0),))
    """

    terms: Terms

    @property
    def options(self) -> tuple[tuple[str, bool | float], ...]:
        """The options that switch off the terms that the row lacks."""
        return tuple(option for term, option in OFF.items() if not getattr(self.terms, term))


ROWS = [Row(Terms(sce, anc, sc)) for sce in (False, True) for anc, sc in ((False, False), (True, False), (True, True))]


def run_rows(template: RunSpec, shots: Sequence[int]) -> bool:
    """Run every row few-shot and base to novel, say how many runs failed and why, and return whether all went well.

    Args:
        template: data set, seeds, root, backbone, output and options of all runs.
        shots: images per class of the few-shot runs.
    """
    tally, compared = Tally(), True
    for row in ROWS:
        print(f"== {METHOD} with {row.terms}", flush=True)
        spec = replace(template, trainer=METHOD, options=(*template.options, *row.options))
        for count in shots:
            ended_well(replace(spec, shots=count), tally)
        compared &= run_base_to_novel(replace(spec, shots=paper.NOVEL_SHOTS, setting="base2new"), tally)
    print(tally)
    return compared and not tally.failed


def run_base_to_novel(spec: RunSpec, tally: Tally) -> bool:
    """Learn on the base classes, test on base and novel ones, print both and their harmonic mean."""
    if not all(ended_well(part, tally) for part in parts(spec)):
        return False
    dataset = data_name(spec.dataset, spec.root)
    try:
        return base2new.print_seeds(
            spec.output, dataset, int(spec.shots or 0), spec.trainer, spec.backbone, spec.seeds, options=spec.options
        )
    except UserError as error:  # runs that cannot be compared; the other rows are run all the same
        print_error(str(error))
        tally.lines.append(f"not compared: {title(spec, spec.seeds)}, in {spec.output}: {error}")
        return False


def ended_well(spec: RunSpec, tally: Tally) -> bool:
    """Run a specification, count its runs, and return whether all are done."""
    outcomes = perform(spec)
    tally.add(spec, outcomes)
    return all(outcome.done for outcome in outcomes)


def parser() -> argparse.ArgumentParser:
    p = argparse.ArgumentParser(
        prog="python -m reproduce.ablation", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    p.add_argument("--trainer", default=METHOD, choices=[METHOD], help=f"{METHOD}, whose terms they are")
    p.add_argument("--dataset", required=True, help="key of a data set, such as btmri")
    p.add_argument("--shots", required=True, nargs="+", type=positive, help="images per class of the few-shot runs")
    p.add_argument("--root", default="phantoms", help='folder of the data sets, or "phantoms" (default)')
    p.add_argument("--backbone", default="", help="default: BiomedCLIP, or PhantomCLIP on phantoms")
    p.add_argument("--seed", nargs="+", default=["default"], help="seeds; or `default`: 1 2 3")
    p.add_argument("--output", default="output", help="root of all runs (default: output)")
    return p


def parse(argv: Sequence[str]) -> tuple[RunSpec, list[int]]:
    """Return what the runs of a command line have in common, and their images per class; a KEY ends the flags."""
    flags, options = split_options(argv)
    cli = parser()
    args = cli.parse_args(flags)
    seeds = default_seeds(METHOD)
    if args.seed != ["default"]:
        words = [word for given in args.seed for word in given.split(",") if word]
        if not all(word.isdecimal() for word in words):
            cli.error(f"expected --seed numbers, or default, but got {' '.join(args.seed)}")
        seeds = tuple(map(int, words))
    backbone = args.backbone or default_backbone(args.root)
    spec = RunSpec(METHOD, args.dataset, None, seeds, args.root, backbone, output=args.output, options=pairs(options))
    return spec, args.shots


@command
def main(argv: Sequence[str] | None = None) -> int:
    """Return 1 if a run failed, or was left to another process."""
    spec, shots = parse(sys.argv[1:] if argv is None else argv)
    return int(not run_rows(spec, shots))


if __name__ == "__main__":
    sys.exit(main())
