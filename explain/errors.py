"""Pictures of a finished run's most confident errors, with what spoke for the class that was predicted.

python -m explain.errors output

writes <run>/errors/ for the first seed, at the most shots, of each method on each data set below a folder, or for the
runs that are named. They are images of the data set, perhaps of patients: python -m report --pictures shows them.
"""

import argparse
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

import toolbox  # noqa: F401, its dassl comes first
from dassl.console import printable
from dassl.errors import UserError, command
from dassl.names import natural_key
from dassl.progress import bar
from dassl.writing import atomic_write
from explain.directions import class_directions
from explain.overlay import overlay, picture
from explain.saliency import KINDS, saliency
from runs.changed import in_words
from runs.error_pictures import MOST, ConfidentError, ErrorPictures, digest_of_predictions, prepare, write_index
from runs.layout import of_earlier_settings
from runs.predictions import Predictions, read_predictions
from runs.predictor import Predictor
from runs.record import Record, read_record
from trainers.base.results import relative_path

if TYPE_CHECKING:
    from PIL import Image

COUNT = 6
SIDE = 128  # pixels
QUALITY = 80  # of a JPEG; one takes some 4 kB


def parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    parser = argparse.ArgumentParser(prog="python -m explain.errors", description=__doc__.partition("\n")[0])
    parser.add_argument("runs", nargs="+", metavar="RUN_OR_FOLDER", help="a run's folder, or one that holds runs")
    parser.add_argument("--count", type=int, default=COUNT, help=f"errors of each run, 1 to {MOST} (default: {COUNT})")
    parser.add_argument("--kind", choices=tuple(KINDS), default=next(iter(KINDS)), help="of saliency")
    parser.add_argument("--root", default="", help="folder of the data sets, if it has moved")
    parser.add_argument("--backbone", default="", help="such as local-dir:/path, if it has moved")
    return parser


def find_runs(folder: Path) -> list[Path]:
    """Return the run that a folder is, or those below it that a report shows: see the module; links are not followed.

    Raises:
        UserError: there is no finished run.
    """
    if (folder / "metrics.json").is_file():
        return [folder]
    first: dict[tuple, tuple[tuple, Path]] = {}
    files = sorted((path for path in folder.rglob("metrics.json") if not path.is_symlink()), key=natural_key)
    for path in files:
        try:
            record = read_record(path)
        except UserError as error:
            print(f"left out: {error}")
            continue
        if record.names.get("subsample", "all") != "all" or of_earlier_settings(path.parent):
            continue
        kind, order = _place(record)
        if kind not in first or order < first[kind][0]:
            first[kind] = order, path.parent
    if not first:
        raise UserError(f"Expected finished few-shot runs in {folder}, but found none: name a folder that has some.")
    found = [run for _, run in first.values()]
    if len(files) > len(found):
        print(f"{folder}: {len(found)} of {len(files)} runs, the first seed at the most shots of each; name others.")
    return found


def _place(record: Record) -> tuple[tuple, tuple]:
    """Return which method and data set a run is of, and a key that sorts the run to be shown first."""
    names = [record.names.get(key) for key in ("key", "dataset", "trainer", "protocol", "backbone")]
    shots, seed = (record.names.get(key, -1) for key in ("shots", "seed"))
    return (*names, record.prompts.get("llm"), in_words(record.changed)), (-shots, seed)


def most_confident(found: Predictions, count: int) -> list[int]:
    """Return the numbers of the wrongly predicted images, the most probable answer first, at most `count`."""
    wrong = np.flatnonzero(~found.hits)
    return wrong[np.argsort(-found.confidence[wrong], kind="stable")][:count].tolist()


