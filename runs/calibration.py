"""Calibrate a run's sets of classes on its validation images, and tell how they do on its test images."""

import math
from pathlib import Path
from typing import NamedTuple

from torch import Tensor

from dassl.errors import UserError
from dassl.writing import write_json
from runs import conformal
from runs.predictor import Predictor
from trainers.base.labels import labels_of
from trainers.base.validation import ChosenOnValidation

FILE = "conformal.json"  # in the run's folder


class Calibration(NamedTuple):
    """How large sets of classes must be, and what they reach.

    Attributes:
        coverage: the probability that was asked for.
        images: number n of validation images.
        threshold: q of `runs.conformal`; infinite where n is too small, and every class is in every set.
        reached: share of the test images whose class is in their set.
        mean_size: mean number of classes in their sets.
        tested: number of test images.
    """

    coverage: float
    images: int
    threshold: float
    reached: float
    mean_size: float
    tested: int

    def lines(self, classes: int) -> list[str]:
        """Return in words what was found, for a run of so many classes."""
        found = [
            f"Sets for a coverage of {self.coverage:g}: calibrated on {self.images} validation images; of "
            f"{self.tested} test images {100 * self.reached:.2f}% have their class in the set, which has "
            f"{self.mean_size:.2f} of {classes} classes on average"
        ]
        if math.isinf(self.threshold):
            found.append(
                f"Too few validation images for a coverage of {self.coverage:g}, which needs "
                f"{conformal.least(self.coverage)}: every class is in every set"
            )
        return found


def calibrate(predictor: Predictor, coverage: float) -> Calibration:
    """Return the calibration of a run; `write` keeps it.

    Raises:
        UserError: the data set is not there or has changed, has no validation images, or those of other classes.
    """
    record = predictor.record
    if record.names.get("subsample") == "new":
        raise UserError(
            f"Expected validation images of the classes of {predictor.folder}, but it tests novel classes, which have "
            "none: leave out the coverage, or take the run on the base classes."
        )
    dataset = predictor.dataset(f"a coverage of {coverage:g}")
    if not dataset.val:
        raise UserError(
            f"Expected validation images of {predictor.folder}, but its data set has none: leave out the coverage."
        )
    (held, answers), (seen, labels) = (_probabilities(predictor, items) for items in (dataset.val, dataset.test))
    q = conformal.threshold(conformal.scores(held, answers), coverage)
    members = conformal.sets(seen, q)
    return Calibration(
        coverage, len(answers), q, conformal.covered(members, labels), conformal.mean_size(members), len(labels)
    )


def _probabilities(predictor: Predictor, items: list) -> tuple[Tensor, Tensor]:
    """Return the probabilities [N, C] and labels [N] of data items."""
    return predictor.probabilities(predictor.trainer.plain_features(items)), labels_of(items)


def caution(predictor: Predictor) -> str:
    """Return a line about what the coverage rests on, where it is not quite given; "" where it is."""
    method = predictor.trainer
    if not (isinstance(method, ChosenOnValidation) and method.chooses):
        return ""
    return (
        "The validation images have chosen a setting of the method too, so that they are not strictly exchangeable "
        "with new images: look at the share of test images"
    )


def write(calibration: Calibration, folder: Path) -> None:
    """Write a calibration into the folder of its run, as conformal.json; an infinite threshold is null there."""
    facts = calibration._asdict()
    facts["threshold"] = None if math.isinf(calibration.threshold) else calibration.threshold
    write_json({"method": "LAC", **facts}, folder / FILE)
