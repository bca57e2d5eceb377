"""Draw the paper's Figure 2: where each method looks in pictures with lesions, whose outlines are yellow.

    python -m reproduce figure2 --methods zeroshot kgcoop cocoop biomedcoop vmfcoop vmfposterior
    python -m reproduce figure2 --datasets btmri --root data --images scans/ --methods biomedcoop vmfcoop

Runs what is missing (as python -m grid does), then writes a page with the picture, as PNG and SVG. By default the
pictures are the first test image with a lesion of each data set, and the maps those of its true class. With --images
they are your own, each with a mask beside it (`mask/<same name>.png`): then one data set says whose runs are asked, and
the maps are those of the class that each run predicts.
"""

import argparse
import contextlib
import sys
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch

from dassl.errors import UserError, command
from datasets import load_dataset
from datasets.masks import mask_of
from explain.directions import class_directions
from explain.lesions import Lesions, first_with_lesion, read_lesions
from explain.overlay import picture
from explain.saliency import KINDS, saliency
from report.render import Table
from reproduce.page import Page, add_flags, make, read_line
from reproduce.panels import Panel, PictureRow, plot_panels
from reproduce.saliency import NAMES, series_of
from reproduce.series import Found, check_runs, images_of, span
from runs.methods import trainer_name
from runs.predictor import Predictor

METHODS = ("zeroshot", "kgcoop", "cocoop", "biomedcoop", "vmfcoop", "vmfposterior")
DATASETS = ("btmri", "busi", "kvasir", "retina")


class Shown(NamedTuple):
    """A picture of the figure.

    Attributes:
        dataset: key of the data set whose runs are asked.
        path: of its file.
        label: of its true class, None if that is not known.
    """

    dataset: str
    path: str
    label: int | None


