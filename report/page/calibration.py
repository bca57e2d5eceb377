"""Confusion, calibration and selective risk of a classification: pure functions of numpy arrays."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

BINS = 15  # as in the expected calibration error of dassl.evaluation
Floats = NDArray[np.float64]


class Bins(NamedTuple):
    """Images by the probability of their predicted class, in bins of equal width (0, 1/15], ..., (14/15, 1].

    Attributes:
        counts: images of each bin [15].
        confidence: sum of their probabilities [15].
        hits: how many of them are right [15].
    """

    counts: Floats
    confidence: Floats
    hits: Floats

    @property
    def ece(self) -> float:
        """Expected calibration error in percent (Guo et al. 2017, eq. 3)."""
        return 100.0 * float(abs(self.confidence - self.hits).sum() / self.counts.sum())


def confusion(labels: NDArray[np.intp], predicted: NDArray[np.intp], classes: int) -> Floats:
    """Return how many images of each true class (row) are predicted as each class (column).

    Args:
        labels: true classes [N].
        predicted: predicted classes [N].
        classes: their number C.

    Returns:
        Counts [C, C].

    >>> confusion(np.array([0, 0, 1]), np.array([0, 1, 1]), 2).tolist()
    [[1.0, 1.0], [0.0, 1.0]]
    """
    counts = np.bincount(labels * classes + predicted, minlength=classes * classes)
    return counts.reshape(classes, classes).astype(float)


def row_shares(counts: Floats) -> Floats:
    """Return each row of counts [C, C] divided by its sum; a row without images is not a number.

    >>> row_shares(np.array([[3.0, 1.0], [0.0, 0.0]])).tolist()
    [[0.75, 0.25], [nan, nan]]
    """
    sums = counts.sum(axis=1, keepdims=True)
    return np.divide(counts, sums, out=np.full_like(counts, np.nan), where=sums > 0)


def calibration_bins(confidence: Floats, hits: NDArray[np.bool_]) -> Bins:
    """Return the bins of a reliability diagram.

    Args:
        confidence: probability of the predicted class [N].
        hits: whether it is the true one [N].

    >>> bins = calibration_bins(np.array([0.95, 0.99, 0.5]), np.array([True, False, True]))
    >>> bins.counts[-1].item(), bins.hits[-1].item(), round(bins.ece, 2)
    (2.0, 1.0, 48.0)
    """
    place = np.searchsorted(edges()[1:-1], confidence)  # an edge belongs to the bin below it

    def total(values: NDArray) -> Floats:
        return np.bincount(place, weights=values, minlength=BINS).astype(float)

    return Bins(total(np.ones(len(place))), total(confidence), total(hits))


def edges() -> Floats:
    """Return the edges of the bins [16], from 0 to 1."""
    return np.linspace(0, 1, BINS + 1)


def pooled(bins: Sequence[Bins]) -> Bins:
    """Return the bins of the images of several runs together."""
    return Bins(*(np.sum(each, axis=0) for each in zip(*bins, strict=True)))


def risk_coverage(confidence: Floats, hits: NDArray[np.bool_]) -> Floats:
    """Return the selective risk: the share of errors among the k images with the highest confidence, k = 1 ... N.

    Images of one confidence have no order; their errors are spread evenly over them, which is the mean over all orders
    (El-Yaniv and Wiener 2010 define the curve, Geifman, Uziel and El-Yaniv 2019 the area below it).

    Args:
        confidence: probability of the predicted class [N].
        hits: whether it is the true one [N].

    Returns:
        Shares of errors [N]; the last is the error rate.

    >>> risk_coverage(np.array([0.9, 0.8, 0.7]), np.array([True, False, True])).round(2).tolist()
    [0.0, 0.5, 0.33]
    """
    _, block, sizes = np.unique(-confidence, return_inverse=True, return_counts=True)
    errors = np.bincount(block, weights=~hits) / sizes  # of each confidence, the highest first
    return np.cumsum(np.repeat(errors, sizes)) / np.arange(1, len(hits) + 1)


def aurc(risk: Floats) -> float:
    """Return the area under the risk-coverage curve in percent: the mean of `risk` [N] over its N coverages."""
    return 100.0 * float(risk.mean())


def risk_at(risk: Floats, coverage: Floats) -> Floats:
    """Return `risk` [N] where the share `coverage` [M] of the images, or just more, is answered: [M].

    >>> risk_at(np.array([0.0, 0.5, 0.25, 0.5]), np.array([0.5, 0.6, 1.0])).tolist()
    [0.5, 0.25, 0.5]
    """
    answered = np.ceil(coverage * len(risk) - 1e-9).astype(int)  # 0.07 * 100 is a little more than 7
    return risk[np.clip(answered, 1, len(risk)) - 1]
