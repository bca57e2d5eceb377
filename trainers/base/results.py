"""The results of a test, and facts about the device for a run's record."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import PurePath
from typing import Any

import torch
from torch import Tensor

from dassl.console import tell
from dassl.evaluation import group_accuracy, metrics
from dassl.utils import device_name
from trainers.gap import Gap


@dataclass(frozen=True)
class Results:
    """Predictions of a test and their metrics.

    Attributes:
        items: N tested data items.
        classnames: names of the C classes.
        logits: [N, C], on the CPU.
        labels: [N], on the CPU.
        figures: metrics by name, in percent; those of each class as a mapping under "per_class".
        gap: between images and texts; None where it is not told.
    """

    items: Sequence
    classnames: list[str]
    logits: Tensor
    labels: Tensor
    figures: dict[str, Any]
    gap: Gap | None = None


def evaluate(
    dataset, items: Sequence, logits: Tensor, labels: Tensor, extra: dict[str, float], gap: Gap | None = None
) -> Results:
    """Compute all metrics of a test, and print those that Dassl's evaluator does not print.

    Args:
        dataset: the data set of `items`.
        items: N tested data items.
        logits: [N, C].
        labels: [N].
        extra: further metrics of the method, in percent.
        gap: between images and texts.
    """
    figures = metrics(logits, labels, dataset.classnames) | extra
    if groups := dataset.groups_of(items) if hasattr(dataset, "groups_of") else None:
        figures["group_accuracy"], one, several = group_accuracy(logits, labels, groups)
        mixed = f"; {several} with images of several classes are left out" if several else ""
        tell(f"Groups (patients) tested: {one}, each by the mean probability of its images{mixed}")
    for name in ("balanced_accuracy", "auroc", "ece", "group_accuracy", *extra):
        if figures.get(name) is not None:  # AUROC, where all images are of one class
            print(f"* {name}: {figures[name]:.2f}%")
    for line in gap.lines() if gap else ():
        print(line)
    return Results(items, list(dataset.classnames), logits, labels, figures, gap)


def device_facts(device: torch.device, precision: str | None) -> dict[str, str | None]:
    """Return the name of the processor, the precision of the towers (None if unknown), and a GPU's CUDA version."""
    return {
        "name": device_name(device),
        "precision": precision,
        "cuda": torch.version.cuda if device.type == "cuda" else None,
    }


def relative_path(impath: str, dataset) -> str:
    """Return the path of an image relative to the folder of the data set; if it lies elsewhere, its file name."""
    try:
        return PurePath(impath).relative_to(dataset.images).as_posix()
    except (AttributeError, ValueError):  # a data set may have no folder of images
        return PurePath(impath).name
