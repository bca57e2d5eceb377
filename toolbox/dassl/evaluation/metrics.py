"""Figures of a classification, for the log and for the record of a run."""

from collections.abc import Sequence
from typing import TypedDict

import torch
from torch import Tensor

from dassl.errors import UserError

BINS = 15  # of the expected calibration error


class Metrics(TypedDict):
    """Figures in percent, see `metrics`."""

    accuracy: float
    macro_f1: float
    balanced_accuracy: float
    auroc: float | None
    ece: float
    per_class: dict[str | int, float | None]


def metrics(logits: Tensor, labels: Tensor, classnames: Sequence[str | int]) -> Metrics:
    """Return the figures of a split, in percent.

    A class is *present* if at least one image has its label. Means run over the present classes only, so that a class
    without test images changes nothing. An image that is predicted as an absent class is an error of its own class.

    Args:
        logits: scores [N, C] before the softmax, N >= 1; the highest of a row is the prediction.
        labels: class numbers [N].
        classnames: C names (or numbers), each once.

    Returns:
        `accuracy`; `macro_f1`, the mean F1 of the present classes; `balanced_accuracy`, their mean recall; `auroc`,
        their mean area under the ROC curve, each against the rest, or None if all images are of one class; `ece`, the
        expected calibration error of the softmax over 15 bins of equal width, each with its upper edge; `per_class`,
        the recall of each class by name, None for an absent one.

    Raises:
        UserError: a score is not a number.

    Example:
        >>> found = metrics(torch.tensor([[4.0, 0.0], [4.0, 0.0], [0.0, 4.0]]), torch.tensor([0, 1, 1]), ["a", "b"])
        >>> {name: round(found[name], 2) for name in ("accuracy", "macro_f1", "balanced_accuracy", "auroc", "ece")}
        {'accuracy': 66.67, 'macro_f1': 66.67, 'balanced_accuracy': 75.0, 'auroc': 75.0, 'ece': 31.53}
        >>> found["per_class"]
        {'a': 100.0, 'b': 50.0}
    """
    from sklearn.metrics import f1_score, roc_auc_score  # takes a second, and only tests need it

    logits, labels = logits.detach().cpu().double(), labels.cpu()  # in float32, high scores would all become 1
    probabilities, predicted = logits.softmax(dim=1), logits.argmax(dim=1)
    if broken := int(probabilities.isnan().any(dim=1).sum()):
        raise UserError(
            f"Expected finite scores, but those of {broken} of {len(logits)} images are not: lower OPTIM.LR."
        )
    hits = predicted == labels
    present = labels.unique().tolist()
    recalls = {classnames[i]: _percent(hits[labels == i]) for i in present}
    areas = [roc_auc_score(labels == i, probabilities[:, i]) for i in present] if len(present) > 1 else []
    return {
        "accuracy": _percent(hits),
        "macro_f1": 100.0 * float(f1_score(labels, predicted, labels=present, average="macro", zero_division=0)),
        "balanced_accuracy": sum(recalls.values()) / len(present),
        "auroc": 100.0 * float(sum(areas)) / len(areas) if areas else None,
        "ece": _calibration_error(probabilities.amax(dim=1), hits),
        "per_class": {name: recalls.get(name) for name in classnames},
    }


def group_accuracy(logits: Tensor, labels: Tensor, groups: Sequence[str]) -> tuple[float | None, int, int]:
    """Return the accuracy on groups of images, such as the images of a patient, in percent.

    The predicted class of a group has the highest mean probability over its images.

    Args:
        logits: scores [N, C] before the softmax.
        labels: class numbers [N].
        groups: group of each image, N.

    Returns:
        The accuracy on groups whose images have the same label, or None if there are none; the number of these groups;
        and the number of groups whose images have several labels, which are left out.

    Example:
        >>> logits = torch.tensor([[4.0, 0.0], [0.0, 1.0], [0.0, 4.0], [0.0, 0.0], [0.0, 0.0]])
        >>> group_accuracy(logits, torch.tensor([0, 0, 0, 0, 1]), ["p", "p", "q", "r", "r"])
        (50.0, 2, 1)
    """
    names = sorted(set(groups))
    places = {name: i for i, name in enumerate(names)}
    place = torch.tensor([places[group] for group in groups])
    labels, probabilities = labels.cpu(), logits.detach().cpu().double().softmax(dim=1)
    sums = torch.zeros(len(names), logits.shape[1], dtype=torch.float64).index_add_(0, place, probabilities)
    highest = torch.zeros(len(names), dtype=labels.dtype).scatter_reduce(0, place, labels, "amax", include_self=False)
    lowest = torch.zeros(len(names), dtype=labels.dtype).scatter_reduce(0, place, labels, "amin", include_self=False)
    one = highest == lowest
    hits = sums.argmax(dim=1)[one] == highest[one]
    return (_percent(hits) if len(hits) else None), len(hits), len(names) - len(hits)


def _percent(hits: Tensor) -> float:
    return 100.0 * hits.double().mean().item()


def _calibration_error(confidence: Tensor, hits: Tensor) -> float:
    """Return the expected calibration error in percent (Guo et al. 2017).

    It is the mean distance of confidence and accuracy over the bins (0, 1/15], ..., (14/15, 1], weighted by their
    number of images.
    """
    edges = torch.linspace(0, 1, BINS + 1, dtype=confidence.dtype)
    bins = torch.bucketize(confidence, edges[1:-1])
    gaps = torch.zeros(BINS, dtype=confidence.dtype).index_add_(0, bins, confidence - hits.to(confidence.dtype))
    return 100.0 * gaps.abs().sum().item() / len(hits)
