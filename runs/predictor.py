"""Predict with a finished run: the classes of any pictures, by what the run has learned."""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor
from yacs.config import CfgNode

from clip import Backbone
from dassl.errors import UserError
from dassl.images import read_image
from runs.rebuilt import read_data, rebuild
from runs.record import Record
from trainers.base.inference import Predicting


class Found(NamedTuple):
    """Features of pictures.

    Attributes:
        features: of those that can be read [n, D], unit norm, on the CPU.
        paths: of these n.
        errors: why each of the others cannot be read, in a sentence, by path.
    """

    features: Tensor
    paths: list[str]
    errors: dict[str, str]


class Prediction(NamedTuple):
    """What a run says about a picture.

    Attributes:
        path: of the picture.
        probabilities: of the C classes, in the order of `Predictor.classnames`; [] if the picture cannot be read.
        predicted: name of the most probable class; "" if it cannot be read.
        runner_up: name of the second one.
        margin: difference between their probabilities.
        error: why the picture cannot be read, in a sentence; "" if it can.
    """

    path: str
    probabilities: list[float]
    predicted: str = ""
    runner_up: str = ""
    margin: float = math.nan
    error: str = ""


class Predictor:
    """A finished run that classifies pictures.

        predictor = Predictor.from_run("output/btmri/shots_16/CoOp_BiomedCLIP/nctx4_cscFalse_ctpend/seed1")
        for found in predictor.predict(["scan1.png", "scan2.png"]):
            print(found.path, found.predicted, found.margin, found.error)

    Pictures are read, prepared and encoded as the run did, and their features kept in the feature store.

    Attributes:
        folder: of the run.
        record: of the run.
        trainer: the run's method with what it has learned.
        backbone: the frozen towers.
        classnames: C names in the order of labels.
    """

    def __init__(self, folder: Path, trainer: Predicting, record: Record, cfg: CfgNode):
        self.folder, self.trainer, self.record, self.cfg = folder, trainer, record, cfg
        self.backbone: Backbone = trainer.backbone
        self.classnames: list[str] = list(record.classes)
        self._dataset: Any = None

    @classmethod
    def from_run(
        cls,
        folder: str | Path,
        device: str | None = None,
        root: str | Path = "",
        backbone: str = "",
        options: Sequence[str] = (),
    ) -> "Predictor":
        """Return the predictor of a finished run of any of our methods.

        Args:
            folder: of the run: a seed's own, with its metrics.json.
            device: "cpu" or "cuda"; None is the GPU where there is one.
            root: folder of the data sets, if it has moved; it is read by methods that keep no features of their
                support images, such as Tip-Adapter, and to calibrate.
            backbone: place of the backbone, such as "local-dir:/path", if it has moved.
            options: words KEY VALUE KEY VALUE of settings that no run is trusted with, such as DATASET.GROUP_PATTERN,
                where the data set is read.

        Raises:
            UserError: there is no such run; or the backbone, the images or what was learned are others than its record
                tells.
        """
        folder = Path(folder)
        return cls(folder, *rebuild(folder, device, str(root), backbone, options))

    @property
    def phantom(self) -> bool:
        """Whether the run's images or its backbone are phantoms, so that it says nothing about patients."""
        return self.record.phantom_images or bool(self.record.phantom_backbone)

    def dataset(self, why: str = "it was asked for") -> Any:
        """Return the run's data set, read once: its training, validation and test images are those of the record.

        Args:
            why: what needs it, for the error.

        Raises:
            UserError: it is not there, or has other images.
        """
        self._dataset = self._dataset or read_data(self.cfg, self.record, self.folder, f"{why} needs", test=True)
        return self._dataset

    def pixels(self, path: str | Path) -> Tensor:
        """Return what the image tower sees of a picture: pixels [3, S, S]; a UserError if it cannot be read."""
        return self.transform(read_image(path, self.trainer.store.reading))

    @property
    def transform(self) -> Any:
        """The transform from a picture to pixels."""
        given: Any = self.trainer.test_transform
        return given or self.backbone.preprocess  # none is given with INPUT.NO_TRANSFORM

    def features(self, paths: Sequence[str | Path]) -> Found:
        """Return the features of the pictures that can be read, in the order of `paths`, and what is wrong with others.

        Raises:
            UserError: no room on the disk or in shared memory; or `paths` is a path.
        """
        if isinstance(paths, str | Path):
            raise UserError(f"Expected a list of paths, but got {str(paths)!r}: write it in brackets.")
        names, errors = [str(path) for path in paths], dict[str, str]()
        features = self.trainer.store.images(names, self.transform, skip=errors)
        return Found(features, [name for name in names if name not in errors], errors)

    def logits(self, features: Tensor) -> Tensor:
        """Return the logits [N, C] of unit image features [N, D]; gradients reach the features."""
        return self.trainer.logits(features.to(self.trainer.device))

    @torch.no_grad()
    def probabilities(self, features: Tensor) -> Tensor:
        """Return the probabilities [N, C] of the classes for unit image features [N, D], on the CPU."""
        if not len(features):
            return torch.zeros(0, len(self.classnames))
        return self.logits(features).float().cpu().softmax(dim=1)

    def predict(self, paths: Sequence[str | Path]) -> list[Prediction]:
        """Return what the run says about each picture, in the order of `paths`; a bad one has an error instead."""
        found = self.features(paths)
        return self.answers([str(path) for path in paths], found, self.probabilities(found.features))

    def answers(self, paths: Sequence[str], found: Found, probabilities: Tensor) -> list[Prediction]:
        """Return the predictions of pictures whose features were found.

        Args:
            paths: of N pictures.
            found: their features.
            probabilities: [n, C] of the n pictures of `found`.
        """
        best = dict(zip(found.paths, map(self._answer, found.paths, probabilities), strict=True))
        return [best[path] if path in best else Prediction(path, [], error=found.errors[path]) for path in paths]

    def _answer(self, path: str, probabilities: Tensor) -> Prediction:
        (first, second), (one, two) = (part.tolist() for part in probabilities.topk(2))
        return Prediction(
            path, probabilities.tolist(), self.classnames[one], self.classnames[two], margin=first - second
        )
