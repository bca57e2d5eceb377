"""Draw few-shot accuracy of vMFCoOp by the number of sentences that it reads of each class.

    python -m reproduce prompts --datasets btmri busi --root data --shots 1 16

Runs what is missing, then writes a page with the picture and its numbers. A number that a bank of the data sets does
not have is left out, in one line. KEY VALUE pairs at the end go to all runs.
"""

import argparse
import sys
from collections.abc import Sequence
from dataclasses import replace
from functools import partial

from dassl.errors import UserError, command
from dassl.names import shared_name
from datasets.catalogue import find_class
from datasets.prompts import count_prompts
from report.plots import plot_curves
from report.render import Table
from report.tables.ablation import METHOD
from reproduce import series
from reproduce.page import Page, add_flags, make, read_line
from reproduce.series import METRIC, Found, Series
from runs.files import defaults
from runs.options import positive
from runs.spec import RunSpec, default_backbone

COUNTS = (5, 10, 25, 50, 150)
KEY = f"TRAINER.{METHOD.upper()}.N_PROMPTS"
TAKEN = {KEY: "--counts", "PROMPTS.LLM": "--llm", "MODEL.BACKBONE.NAME": "--backbone", "DATASET.NUM_SHOTS": "--shots"}


def series_of(counts: Sequence[int], llm: str, template: RunSpec) -> list[Series]:
    """Return the series of each number of sentences."""
    return [
        Series(
            (METHOD, str(count)),
            replace(
                template,
                trainer=METHOD,
                options=(*template.options, ("PROMPTS.LLM", llm), (KEY, count)),
            ),
        )
        for count in counts
    ]


def held(counts: Sequence[int], llm: str, datasets: Sequence[str]) -> list[int]:
    """Return the numbers of sentences that all banks of an LLM have, and print one line on those that they have not.

    Raises:
        UserError: a data set has no bank of this LLM; or no number is left.
    """
    sizes = {dataset: count_prompts(dataset, llm, find_class(dataset).classes) for dataset in datasets}
    fewest = min(sizes, key=lambda dataset: sizes[dataset])
    found = [count for count in counts if count <= sizes[fewest]]
    if more := [str(count) for count in counts if count > sizes[fewest]]:
        print(f"left out: {' '.join(more)} sentences: the bank of {llm} for {fewest} has {sizes[fewest]} of each class")
    if not found:
        raise UserError(f"Expected --counts of at most {sizes[fewest]}, but got {' '.join(more)}: name fewer.")
    return found


def draw(page: Page, found: Sequence[Found], backbone: str, llm: str) -> Table:
    """Draw what has been run, and return its numbers.

    Raises:
        UserError: the runs are not of the same images.
    """
    runs = [run for each in found for run in each.runs]
    series.check_runs(runs)
    points = found[0].scores.grid
    curves = {
        f"K = {k}": {int(each.series.names[-1]): each.curve[k] for each in found if each.curve[k]} for k in points.shots
    }
    what = f"{METRIC} (%) of {METHOD} by the number of sentences, those of {llm}, {shared_name(backbone)}"
    title = f"Sentences: {what}, {series.average_of(points)}, {series.images_of(runs)}"
    along = "sentences of each class"
    plot_curves(curves, page.picture, title, METRIC, svg=True, within=page.within, along=along)
    headers = ["method", "sentences", *series.AVERAGES]
    return Table("prompts", title, headers, [row for each in found for row in series.rows(each)], series.note(points))


def parser() -> argparse.ArgumentParser:
    p = argparse.ArgumentParser(
        prog="python -m reproduce prompts", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    p.add_argument("--counts", nargs="+", type=positive, default=list(COUNTS), help="sentences of each class")
    p.add_argument("--llm", help="folder of datasets/prompts/ (default: that of all runs)")
    p.add_argument("--backbone", help="default: BiomedCLIP, or PhantomCLIP on phantoms")
    add_flags(p, [16], "prompts")
    return p


@command
def main(argv: Sequence[str] | None = None) -> int:
    """Return 1 if a run failed or is missing."""
    words = list(sys.argv[1:] if argv is None else argv)
    args, template, page = read_line(parser(), "prompts", words, TAKEN)
    backbone, llm = args.backbone or default_backbone(args.root), args.llm or defaults(RunSpec()).PROMPTS.LLM
    points = series.span(args.datasets, args.shots, args.seeds)
    counts = held(sorted(set(args.counts)), llm, points.datasets)
    asked = series_of(counts, llm, replace(template, backbone=backbone))
    drawing = partial(draw, backbone=backbone, llm=llm)
    return make(page, asked, points, drawing, args.devices, args.write_only)


if __name__ == "__main__":
    sys.exit(main())
