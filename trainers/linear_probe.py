"""Linear probe: logistic regression on the image features, without text.

Reference:
    Radford et al.: Learning transferable visual models from natural language supervision. ICML 2021 (section 3.2 and
    appendix A).
"""

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
from trainers.base.validation import Choice, ChosenOnValidation, score

MAX_ITER = 1000

Line = tuple[Tensor, Tensor]  # weight [C, D] and bias [C]


def logistic_regression(features: Tensor, labels: Tensor, exponent: float) -> Line:
    """Return the weight [C, D] and bias [C] of a logistic regression, fitted by scikit-learn's L-BFGS.

    Args:
        features: [N, D].
        labels: [N].
        exponent: the strength of the regularisation is 1 / 10^exponent.
    """
    from sklearn.exceptions import ConvergenceWarning  # imported here: a second and 90 MB, needed by this method only
    from sklearn.linear_model import LogisticRegression

    regression = LogisticRegression(C=10.0**exponent, max_iter=MAX_ITER)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # to stop after MAX_ITER is part of the recipe
        regression.fit(features.double().cpu().numpy(), labels.cpu().numpy())
    weight, bias = (torch.from_numpy(found).to(features) for found in (regression.coef_, regression.intercept_))
    if len(bias) == 1:  # two classes: scikit-learn gives the logit of the second one; that of the first one is zero
        weight, bias = torch.cat([0 * weight, weight]), torch.cat([0 * bias, bias])
    return weight, bias


def search_exponent(score: Callable[[float], tuple]) -> float:
    """Return the exponent in [-6, 6] with the best score, by the search of CLIP's paper.

    It compares -6, -4, ..., 6, and then neighbours of the best so far, closer in each round, until they are 1/8 apart.
    Of equals it takes the smallest, which regularises most.

    >>> search_exponent(lambda exponent: (-abs(exponent - 1.3),))
    1.25
    """
    peak: float = max(range(-6, 7, 2), key=score)
    step = 1.0
    while step >= 1 / 8:
        around = (peak - step, peak, peak + step)
        peak, step = max((x for x in around if -6 <= x <= 6), key=score), step / 2
    return peak


def best_exponent(fitted: Callable[[float], Line], features: Tensor, labels: Tensor) -> Choice[float]:
    """Choose the exponent whose fit scores best on validation features [N, D] and labels [N]."""
    scores = lru_cache(lambda exponent: score(linear(features, *fitted(exponent)), labels))
    exponent = search_exponent(scores)
    return Choice(exponent, f"C {10.0**exponent:.3g}, {scores(exponent)[0]} right")


@TRAINER_REGISTRY.register()
class LinearProbe(ClosedSet, ChosenOnValidation, FittedTrainer):
    """Fit the probe to the K shots; validation images choose the strength of the regularisation."""

    short = "linear_probe"

    @staticmethod
    def defaults() -> CfgNode:
        node = FittedTrainer.defaults()
        node.C = 1.0  # inverse strength of the regularisation without validation images
        return node

    def build_method(self, classnames: list[str]) -> None:
        self.probe = nn.Linear(self.backbone.embed_dim, len(classnames)).to(self.device)
        self.register_model("linear_probe", self.probe)

    def logits(self, features: Tensor) -> Tensor:
        return self.probe(features)

    def fit(self, features: Tensor, labels: Tensor) -> None:
        fitted = lru_cache(partial(logistic_regression, features, labels))
        exponent = self.choose(partial(best_exponent, fitted), configured=math.log10(self.settings.C))
        for parameter, found in zip((self.probe.weight, self.probe.bias), fitted(exponent), strict=True):
            parameter.copy_(found)