def parser() -> argparse.ArgumentParser:
    p = argparse.ArgumentParser(
        prog="python -m reproduce figure2", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    p.add_argument("--methods", nargs="+", default=list(METHODS), help=f"default: {' '.join(METHODS)}")
    p.add_argument("--images", nargs="+", type=Path, help="pictures, or folders of pictures, with masks beside them")
    p.add_argument(
        "--kind", default="gscorecam", choices=list(KINDS), help="of saliency (default: gscorecam, the paper's)"
    )
    add_flags(p, (16,), "figure2")
    for action in p._actions:
        if action.dest == "datasets":
            action.required, action.default = False, list(DATASETS)
            action.help = f"whose runs are asked (default: {' '.join(DATASETS)})"
        elif action.dest == "seeds":
            action.default, action.help = [1], "one (default: 1)"
    return p


def pictures_in(places: Sequence[Path]) -> list[str]:
    """Return the pictures of files and folders that have a mask beside them, in the order of their names.

    Raises:
        UserError: there are none.
    """
    if lost := [place for place in places if not place.exists()]:
        raise UserError(f"Expected pictures or folders of them for --images, but there is no {lost[0]}: correct it.")
    inside = [path for place in places for path in (sorted(place.iterdir()) if place.is_dir() else [place])]
    found = [str(path) for path in inside if path.is_file() and mask_of(path)]
    files = [path for path in inside if path.is_file() and not path.name.startswith(".")]
    if left := len(files) - len(found):
        print(f"left out: {left} files without a mask beside them (mask/<same name>.png)")
    if not found:
        raise UserError(
            f"Expected pictures with masks beside them (mask/<same name>.png) in {', '.join(map(str, places))}, but "
            "found none: draw a mask of each lesion."
        )
    return found


def first_pictures(datasets: Sequence[str], root: str) -> Iterator[Shown]:
    """Yield the first test image with a lesion of each data set; one that has none is left out in a line."""
    for name in datasets:
        with contextlib.redirect_stdout(sys.stderr):
            data = load_dataset(name, root=root, shots=1)
        paths, labels = data.paths("test"), data.labels("test")
        if not (chosen := first_with_lesion(paths, labels, 1)):
            print(f"left out: {name}: no test image has a mask of a lesion beside it")
            continue
        yield Shown(name, paths[chosen[0]], labels[chosen[0]])


def predictors_of(found: Sequence[Found], root: str) -> dict[tuple[str, str], Predictor]:
    """Return the predictor of each run by its series and its data set."""
    with contextlib.redirect_stdout(sys.stderr):
        return {
            (str(each.series), run.dataset): Predictor.from_run(run.path, root=root)
            for each in found
            for run in each.runs
        }


def panel(predictor: Predictor, lesions: Lesions, label: int | None, kind: str) -> Panel:
    """Return where a run looks in a picture and what it says; the map is of a class, or of the predicted one."""
    (probabilities,) = predictor.probabilities(lesions.features)
    best = int(probabilities.argmax())
    asked = torch.tensor([best if label is None else label])
    directions = class_directions(predictor.logits, lesions.features, asked)
    (found,) = saliency(predictor.backbone, lesions.pixels, directions, kind)
    return Panel(found, f"{predictor.classnames[best]}\n{probabilities[best]:.0%}")


def draw(page: Page, found: Sequence[Found], images: Sequence[Path] | None, kind: str) -> Table:
    """Draw what has been run, and return what the runs say about the pictures."""
    runs = [run for each in found for run in each.runs]
    check_runs(runs)
    points, template = found[0].scores.grid, found[0].series.template
    if images:
        asked = [Shown(points.datasets[0], path, None) for path in pictures_in(images)]
    else:
        asked = list(first_pictures(points.datasets, template.root))
    if not asked:
        raise UserError("Expected pictures with lesions, but there are none: name data sets that have masks.")
    names = [str(each.series) for each in found]
    predictors = predictors_of(found, template.root)
    rows, lines = [], []
    for shown in asked:
        own = [predictors.get((name, shown.dataset)) for name in names]
        if (predictor := next(filter(None, own), None)) is None:
            continue
        lesions = read_lesions(predictor, [shown.path])  # all runs have one backbone
        panels = [panel(one, lesions, shown.label, kind) if one else Panel(None, "not run") for one in own]
        truth = "" if shown.label is None else predictor.classnames[shown.label]
        backbone = predictor.backbone
        shown_as = picture(lesions.pixels[0].numpy(), backbone.mean, backbone.std, backbone.image_size)
        colours, mask = np.asarray(shown_as) / 255, lesions.masks[0].numpy()
        if mask.all() or not mask.any():
            print(f"no outline: the mask of {shown.path} is all black or all white where the tower looks")
        rows.append(PictureRow(colours, mask, f"{shown.dataset}\n{truth}" if truth else shown.dataset, panels))
        lines.append([shown.dataset, Path(shown.path).name, truth, *(p.below.replace("\n", " ") for p in panels)])
    shown_on = f"own pictures, runs on {images_of(runs)}" if images else images_of(runs)
    title = f"Figure 2: {NAMES[kind]} of {len(names)} methods, K = {points.shots[0]}, {shown_on}"
    plot_panels(rows, names, page.picture, title, page.within)
    whose = "the class that each run predicts" if images else "the true class"
    note = (
        f"Red: where {NAMES[kind]} says that {whose} is seen. Yellow: the outline of the lesion. Below: the class that "
        "the run predicts, and its probability. A few pictures show nothing about a method: `python -m reproduce "
        "saliency` measures many."
    )
    return Table("figure2", title, ["data set", "picture", "true class", *names], lines, note)


@command
def main(argv: Sequence[str] | None = None) -> int:
    """Return 1 if a run failed or is missing."""
    words = list(sys.argv[1:] if argv is None else argv)
    args, template, page = read_line(parser(), "figure2", words, {"DATASET.NUM_SHOTS": "--shots"})
    if len(args.shots) > 1 or len(args.seeds) > 1:
        raise UserError("Expected one number of shots and one seed, but got several: name those of the runs to draw.")
    if args.images and len(args.datasets) > 1:
        raise UserError(
            f"Expected one data set with --images, but got {' '.join(args.datasets)}: name that whose runs are asked."
        )
    methods = [trainer_name(method) for method in dict.fromkeys(args.methods)]
    asked = [each for each, _ in series_of(methods, args.root, args.output, args.seeds, template.options)]
    points = span(args.datasets, args.shots, args.seeds)
    return make(page, asked, points, partial(draw, images=args.images, kind=args.kind), args.devices, args.write_only)


if __name__ == "__main__":
    sys.exit(main())
