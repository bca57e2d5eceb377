"""Measure whether saliency maps show the lesions: pointing game and energy, by method, shots and kind of map.

    python -m reproduce saliency                                       # the confirmation half of the phantoms
    python -m reproduce saliency --datasets btmri --shots 16 --seeds 1 --kinds legrad --to build/saliency.md
    python -m reproduce saliency --write-only --contrast no            # runs nothing; the logits as they are

Methods are trained where they have not been (as python -m grid does). The maps are those of each picture's true class,
on the first test images of each class that have a mask of their lesion beside them (`mask/<same name>.png`); classes
are left out of which most images have none. In --to the text above the mark is kept.
"""

import argparse
import shlex
import sys
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from statistics import fmean, pstdev
from typing import Any

from dassl.console import printable
from dassl.errors import UserError, command
from explain.saliency import KINDS
from report.collect import FoundRun
from report.render import GAP, render, without_places
from reproduce.kept import write_below
from reproduce.posterior_runs import VIEWS
from reproduce.provenance import commit, today
from reproduce.saliency_scores import BLIND, CENTRE, Score, score_dataset
from reproduce.series import Found, Series, find, images_of, run_missing, span
from runs.methods import SEEDLESS, row_name, trainer_name
from runs.options import positive, split_options
from runs.spec import PHANTOMS, RunSpec, default_backbone, pairs

ROOT = Path(__file__).parents[1]
WITH_LESIONS = ("kvasir", "lmri", "octmnist", "pmri", "retina")  # of the confirmation half
METHODS = ("zeroshot", "kgcoop", "biomedcoop", "vmfcoop", "vmfposterior", "vmfprototypes")
CONTRASTS = {"yes": (True,), "no": (False,), "both": (True, False)}
NAMES = {"grad_eclip": "Grad-ECLIP", "gscorecam": "gScoreCAM", "legrad": "LeGrad", "occlusion": "occlusion"}
MARK = "<!-- What follows is written by python -m reproduce saliency; what stands above is kept. -->"


