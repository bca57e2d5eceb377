"""Read a run's predictions.csv: what it answered on each test image. The file may come from anyone."""

import csv
import io
from array import array
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from dassl.errors import UserError
from dassl.names import check_name
from dassl.reading import MB, read_text

PREDICTIONS = "predictions.csv"  # beside metrics.json
HEAD = ("path", "label", "predicted")  # columns before those of the classes
LIMIT = 64 * MB
MOST_CLASSES = 1000
DIGITS = 1e-6  # to which probabilities are written
SUM = 1e-3  # by which the rounded probabilities of an image may differ from 1 in their sum
REMEDY = "remove the run's folder and run its script again"


class Predictions(NamedTuple):
    """Answers on N test images.

    Attributes:
        classes: names of the C classes.
        paths: N paths of images, as the split has them; text that nobody has checked.
        labels: true classes [N].
        predicted: most probable classes [N].
        probabilities: [N, C].
    """

    classes: tuple[str, ...]
    paths: list[str]
    labels: NDArray[np.intp]
    predicted: NDArray[np.intp]
    probabilities: NDArray[np.float64]

    @property
    def confidence(self) -> NDArray[np.float64]:
        """Probability of the predicted class [N]."""
        return self.probabilities.max(axis=1)

    @property
    def hits(self) -> NDArray[np.bool_]:
        """Whether the predicted class is the true one [N]."""
        return self.predicted == self.labels


def read_predictions(run: Path) -> Predictions:
    """Return the predictions of a run's folder.

    Raises:
        FileNotFoundError: it has none.
        UserError: they cannot be read, or are none of ours; names the file.
    """
    path = run / PREDICTIONS
    try:
        return _parsed(read_text(path, LIMIT, links=False), str(path))
    except (ValueError, csv.Error) as error:
        if isinstance(error, UserError):
            raise
        words = " ".join(str(error).split())[:200]
        raise UserError(f"Expected the predictions of a run in {path}, but {words}: {REMEDY}.") from error


def _parsed(text: str, where: str) -> Predictions:
    reader = csv.reader(io.StringIO(text, newline=""))
    classes = _classes(next(reader, []), where)
    numbers = {name: i for i, name in enumerate(classes)}
    paths, labels, predicted, shares = [], array("q"), array("q"), array("d")
    for row in _rows(reader, len(HEAD) + len(classes)):
        path, label, guess, *cells = row
        if not {label, guess} <= numbers.keys():
            raise ValueError(f"line {reader.line_num} names a class that is no column")
        paths.append(path)
        labels.append(numbers[label])
        predicted.append(numbers[guess])
        shares.extend(map(float, cells))
    if not paths:
        raise ValueError("it has no images")
    probabilities = np.frombuffer(shares).reshape(len(paths), len(classes))
    found = Predictions(classes, paths, np.array(labels, np.intp), np.array(predicted, np.intp), probabilities)
    _check(found)
    return found


def _classes(head: list[str], where: str) -> tuple[str, ...]:
    names = tuple(head[len(HEAD) :])
    if tuple(head[: len(HEAD)]) != HEAD or not names:
        raise ValueError(f"its columns are not {', '.join(HEAD)} and a class each")
    if len(names) > MOST_CLASSES or len(set(names)) < len(names):
        raise ValueError(f"it has more than {MOST_CLASSES:,} classes, or two of one name")
    return tuple(check_name(name, "class", where) for name in names)


def _rows(reader: Iterator[list[str]], width: int) -> Iterator[list[str]]:
    for row in reader:
        if len(row) != width:
            raise ValueError(f"a line has {len(row):,} cells instead of {width:,}")
        yield row


def _check(found: Predictions) -> None:
    """Raise a ValueError unless each row has probabilities, the highest that of the predicted class."""
    shares = found.probabilities
    with np.errstate(invalid="ignore"):  # comparisons with what is no number are False
        fine = ((shares >= 0) & (shares <= 1)).all(axis=1) & (abs(shares.sum(axis=1) - 1) <= SUM)
    if not fine.all():
        raise ValueError(f"the probabilities of image {np.argmin(fine) + 1:,} are none, or do not sum to 1")
    highest = shares[np.arange(len(shares)), found.predicted] >= found.confidence - DIGITS
    if not highest.all():
        raise ValueError(f"image {np.argmin(highest) + 1:,} is not predicted as its most probable class")