def write_errors(run: Path, predictor: Any, count: int, kind: str) -> int:
    """Write the pictures of a run's most confident errors, and what they are; return their number.

    Those of an earlier call are removed once the new ones are drawn.

    Args:
        run: its folder.
        predictor: of the run, a `runs.predictor.Predictor`.
        count: the most errors.
        kind: of saliency.

    Raises:
        UserError: the predictions, or the pictures that they are of, are not there.
    """
    found = _predictions(run, len(predictor.classnames))
    chosen = most_confident(found, count)
    drawn = _drawn(run, predictor, found, chosen, kind) if chosen else []
    for paths, images in zip(prepare(run), drawn, strict=False):  # it names as many as there may be
        for path, image in zip(paths, images, strict=True):
            _save(image, path, run)
    names, sure = found.classes, found.confidence
    errors = (ConfidentError(names[found.labels[i]], names[found.predicted[i]], float(sure[i])) for i in chosen)
    phantom = predictor.record.phantom_images
    write_index(run, ErrorPictures(kind, phantom, digest_of_predictions(run), tuple(errors)))
    return len(chosen)


def _drawn(
    run: Path, predictor: Any, found: Predictions, chosen: list[int], kind: str
) -> list[tuple["Image.Image", "Image.Image"]]:
    """Return the picture of each of the chosen test images, and the same with what spoke for the predicted class."""
    dataset, backbone = predictor.dataset("a picture of errors"), predictor.backbone
    files = {relative_path(item.impath, dataset): item.impath for item in dataset.test}
    if unknown := [found.paths[i] for i in chosen if found.paths[i] not in files]:
        raise UserError(f"Expected {printable(unknown[0])} among the test images of {run}, but it is none.")
    pixels = torch.stack([predictor.pixels(files[found.paths[i]]) for i in chosen])
    classes = torch.from_numpy(found.predicted[chosen])
    directions = class_directions(predictor.logits, backbone.encode_image(pixels), classes)
    maps = saliency(backbone, pixels, directions, kind).numpy()
    shown = [picture(seen, backbone.mean, backbone.std, SIDE) for seen in pixels.numpy()]
    return [(seen, overlay(seen, one)) for seen, one in zip(shown, maps, strict=True)]


def _predictions(run: Path, classes: int) -> Predictions:
    """Return the predictions of a run; a UserError if it has none, or of another number of classes."""
    try:
        found = read_predictions(run)
    except FileNotFoundError as error:
        raise UserError(f"Expected predictions.csv in {run}, but it has none: run its script again.") from error
    if len(found.classes) != classes:
        raise UserError(
            f"Expected predictions of {classes} classes in {run}, but got {len(found.classes)}: run it again."
        )
    return found


def _save(image: "Image.Image", path: Path, run: Path) -> None:
    with atomic_write(path, "wb", within=run) as file:
        image.save(file, "JPEG", quality=QUALITY, optimize=True)


def each(runs: Iterable[Path], args: argparse.Namespace) -> tuple[int, int]:
    """Write the pictures of each run; return how many runs have some, and for how many it failed."""
    done = failed = 0
    for run in bar(list(runs), desc="Errors", unit="run"):
        try:
            predictor = Predictor.from_run(run, root=args.root, backbone=args.backbone)
            count = write_errors(run, predictor, args.count, args.kind)
            print(f"{run}: {count} errors{' (phantom)' if predictor.record.phantom_images else ''}")
            done += 1
        except UserError as error:
            print(f"error: {printable(str(error))}", file=sys.stderr)
            failed += 1
    return done, failed


@command
def main(argv: list[str] | None = None) -> int:
    """Write the pictures, and say how to see them; return 1 if a run had none."""
    args = parser().parse_args(argv)
    if not 1 <= args.count <= MOST:
        raise UserError(f"Expected --count from 1 to {MOST}, but got {args.count}.")
    runs = dict.fromkeys(run for folder in args.runs for run in find_runs(Path(folder)))
    done, failed = each(runs, args)
    if done:
        print("They are images of the data set. python -m report FOLDER --pictures shows them in its page.")
    return int(failed > 0)


if __name__ == "__main__":
    sys.exit(main())