def parser() -> argparse.ArgumentParser:
    p = argparse.ArgumentParser(
        prog="python -m reproduce saliency", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    p.add_argument("--datasets", nargs="+", default=list(WITH_LESIONS), help=f"default: {' '.join(WITH_LESIONS)}")
    p.add_argument("--methods", nargs="+", default=list(METHODS), help=f"default: {' '.join(METHODS)}")
    p.add_argument("--shots", nargs="+", type=positive, default=[1, 16], help="default: 1 16")
    p.add_argument("--seeds", nargs="+", type=int, default=[1, 2, 3, 4, 5], help="default: 1 2 3 4 5")
    p.add_argument("--kinds", nargs="+", default=list(KINDS), choices=list(KINDS), help="default: all")
    p.add_argument("--contrast", default="both", choices=list(CONTRASTS), help="less the mean of all logits (both)")
    p.add_argument("--pictures", type=positive, default=20, help="of each class at most (default: 20)")
    p.add_argument("--root", default=PHANTOMS, help='folder of the data sets, or "phantoms" (default)')
    p.add_argument("--output", default="build/saliency", help="folder of all runs (default: build/saliency)")
    p.add_argument("--to", default=str(ROOT / "docs" / "SALIENCY.md"), help="default: docs/SALIENCY.md")
    p.add_argument("--write-only", action="store_true", help="run nothing")
    return p


def series_of(
    methods: Iterable[str], root: str, output: str, seeds: Sequence[int], options: tuple[tuple[str, Any], ...]
) -> list[tuple[Series, Sequence[int]]]:
    """Return the series of each method and its seeds: one where all seeds are alike."""
    common = RunSpec(root=root, backbone=default_backbone(root), output=output, options=options)
    trainers = [trainer_name(method) for method in methods]
    return [
        (Series((row_name(trainer),), replace(common, trainer=trainer)), seeds[:1] if trainer in SEEDLESS else seeds)
        for trainer in trainers
    ]


@command
def main(argv: Sequence[str] | None = None) -> int:
    """Return 1 if a run failed or is missing."""
    words = list(sys.argv[1:] if argv is None else argv)
    flags, options = split_options(words)
    args = parser().parse_args(flags)
    found, fine = [], True
    for series, seeds in series_of(args.methods, args.root, args.output, args.seeds, (VIEWS, *pairs(options))):
        points = span(args.datasets, args.shots, seeds)
        fine &= args.write_only or run_missing([series], points)
        found.append(find(series, points))
    missing = [line for each in found for line in each.missing]
    for line in missing:
        print(f"missing: {printable(line)}")
    scores = scores_of(found, args.datasets, args.root, args.pictures, args.kinds, CONTRASTS[args.contrast])
    line = shlex.join(["python", "-m", "reproduce", "saliency", *without_places(words)])
    path = Path(args.to)
    write_below(path, MARK, text_of(scores, found, line, args.pictures))
    print(f"Written: {path}")
    return int(not fine or bool(missing))


def scores_of(
    found: Sequence[Found],
    datasets: Sequence[str],
    root: str,
    pictures: int,
    kinds: Sequence[str],
    contrasts: Sequence[bool],
) -> list[Score]:
    """Return the scores of all finished runs.

    Raises:
        UserError: there are none.
    """
    scores: list[Score] = []
    for dataset in datasets:
        runs = [run for each in found for run in each.runs if run.dataset == dataset]
        if runs:
            print(f"{dataset}: maps of {len(runs)} runs", flush=True)
            scores += score_dataset(dataset, root, runs, pictures, kinds, contrasts)
    if not scores:
        raise UserError("Expected finished runs, but there are none: leave --write-only out, or name their --output.")
    return scores


def text_of(scores: Sequence[Score], found: Sequence[Found], line: str, pictures: int) -> str:
    """Return what is written below the mark."""
    runs: list[FoundRun] = [run for each in found for run in each.runs]
    grid = found[0].scores.grid
    datasets = list(dict.fromkeys(score.dataset for score in scores))
    shown = {dataset: next(score.pictures for score in scores if score.dataset == dataset) for dataset in datasets}
    seeds = sorted({run.seed for run in runs if run.seed is not None})
    about = (
        f"`{line}`, {today()}, commit {commit()}. **{images_of(runs)}**: "
        f"{', '.join(f'{name} ({count} pictures)' for name, count in shown.items())}; at most {pictures} test pictures "
        "of a class, the first that have a lesion, of classes that mostly have one; seeds "
        f"{', '.join(map(str, seeds))}; {VIEWS[0]} {VIEWS[1]}, else the settings of configs/. Pointing: how often the "
        "maximum lies in the lesion or less than 15 pixels (of 224) beside it; energy: the share of a map's sum in the "
        "lesion; both in percent, means over the classes of a data set, then over the data sets. ± is the std over "
        "seeds of this mean."
    )
    blocks = [f"## Measured on {len(datasets)} data sets", about]
    for contrast in dict.fromkeys(score.contrast for score in scores if score.kind):
        what = "logit of the true class less the mean of all" if contrast else "logit of the true class"
        asked = [score for score in scores if score.contrast == contrast or not score.kind]
        blocks += [f"### Maps of the {what}", by_method(asked, grid.shots, datasets)]
        blocks += [f"Each data set at K = {max(grid.shots)}, pointing:", by_dataset(asked, max(grid.shots), datasets)]
    return "\n\n".join(blocks) + "\n"


def by_method(scores: Sequence[Score], shots: Sequence[int], datasets: Sequence[str]) -> str:
    """Return the table of methods and shots by kinds, averaged over data sets."""
    kinds = list(dict.fromkeys(score.kind for score in scores if score.kind))
    heads = [f"{NAMES[kind]}, {what}" for kind in kinds for what in ("pointing", "energy")]
    lines = []
    for row in (BLIND, CENTRE):
        both = [fmean(getattr(s, what) for s in scores if s.row == row) for what in ("pointing", "energy")]
        lines.append([row, "", *[f"{value:.1f}" for value in both] * len(kinds)])
    for row in dict.fromkeys(score.row for score in scores if score.kind):
        for k in shots:
            cells = [
                _cell([s for s in scores if (s.row, s.shots, s.kind) == (row, k, kind)], what, datasets)
                for kind in kinds
                for what in ("pointing", "energy")
            ]
            lines.append([row, str(k), *cells])
    return render(["maps of", "K", *heads], lines, "markdown")


def _cell(scores: Sequence[Score], what: str, datasets: Sequence[str]) -> str:
    """Return mean and std over seeds of the mean over data sets; a gap while one is missing."""
    seeds: dict[int | None, dict[str, float]] = {}
    for score in scores:
        seeds.setdefault(score.seed, {})[score.dataset] = getattr(score, what)
    if not seeds or any(len(values) < len(datasets) for values in seeds.values()):
        return GAP
    means = [fmean(values.values()) for values in seeds.values()]
    return f"{fmean(means):.1f}" + (f" ± {pstdev(means):.1f}" if len(means) > 1 else "")


def by_dataset(scores: Sequence[Score], shots: int, datasets: Sequence[str]) -> str:
    """Return the table of the pointing of methods and kinds by data set, averaged over seeds."""
    lines = []
    for row in (BLIND, CENTRE):
        lines.append([row, "", *(f"{_mean(scores, dataset, row=row):.1f}" for dataset in datasets)])
    for row in dict.fromkeys(score.row for score in scores if score.kind):
        for kind in dict.fromkeys(score.kind for score in scores if score.kind):
            cells = [_mean(scores, dataset, row=row, shots=shots, kind=kind) for dataset in datasets]
            lines.append([row, NAMES[kind], *(GAP if cell is None else f"{cell:.1f}" for cell in cells)])
    return render(["maps of", "kind", *datasets], lines, "markdown")


def _mean(scores: Sequence[Score], dataset: str, **facts: Any) -> float | None:
    wanted = {"dataset": dataset, **facts}
    found = [s.pointing for s in scores if all(getattr(s, key) == value for key, value in wanted.items())]
    return fmean(found) if found else None


if __name__ == "__main__":
    sys.exit(main())
