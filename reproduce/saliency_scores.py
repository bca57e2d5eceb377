"""Score the saliency maps of finished runs against the lesions of a data set's test images."""

import contextlib
import sys
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from datasets import load_dataset
from explain.directions import class_directions
from explain.lesions import Lesions, first_with_lesion, read_lesions
from explain.localisation import energy, over_classes, pointing
from explain.saliency import AT_ONCE, saliency
from report.collect import FoundRun
from runs.methods import without_settings
from runs.predictor import Predictor

CENTRE, BLIND = "centre of the picture", "blind choice"  # what maps are compared with


class Score(NamedTuple):
    """How well the maps of a run, or what stands for one, show the lesions of a data set.

    Attributes:
        dataset: its key.
        row: method, as tables name it; CENTRE or BLIND.
        shots, seed: of the run; None for what is no run.
        kind: of saliency, "" for what has none.
        contrast: whether the logit of the true class is taken less the mean of all.
        pointing, energy: in percent, means over classes.
        pictures: number of pictures.
    """

    dataset: str
    row: str
    shots: int | None
    seed: int | None
    kind: str
    contrast: bool
    pointing: float
    energy: float
    pictures: int


def score_dataset(
    dataset: str, root: str, runs: Sequence[FoundRun], per_class: int, kinds: Sequence[str], contrasts: Sequence[bool]
) -> Iterator[Score]:
    """Yield the scores of finished runs of a data set: of the maps of each picture's true class.

    Args:
        dataset: its key.
        root: folder of the data sets.
        runs: finished runs on it, with one backbone.
        per_class: number of pictures of a class at most, the first test images that have a mask.
        kinds: of saliency.
        contrasts: whether logits are taken less their mean: one, the other or both.
    """
    with contextlib.redirect_stdout(sys.stderr):  # notes about images are no part of a table
        data = load_dataset(dataset, root=root, shots=1)
        paths, labels = data.paths("test"), data.labels("test")
        chosen = first_with_lesion(paths, labels, per_class)
        predictors = [Predictor.from_run(run.path, root=root) for run in runs]
        lesions = read_lesions(predictors[0], [paths[i] for i in chosen])
    classes = torch.tensor([labels[i] for i in chosen])
    kept = lesions.masks.flatten(1).any(dim=1)
    lesions, classes = _only(lesions, kept), classes[kept]
    yield from _without_maps(dataset, lesions, classes)
    for contrast in contrasts:
        directions = torch.stack([class_directions(p.logits, lesions.features, classes, contrast) for p in predictors])
        for kind in kinds:
            hits, shares = _scores(predictors[0], lesions, directions, kind)
            for run, hit, share in zip(runs, hits, shares, strict=True):
                found = 100 * over_classes(hit, classes), 100 * over_classes(share, classes)
                yield Score(
                    dataset, without_settings(run.row), run.shots, run.seed, kind, contrast, *found, len(classes)
                )


def _only(lesions: Lesions, kept: Tensor) -> Lesions:
    """Return the pictures whose lesion is still there behind the crop."""
    paths = [path for path, keep in zip(lesions.paths, kept.tolist(), strict=True) if keep]
    return Lesions(paths, lesions.pixels[kept], lesions.masks[kept], lesions.features[kept])


def _without_maps(dataset: str, lesions: Lesions, classes: Tensor) -> Iterator[Score]:
    """Yield the scores of what knows nothing of the pictures: their centre, and a pixel chosen blindly."""
    size = lesions.masks.shape[-1]
    centre = torch.zeros(size, size)
    centre[size // 2, size // 2] = 1.0
    for row, map_ in ((CENTRE, centre), (BLIND, torch.zeros(size, size))):
        maps = map_.expand(len(classes), -1, -1)
        hit, share = (100 * over_classes(score(maps, lesions.masks), classes) for score in (pointing, energy))
        yield Score(dataset, row, None, None, "", False, hit, share, len(classes))


def _scores(predictor: Predictor, lesions: Lesions, directions: Tensor, kind: str) -> tuple[Tensor, Tensor]:
    """Return pointing and energy [M, N] of the maps for directions [M, N, D]."""
    hits, shares = [], []
    for part in torch.arange(len(lesions.paths)).split(AT_ONCE):  # of all maps only a part is in memory
        maps, masks = saliency(predictor.backbone, lesions.pixels[part], directions[:, part], kind), lesions.masks[part]
        hits.append(torch.stack([pointing(each, masks) for each in maps]))
        shares.append(torch.stack([energy(each, masks) for each in maps]))
    return torch.cat(hits, dim=1), torch.cat(shares, dim=1)
