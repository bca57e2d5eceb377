"""LP++ (Huang et al. 2024): a linear probe whose class weights blend a visual prototype with the class's text.

Cross-entropy of the logits f_i.(w_k + alpha_k t_k) is minimised by block coordinate majorise-minimise on all images at
once: w and alpha in turn take a gradient step whose size the features give (`step_sizes`). The published results are of
steps of w with momentum; MOMENTUM 0 is plain majorise-minimise, under which the loss never rises.
"""

from collections.abc import Iterator

import torch
from torch import Tensor, nn
from torch.nn.functional import one_hot
from yacs.config import CfgNode

from dassl.engine import TRAINER_REGISTRY
from trainers.base.closed_set import ClosedSet
from trainers.base.fitted_trainer import FittedTrainer
from trainers.base.text_features import TEMPLATE, template_features
from trainers.base.validation import ChosenOnValidation, score

Blend = tuple[Tensor, Tensor]  # visual prototypes w [C, D] and class-wise multipliers alpha [C]


def blended_logits(features: Tensor, text: Tensor, blend: Blend) -> Tensor:
    """Logits [N, C] of features [N, D] with text features [C, D]."""
    w, alpha = blend
    return features @ (w + alpha[:, None] * text).T


def step_sizes(features: Tensor, text: Tensor) -> tuple[Tensor, Tensor]:
    """For w, 4 N / the largest eigenvalue of sum_i f_i f_i^T; for alpha, 4 N / the largest sum over i of (f_i.t_k)^2.

    Each is 1 / gamma, where gamma bounds the curvature by any one w_k or alpha_k, because p (1 - p) <= 1/4.
    """
    n = len(features)
    largest = torch.linalg.matrix_norm(features, ord=2).square()
    return 4 * n / largest, 4 * n / (features @ text.T).square().sum(dim=0).max()


def start(features: Tensor, labels: Tensor, text: Tensor, scale: float) -> Blend:
    """The least of the loss's part linear in w and alpha plus (|w|^2 + |alpha|^2 / scale) / (2 C), for K shots a class.

    There w_k is the mean feature of class k, and alpha_k is `scale` times the mean of f_i.t_k over class k; all classes
    start from the mean of these alpha_k, which leaves the texts' part of the logits zero-shot.
    """
    y = one_hot(labels, len(text)).to(features)
    means = (y / y.sum(dim=0)).T @ features
    return means, (scale * (means * text).sum(dim=1).mean()).expand(len(text))


def descend(
    features: Tensor, labels: Tensor, text: Tensor, blend: Blend, iterations: int, alpha_every: int, momentum: float
) -> Iterator[Blend]:
    """w and alpha after each of the updates of w; every `alpha_every`-th is followed by one of alpha."""
    y, cosines = one_hot(labels, len(text)).to(features), features @ text.T
    w_step, alpha_step = step_sizes(features, text)

    def residual() -> Tensor:
        """Gradient [N, C] of the loss by the logits."""
        return (blended_logits(features, text, (w, alpha)).softmax(dim=1) - y) / len(y)

    w, alpha = blend
    velocity = torch.zeros_like(w)
    for iteration in range(1, iterations + 1):
        velocity = momentum * velocity - w_step * residual().T @ features
        w = w + velocity
        if iteration % alpha_every == 0:
            alpha = alpha - alpha_step * (residual() * cosines).sum(dim=0)
        yield w, alpha


class BlendedProbe(nn.Module):
    """What a run keeps: `w` [C, D] and `alpha` [C], beside the text features [C, D]."""

    def __init__(self, text: Tensor):
        super().__init__()
        self.register_buffer("text", text, persistent=False)
        self.w, self.alpha = nn.Parameter(torch.zeros_like(text)), nn.Parameter(text.new_zeros(len(text)))

    def forward(self, features: Tensor) -> Tensor:
        return blended_logits(features, self.text, (self.w, self.alpha))


@TRAINER_REGISTRY.register()
class LPpp(ClosedSet, ChosenOnValidation, FittedTrainer):
    """Validation images choose the iteration; without any it is the last one."""

    @staticmethod
    def defaults() -> CfgNode:
        node = FittedTrainer.defaults()
        node.ITERATIONS = 300  # updates of w
        node.ALPHA_EVERY = 10  # updates of w before one of alpha
        node.MOMENTUM = 0.9  # of w
        node.ALPHA_SCALE = 250.0  # alpha at the start, in mean cosines
        node.TEMPLATE = TEMPLATE
        return node

    def build_method(self, classnames: list[str]) -> None:
        self.probe = BlendedProbe(template_features(self, classnames, self.settings.TEMPLATE)).to(self.device)
        self.register_model("blended_probe", self.probe)

    def logits(self, features: Tensor) -> Tensor:
        return self.probe(features)

    def fit(self, features: Tensor, labels: Tensor) -> None:
        s, text = self.settings, self.probe.text
        blend = start(features, labels, text, s.ALPHA_SCALE)
        self.path = list(descend(features, labels, text, blend, s.ITERATIONS, s.ALPHA_EVERY, s.MOMENTUM))
        self.kept = s.ITERATIONS - 1
        self.validate()
        w, alpha = self.path[self.kept]
        self.probe.w.copy_(w)
        self.probe.alpha.copy_(alpha)

    def choose(self, features: Tensor, labels: Tensor) -> str:
        scores = [score(blended_logits(features, self.probe.text, blend), labels) for blend in self.path]
        self.kept = scores.index(max(scores))
        return f"iteration {self.kept + 1} of {len(self.path)}, {max(scores)[0]} right"
