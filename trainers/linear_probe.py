"""Linear probe: logistic regression on the image features, without text.

The strength of the regularisation is searched on validation images, as SEARCH says:

* "halving", the default, is the search of CLIP's paper. The paper does not say what to do with equals, which are common
  with few images: here the likelihood decides, and then the stronger regularisation.
* "bisection" is the search of BiomedCoOp's benchmark, which looks at accuracy alone and takes the weaker regularisation
  of equals. configs/trainers/LinearProbe/published.yaml asks for it, and for the benchmark's one augmented view.

Both fit the features as they are, in single precision.

Reference:
    Radford et al.: Learning transferable visual models from natural language supervision. ICML 2021 (section 3.2 and
    appendix A).
"""

import math
import warnings
from collections.abc import Callable
from functools import lru_cache, partial

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import linear
from yacs.config import CfgNode

from dassl.engine import TRAINER_REGISTRY
from trainers.base.choices import check_choices
from trainers.base.closed_set import ClosedSet
from trainers.base.fitted_trainer import FittedTrainer
from trainers.base.linear_head import affine
from trainers.base.validation import Choice, ChosenOnValidation, score

MAX_ITER = 1000
BISECTIONS = 8

Line = tuple[Tensor, Tensor]  # weight [C, D] and bias [C]
Scores = Callable[[float], tuple[int, float]]  # right answers and mean log-likelihood of an exponent


def logistic_regression(features: Tensor, labels: Tensor, exponent: float) -> Line:
    """Return the weight [C, D] and bias [C] of a logistic regression, fitted by scikit-learn's L-BFGS.

    Args:
        features: [N, D].
        labels: [N].
        exponent: the strength of the regularisation is 1 / 10^exponent.
    """
    from sklearn.exceptions import ConvergenceWarning  # imported here: a second and 90 MB, needed by this method only
    from sklearn.linear_model import LogisticRegression

    # A Python float would be taken as single precision beside the features, which moves weights by 1e-3 of their size.
    strength = np.power(10.0, exponent)
    regression = LogisticRegression(C=strength, max_iter=MAX_ITER)  # L-BFGS, L2
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # to stop after MAX_ITER is part of the recipe
        regression.fit(features.cpu().numpy(), labels.cpu().numpy())
    weight, bias = (torch.from_numpy(found).to(features) for found in (regression.coef_, regression.intercept_))
    if len(bias) == 1:  # two classes: scikit-learn gives the logit of the second one; that of the first one is zero
        weight, bias = torch.cat([0 * weight, weight]), torch.cat([0 * bias, bias])
    return weight, bias


def halving(score: Scores) -> float:
    """Return the exponent in [-6, 6] with the best score, by the search of CLIP's paper.

    It compares -6, -4, ..., 6, and then neighbours of the best so far, closer in each round, until they are 1/8 apart.
    Of equals it takes the smallest, which regularises most.

    Args:
        score: returns the right answers and the mean log-likelihood of an exponent.

    >>> halving(lambda exponent: (0, -abs(exponent - 1.3)))
    1.25
    """
    peak: float = max(range(-6, 7, 2), key=score)
    step = 1.0
    while step >= 1 / 8:
        around = (peak - step, peak, peak + step)
        peak, step = max((x for x in around if -6 <= x <= 6), key=score), step / 2
    return peak


def bisection(score: Scores) -> float:
    """Return an exponent in [-7, 7] with many right answers, by the search of BiomedCoOp's benchmark.

    It takes the best of 6, 4, ..., -6, the first of equals, and compares the exponents one below and one above it. The
    half of this interval that ends in the better of the two, the lower of equals, is compared in the same way, eight
    times in all. The better end of the last one is returned.

    Args:
        score: as for `halving`; the log-likelihood is not looked at.

    >>> bisection(lambda exponent: (0, -abs(exponent - 1.3)))
    5
    """

    def right(exponent: float) -> int:
        return score(exponent)[0]

    peak: float = max(range(6, -7, -2), key=right)
    low, high = peak - 1, peak + 1
    better = low
    for _ in range(BISECTIONS):
        middle = (low + high) / 2
        if right(low) < right(high):
            better, low = high, middle
        else:
            better, high = low, middle
    return better


SEARCHES = {"halving": halving, "bisection": bisection}


def best_exponent(
    search: Callable[[Scores], float],
    fitted: Callable[[float], Line],
    features: Tensor,
    labels: Tensor,
) -> Choice[float]:
    """Choose by `search` the exponent whose fit scores best on validation features [N, D] and labels [N]."""
    scores = lru_cache(lambda exponent: score(linear(features, *fitted(exponent)), labels))
    exponent = search(scores)
    return Choice(exponent, f"C {10.0**exponent:.3g}, {scores(exponent)[0]} right")


@TRAINER_REGISTRY.register()
class LinearProbe(ClosedSet, ChosenOnValidation, FittedTrainer):
    """Fit the probe to the K shots; validation images choose the strength of the regularisation."""

    short = "linear_probe"
    title = "linear probe"

    @staticmethod
    def defaults() -> CfgNode:
        node = FittedTrainer.defaults()
        node.C = 1.0  # inverse strength of the regularisation without validation images
        node.SEARCH = "halving"  # of C on validation images: "halving", as in CLIP's paper, or "bisection"
        return node

    def check_cfg(self, cfg: CfgNode) -> None:
        super().check_cfg(cfg)
        check_choices(cfg, {"SEARCH": list(SEARCHES)})

    def build_method(self, classnames: list[str]) -> None:
        self.probe = nn.Linear(self.backbone.embed_dim, len(classnames)).to(self.device)
        self.register_model("linear_probe", self.probe)

    @affine
    def logits(self, features: Tensor) -> Tensor:
        return self.probe(features)

    def fit(self, features: Tensor, labels: Tensor) -> None:
        fitted = lru_cache(partial(logistic_regression, features, labels))
        search = SEARCHES[self.settings.SEARCH]
        exponent = self.choose(partial(best_exponent, search, fitted), configured=math.log10(self.settings.C))
        for parameter, found in zip((self.probe.weight, self.probe.bias), fitted(exponent), strict=True):
            parameter.copy_(found)
