"""GDA with text: a Gaussian for each class of images, all of one covariance, beside the zero-shot logits.

With means mu_c, one covariance and equal priors, Bayes' rule gives the logits of a Gaussian discriminant analysis,

    log p(c | f) = f . w_c + b_c + a constant,  w_c = P mu_c,  b_c = -mu_c . w_c / 2,

with the inverse covariance P. The empirical one does not exist, as there are fewer images than dimensions D; in its
place is an estimate of Kubokawa and Srivastava that shrinks it towards a sphere (`precision`).

References:
    Wang, Liang, Sheng, He, Wang, Tan: A hard-to-beat baseline for training-free CLIP-based adaptation. ICLR 2024.
    Kubokawa, Srivastava: Estimation of the precision matrix of a singular Wishart distribution and its application in
    high-dimensional data. Journal of Multivariate Analysis 99, 2008.
    github.com/mrflogs/ICLR24: the authors' code, main_few_shots.py.
"""

import torch
from torch import Tensor, nn
from torch.nn.functional import linear, one_hot
from yacs.config import CfgNode

from dassl.engine import TRAINER_REGISTRY
from trainers.base.closed_set import ClosedSet
from trainers.base.fitted_trainer import FittedTrainer
from trainers.base.linear_head import affine
from trainers.base.validation import Choice, ChosenOnValidation, score
from trainers.zeroshot import ZeroshotText

NO_SPREAD = 1e-9  # a trace of the covariance of unit features below this is rounding


def class_means(features: Tensor, labels: Tensor, count: int) -> Tensor:
    """Return the means [count, D] of features [N, D] of the classes, labels [N]."""
    members = one_hot(labels, count).to(features)
    return members.T @ features / members.sum(dim=0)[:, None]


def precision(deviations: Tensor) -> Tensor:
    """Return D ((N - 1) S + tr(S) I)^-1 [D, D] of deviations [N, D] from class means, with S their covariance.

    Without any spread, as with one feature in each class, it is that of a sphere of trace D: the unit matrix.
    """
    number, dim = deviations.shape
    scatter = deviations.T @ deviations  # (N - 1) S
    trace = scatter.trace() / max(number - 1, 1)
    ridge = torch.where(trace > NO_SPREAD, trace, torch.full_like(trace, dim))
    return dim * torch.linalg.inv(scatter + ridge * torch.eye(dim).to(scatter))


def discriminant(features: Tensor, labels: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """Return the weight w [count, D] and bias b [count] of the discriminant analysis of features [N, D], labels [N]."""
    means = class_means(features, labels, count)
    weight = means @ precision(features - means[labels])
    return weight, -(weight * means).sum(dim=1) / 2


def best_alpha(alphas: list[float], text: Tensor, images: Tensor, labels: Tensor) -> Choice[float]:
    """Choose the weight of the logits `images` [N, C] beside the logits `text` [N, C] that is best for labels [N]."""
    scores = {alpha: score(text + alpha * images, labels) for alpha in alphas}
    best = max(scores, key=scores.__getitem__)
    return Choice(best, f"alpha {best:g}, {scores[best][0]} right")


@TRAINER_REGISTRY.register()
class GDAText(ClosedSet, ChosenOnValidation, FittedTrainer, ZeroshotText):
    """Add alpha times the logits of the analysis of the support images to the zero-shot logits; nothing is trained.

    Validation images choose alpha among ALPHAS, the authors' grid; the likelihood decides between equals, of which the
    authors take the smallest. The authors analyse ten random views of each image (VIEWS "many"); the images themselves
    did better on phantoms from K = 4 on. With K = 1 a class then has one feature, and the covariance is a sphere.
    """

    short = "gda"

    @staticmethod
    def defaults() -> CfgNode:
        node = FittedTrainer.defaults()
        node.update(ZeroshotText.defaults())
        node.ALPHA = 1.0  # without validation images
        node.ALPHAS = [0.0001, 0.001, 0.01, 0.1, 1.0, 10.0, 100.0]
        return node

    def build_method(self, classnames: list[str]) -> None:
        super().build_method(classnames)
        self.gaussians = nn.Linear(self.backbone.embed_dim, len(classnames)).to(self.device)  # alpha w and alpha b
        self.register_model("gaussians", self.gaussians)

    @affine
    def logits(self, features: Tensor) -> Tensor:
        return super().logits(features) + self.gaussians(features)

    def fit(self, features: Tensor, labels: Tensor) -> None:
        weight, bias = (found.float() for found in discriminant(features.double(), labels, self.num_classes))
        around = f"of {len(labels)} features around the means of {self.num_classes} classes"
        print("Covariance:", around if len(labels) > self.num_classes else "a sphere, as each class has one feature")
        zero_shot, alphas = super().logits, self.settings.ALPHAS

        def chooser(images: Tensor, answers: Tensor) -> Choice[float]:
            return best_alpha(alphas, zero_shot(images), linear(images, weight, bias), answers)

        alpha = self.choose(chooser, configured=self.settings.ALPHA)
        self.gaussians.weight.copy_(alpha * weight)
        self.gaussians.bias.copy_(alpha * bias)
