"""Linear probe (Radford et al. 2021): logistic regression on the image features, no text."""

import math
import warnings
from collections.abc import Callable
from functools import lru_cache, partial

import torch
from torch import Tensor, nn
from torch.nn.functional import linear
from yacs.config import CfgNode

from dassl.engine import TRAINER_REGISTRY
from trainers.base.closed_set import ClosedSet
from trainers.base.fitted_trainer import FittedTrainer
from trainers.base.validation import ChosenOnValidation, score

MAX_ITER = 1000


def logistic_regression(features: Tensor, labels: Tensor, exponent: float) -> tuple[Tensor, Tensor]:
    """Weight [C, D] and bias [C] that scikit-learn's L-BFGS finds, regularised with strength 1 / 10^exponent."""
    from sklearn.exceptions import ConvergenceWarning  # a second of start-up and 90 MB that only this method needs
    from sklearn.linear_model import LogisticRegression

    regression = LogisticRegression(C=10.0**exponent, max_iter=MAX_ITER)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # an end after MAX_ITER is part of the recipe
        regression.fit(features.double().cpu().numpy(), labels.cpu().numpy())
    weight, bias = (torch.from_numpy(found).to(features) for found in (regression.coef_, regression.intercept_))
    if len(bias) == 1:  # two classes: the logit of the second, while the first one's is zero
        weight, bias = torch.cat([0 * weight, weight]), torch.cat([0 * bias, bias])
    return weight, bias


def search(score: Callable[[float], tuple]) -> float:
    """The exponent in [-6, 6] with the best score: of -6, -4, ..., 6, then ever closer around the best so far, until
    neighbours are 1/8 apart; of equals the smallest, which regularises most."""
    peak, step = max(range(-6, 7, 2), key=score), 1.0
    while step >= 1 / 8:
        around = (peak - step, peak, peak + step)
        peak, step = max((x for x in around if -6 <= x <= 6), key=score), step / 2
    return peak


@TRAINER_REGISTRY.register()
class LinearProbe(ClosedSet, ChosenOnValidation, FittedTrainer):
    """Regularised as validation images choose, by the search of CLIP's paper; fitted to the K shots alone."""

    short = "linear_probe"

    @staticmethod
    def defaults() -> CfgNode:
        node = FittedTrainer.defaults()
        node.C = 1.0  # inverse strength of the regularisation where there are no validation images
        return node

    def build_method(self, classnames: list[str]) -> None:
        self.probe = nn.Linear(self.backbone.embed_dim, len(classnames)).to(self.device)
        self.register_model("linear_probe", self.probe)

    def logits(self, features: Tensor) -> Tensor:
        return self.probe(features)

    def fit(self, features: Tensor, labels: Tensor) -> None:
        self.exponent = math.log10(self.settings.C)
        self.fitted = lru_cache(partial(logistic_regression, features, labels))
        self.validate()
        for parameter, found in zip((self.probe.weight, self.probe.bias), self.fitted(self.exponent), strict=True):
            parameter.copy_(found)

    def choose(self, features: Tensor, labels: Tensor) -> str:
        scores = lru_cache(lambda exponent: score(linear(features, *self.fitted(exponent)), labels))
        self.exponent = search(scores)
        return f"C {10.0**self.exponent:.3g}, {scores(self.exponent)[0]} right"
