"""Draw the paper's Figure 3: few-shot accuracy by backbone (bars, one LLM) and by LLM (curves, one backbone).

    python -m reproduce figure3 --backbones BiomedCLIP PubMedCLIP --llms gpt4 claude --datasets all --root data
    python -m reproduce figure3 --llms claude --datasets btmri --shots 1 4 16        # PhantomCLIP on the phantoms

Runs vMFCoOp, and BiomedCoOp as the baseline, where they are missing, then writes a page with the picture and its
numbers. All backbones read the first LLM's sentences, and the first backbone reads those of all LLMs. A dashed line is
BiomedCoOp with the bar's backbone and the same sentences; a triangle is its average over all LLMs. Finished runs are
left alone, those of few_shot.sh too; what fails or cannot be had is said in a line and is a gap. KEY VALUE pairs at the
end go to all runs.
"""

import argparse
import itertools
import sys
from collections.abc import Sequence
from dataclasses import replace
from functools import partial

from clip.build import source_of
from dassl.errors import command
from dassl.names import shared_name
from datasets.catalogue import find_class
from datasets.prompts import bank_path, count_prompts
from report.render import Table
from report.tables.ablation import METHOD
from reproduce import series
from reproduce.bars import View, plot_views
from reproduce.page import Page, add_flags, make, read_line
from reproduce.series import METRIC, Found, Series
from runs.files import defaults
from runs.spec import RunSpec, default_backbone

BASELINE = "BiomedCoOp"
SHOTS = (1, 2, 4, 8, 16)
TAKEN = {"PROMPTS.LLM": "--llms", "MODEL.BACKBONE.NAME": "--backbones", "DATASET.NUM_SHOTS": "--shots"}


def pairings(backbones: Sequence[str], llms: Sequence[str]) -> list[tuple[str, str]]:
    """Return the pairs of backbone and LLM: all backbones with the first LLM, and the first backbone with all LLMs.

    >>> pairings(["A", "B"], ["x", "y"])
    [('A', 'x'), ('B', 'x'), ('A', 'y')]
    """
    bars, curves = [(name, llms[0]) for name in backbones], [(backbones[0], llm) for llm in llms]
    return list(dict.fromkeys([*bars, *curves]))


def short_names(backbones: Sequence[str]) -> dict[str, str]:
    """Return backbones as a page names them: a folder by its last part, with a number where that is not enough.

    >>> list(short_names(["CLIP", "local-dir:/a/model", "local-dir:/b/model"]).values())
    ['CLIP', 'local-dir:model', 'local-dir:model (2)']
    """
    found: dict[str, str] = {}
    for backbone in backbones:
        name = shared_name(backbone)
        names = itertools.chain([name], (f"{name} ({i})" for i in itertools.count(2)))
        found[backbone] = next(each for each in names if each not in found.values())
    return found


def series_of(backbones: Sequence[str], llms: Sequence[str], template: RunSpec) -> list[Series]:
    """Return the series of both methods at each pair of backbone and LLM."""
    names = short_names(backbones)
    return [
        Series(
            (trainer, names[backbone], llm),
            replace(
                template,
                trainer=trainer,
                backbone=backbone,
                options=(*template.options, ("PROMPTS.LLM", llm)),
            ),
        )
        for backbone, llm in pairings(backbones, llms)
        for trainer in (METHOD, BASELINE)
    ]


def check_llms(llms: Sequence[str], datasets: Sequence[str]) -> None:
    """Raise a UserError for an LLM that has no bank for any of the data sets."""
    for llm in llms:
        if not any(bank_path(llm, dataset).is_file() for dataset in datasets):
            count_prompts(datasets[0], llm, find_class(datasets[0]).classes)  # says which there are


def views(found: Sequence[Found], llms: Sequence[str]) -> tuple[View, View]:
    """Return both panels."""
    known = {each.series.names: each for each in found}
    backbones = list(dict.fromkeys(backbone for _, backbone, _ in known))
    phantoms = {each.series.names[1] for each in found if any(run.record.phantom_backbone for run in each.runs)}
    labels = {name: f"{name} (phantom)" if name in phantoms else name for name in backbones}

    def bars(trainer: str) -> dict[str, dict[int, list[float]]]:
        return {labels[name]: known[trainer, name, llms[0]].curve for name in backbones}

    def curves(trainer: str) -> dict[str, dict[int, list[float]]]:
        return {llm: known[trainer, backbones[0], llm].curve for llm in llms}

    mark = f"{BASELINE}, mean of LLMs" if len(llms) > 1 else BASELINE
    return (
        View(
            f"{METHOD} by backbone, sentences of {llms[0]}", bars(METHOD), bars(BASELINE), f"{BASELINE}, same backbone"
        ),
        View(f"{METHOD} by LLM, {labels[backbones[0]]}", curves(METHOD), curves(BASELINE), mark),
    )


def draw(page: Page, found: Sequence[Found], llms: Sequence[str]) -> Table:
    """Draw what has been run, and return its numbers.

    Raises:
        UserError: the runs are not of the same images.
    """
    runs = [run for each in found for run in each.runs]
    series.check_runs(runs)
    points = found[0].scores.grid
    what = f"{METRIC} (%) of {METHOD} by backbone and by LLM, {series.average_of(points)}"
    title = f"Figure 3: {what}, {series.images_of(runs)}"
    bars, curves = views(found, llms)
    plot_views(bars, curves, page.picture, title, METRIC, svg=True, within=page.within)
    note = (
        f"Bars: all backbones with the sentences of {llms[0]}; a dashed line is {BASELINE} with the same backbone and "
        f"sentences. Curves: {found[0].series.names[1]} with the sentences of each LLM; a triangle is {BASELINE}'s "
        f"average over them, where all are there. {series.note(points)} The paper prints its Figure 3 as a picture "
        "alone: no figure of its is beside these."
    )
    headers = ["method", "backbone", "LLM", *series.AVERAGES]
    return Table("figure3", title, headers, [row for each in found for row in series.rows(each)], note)


def parser() -> argparse.ArgumentParser:
    p = argparse.ArgumentParser(
        prog="python -m reproduce figure3", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    p.add_argument("--backbones", nargs="+", help="default: BiomedCLIP, or PhantomCLIP on phantoms")
    p.add_argument("--llms", nargs="+", help="folders of datasets/prompts/ (default: that of all runs)")
    add_flags(p, SHOTS, "figure3")
    return p


@command
def main(argv: Sequence[str] | None = None) -> int:
    """Return 1 if a run failed or is missing."""
    words = list(sys.argv[1:] if argv is None else argv)
    args, template, page = read_line(parser(), "figure3", words, TAKEN)
    backbones = list(dict.fromkeys(args.backbones or [default_backbone(args.root)]))
    for name in backbones:
        source_of(name)  # an unknown one is refused before hours of runs of the others
    llms = list(dict.fromkeys(args.llms or [defaults(RunSpec()).PROMPTS.LLM]))
    points, asked = series.span(args.datasets, args.shots, args.seeds), series_of(backbones, llms, template)
    check_llms(llms, points.datasets)
    drawing = partial(draw, llms=llms)
    return make(page, asked, points, drawing, args.devices, args.write_only)


if __name__ == "__main__":
    sys.exit(main())
