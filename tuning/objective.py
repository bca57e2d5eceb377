"""Score a setting: train a few seeds together, and test them on validation images."""

import contextlib
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from statistics import fmean
from typing import Any, NamedTuple, TextIO

import torch
from yacs.config import CfgNode

from dassl.data.datasets import build_dataset
from dassl.data.transforms import build_transform
from dassl.engine import TRAINER_REGISTRY
from dassl.errors import UserError
from runs import lockstep
from trainers.base.backbones import shared_backbone
from trainers.base.feature_trainer import FeatureTrainer
from trainers.base.labels import labels_of
from trainers.base.validation import score


class Score(NamedTuple):
    """Validation accuracy (percent) and mean log-likelihood of the right class; `images` were scored in each run."""

    accuracy: float
    log_likelihood: float
    images: int


class TrainAndVal(NamedTuple):
    """The data of a trial, in the place of Dassl's DataManager: training and validation images, and no test images."""

    dataset: Any
    num_classes: int
    lab2cname: dict[int, str]
    train_transform: Any
    test_transform: Any


class TrialOf(FeatureTrainer):
    """Mixin above a method for trials: writes no checkpoint and runs no test; an interrupted trial starts again."""

    def build_data_manager(self) -> Any:
        dataset = build_dataset(self.cfg)
        dataset.test = None
        if not dataset.val:
            raise UserError(
                f"Expected validation images to tune on, but {self.cfg.DATASET.NAME} has none: add a val part to its "
                "split."
            )
        transforms = (build_transform(self.cfg, is_train=is_train) for is_train in (True, False))
        return TrainAndVal(dataset, dataset.num_classes, dataset.lab2cname, *transforms)

    def resume_model_if_exist(self, directory: str | Path) -> int:
        return 0

    def save_model(self, *args: Any, **kwargs: Any) -> None:
        pass

    def after_train(self) -> None:
        pass


class _Trial:
    """One seed of a setting, for `runs.lockstep`: its output is dropped, and its errors are not caught."""

    failed = False

    def __init__(self, cfg: CfgNode, silence: TextIO):
        self.silence = silence
        with self.logged():
            method = TRAINER_REGISTRY.get(cfg.TRAINER.NAME)
            self.trainer = type(method.__name__, (TrialOf, method), {})(cfg)

    @contextlib.contextmanager
    def logged(self) -> Iterator[None]:
        with contextlib.redirect_stdout(self.silence):
            yield

    @torch.no_grad()
    def score(self, whole: bool) -> Score:
        trainer, dataset = self.trainer, self.trainer.dm.dataset
        items = dataset.val
        if whole:
            items = dataset.to_data(
                dataset.subsample(dataset.read_split(), trainer.cfg.DATASET.SUBSAMPLE_CLASSES)["val"]
            )
        trainer.set_model_mode("eval")
        labels = labels_of(items, trainer.device)
        right, likelihood = score(trainer.logits(trainer.plain_features(items)), labels)
        return Score(100 * right / len(items), likelihood, len(items))


def fingerprint(cfg: CfgNode) -> str:
    """Return the fingerprint of the backbone's weights; the trials then share the backbone."""
    return shared_backbone(cfg)[0].fingerprint()


def evaluate(cfgs: Sequence[CfgNode], whole: bool = True) -> Score:
    """Return the mean validation score of runs that differ in their seed alone, after their last epoch.

    Args:
        cfgs: configurations, one per seed.
        whole: score on the whole validation split; otherwise on each seed's draw of at most four images per class.

    Raises:
        UserError: a data set without validation images.
        DivergedError: a loss term that is not finite.
    """
    with Path(os.devnull).open("w") as silence:
        runs = [_Trial(cfg, silence) for cfg in cfgs]
        lockstep.train(runs)
        scores = [run.score(whole) for run in runs]
    accuracy, likelihood = fmean(each.accuracy for each in scores), fmean(each.log_likelihood for each in scores)
    return Score(accuracy, likelihood, scores[0].images)
