"""The result of a test: predictions, their figures, and the facts about a trainer that go into a run's record."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import PurePath
from typing import Any

import torch
from torch import Tensor

from dassl.evaluation import group_accuracy, metrics
from dassl.utils import device_name


@dataclass(frozen=True)
class Results:
    """What a test of a trainer gave.

    Attributes:
        items: N data items that were tested.
        classnames: C names of classes.
        logits: [N, C], on the CPU.
        labels: [N], on the CPU.
        figures: metrics by name, in percent; those of classes as a mapping under "per_class".
    """

    items: Sequence
    classnames: list[str]
    logits: Tensor
    labels: Tensor
    figures: dict[str, Any]


def evaluate(dataset, items: Sequence, logits: Tensor, labels: Tensor, extra: dict[str, float]) -> Results:
    """Return all figures of a test, after printing those that Dassl's evaluator does not have.

    Args:
        dataset: the data set that `items` are of.
        items: N data items.
        logits: [N, C].
        labels: [N].
        extra: further figures of the method, in percent.
    """
    figures = metrics(logits, labels, dataset.classnames) | extra
    if groups := dataset.groups_of(items) if hasattr(dataset, "groups_of") else None:
        figures["group_accuracy"], one, several = group_accuracy(logits, labels, groups)
        mixed = f"; {several} with images of several classes are left out" if several else ""
        print(f"Groups (patients) tested: {one}, each by the mean probability of its images{mixed}")
    for name in ("balanced_accuracy", "auroc", "ece", "group_accuracy", *extra):
        if figures.get(name) is not None:  # AUROC, where all images are of one class
            print(f"* {name}: {figures[name]:.2f}%")
    return Results(items, list(dataset.classnames), logits, labels, figures)


def device_facts(device: torch.device, precision: str | None) -> dict[str, str | None]:
    """Return the processor's name, the towers' precision (None where they are not ours) and a GPU's CUDA version."""
    return {
        "name": device_name(device),
        "precision": precision,
        "cuda": torch.version.cuda if device.type == "cuda" else None,
    }


def relative_path(impath: str, dataset) -> str:
    """Return an image's path as the split has it; of one that lies elsewhere its name alone."""
    try:
        return PurePath(impath).relative_to(dataset.images).as_posix()
    except (AttributeError, ValueError):  # a data set of another checkout may have no folder of images
        return PurePath(impath).name
