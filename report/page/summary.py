"""The answers of one run, reduced to what a page shows, and of several seeds together."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from dassl.errors import UserError
from report.collect import FoundRun
from report.page import calibration
from report.page.calibration import BINS, Bins, Floats
from runs.predictions import DIGITS, PREDICTIONS, Predictions, read_predictions

ROUNDING = 0.01  # points by which a figure of rounded probabilities may differ from that of a run's record
COVERAGES = np.linspace(0.05, 1, 96)  # of the curve: below, an image more or less is all that shows
LISTED = np.array([0.5, 0.8, 0.9, 1.0])  # coverages of the table


class Summary(NamedTuple):
    """What the answers of one run are reduced to.

    Attributes:
        classes: names of the C classes.
        confusion: counts [C, C].
        bins: of the reliability diagram.
        risk: selective risk at COVERAGES [96].
        listed: selective risk at LISTED [4], in percent.
        accuracy, ece, aurc: in percent.
    """

    classes: tuple[str, ...]
    confusion: Floats
    bins: Bins
    risk: Floats
    listed: Floats
    accuracy: float
    ece: float
    aurc: float


class Seeds(NamedTuple):
    """Summaries of the seeds of one method on one data set."""

    each: Sequence[Summary]

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the classes, which all seeds have."""
        return self.each[0].classes

    @property
    def confusion(self) -> Floats:
        """Mean counts [C, C]."""
        return np.mean([one.confusion for one in self.each], axis=0)

    @property
    def bins(self) -> Bins:
        """Bins of the images of all seeds together."""
        return calibration.pooled([one.bins for one in self.each])

    @property
    def risk(self) -> Floats:
        """Mean selective risk at COVERAGES."""
        return np.mean([one.risk for one in self.each], axis=0)


def summarise(found: Predictions) -> Summary:
    """Return the summary of a run's predictions."""
    bins = calibration.calibration_bins(found.confidence, found.hits)
    risk = calibration.risk_coverage(found.confidence, found.hits)
    return Summary(
        classes=found.classes,
        confusion=calibration.confusion(found.labels, found.predicted, len(found.classes)),
        bins=bins,
        risk=calibration.risk_at(risk, COVERAGES),
        listed=100 * calibration.risk_at(risk, LISTED),
        accuracy=100 * float(found.hits.mean()),
        ece=bins.ece,
        aurc=calibration.aurc(risk),
    )


def read_summary(run: FoundRun) -> Summary:
    """Return the summary of a finished run, whose predictions must give the figures of its metrics.json.

    Raises:
        FileNotFoundError: the run has left no predictions.
        UserError: they cannot be read, or belong to another result; names the file.
    """
    predictions = read_predictions(run.path)
    found = summarise(predictions)
    for name, here, rounding in (
        ("accuracy", found.accuracy, ROUNDING),
        ("ece", found.ece, ROUNDING + 200 * _share_at_an_edge(predictions)),
    ):
        told = run.metrics.get(name)
        if told is not None and abs(told - here) > rounding:
            raise UserError(
                f"Expected {run.path / PREDICTIONS} to give {name} {told:.2f} as metrics.json beside it, but it gives "
                f"{here:.2f}: one of the two is of another run."
            )
    return found


def _share_at_an_edge(found: Predictions) -> float:
    """Return the share of images so near to an edge of the bins that the rounding may have moved them to the next.

    Each adds at most 1 / N to the error of the bin that it leaves, and of the one that it enters.
    """
    place = found.confidence * BINS
    return float((abs(place - np.rint(place)) <= BINS * DIGITS).mean())
