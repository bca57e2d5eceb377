"""LP++: a linear probe whose class weights blend a visual prototype with the text features of the class.

The cross-entropy of the logits f_i.(w_k + alpha_k t_k) is minimised by block coordinate majorise-minimise on all images
at once: w and alpha take turns in gradient steps whose sizes follow from the features (`step_sizes`). The published
results use momentum in the steps of w; MOMENTUM 0 is plain majorise-minimise, under which the loss never rises.

Reference:
    Huang, Shakeri, Dolz, Boudiaf, Bahig, Ben Ayed: LP++: A surprisingly strong linear probe for few-shot CLIP.
    CVPR 2024.
"""

from collections.abc import Iterator, Sequence
from functools import partial

import torch
from torch import Tensor, nn
from torch.nn.functional import one_hot
from yacs.config import CfgNode

from dassl.engine import TRAINER_REGISTRY
from trainers.base.closed_set import ClosedSet
from trainers.base.fitted_trainer import FittedTrainer
from trainers.base.text_features import TEMPLATE, template_features
from trainers.base.validation import Choice, ChosenOnValidation, score

Blend = tuple[Tensor, Tensor]  # visual prototypes w [C, D] and multipliers alpha [C] of the text features


def blended_logits(features: Tensor, text: Tensor, blend: Blend) -> Tensor:
    """Return the logits [N, C] of features [N, D] with text features [C, D].

    >>> blend = torch.tensor([[1.0, 0.0], [0.0, 2.0]]), torch.tensor([5.0, 0.5])
    >>> blended_logits(torch.tensor([[1.0, 0.0]]), torch.tensor([[0.0, 1.0], [1.0, 0.0]]), blend)
    tensor([[1.0000, 0.5000]])
    """
    w, alpha = blend
    return features @ (w + alpha[:, None] * text).T


def step_sizes(features: Tensor, text: Tensor) -> tuple[Tensor, Tensor]:
    """Return the step sizes [] of w and alpha.

    They are 1 / gamma, where gamma bounds the curvature of the loss in any one w_k or alpha_k, as p (1 - p) <= 1/4: for
    w, 4 N / the largest eigenvalue of sum_i f_i f_i^T; for alpha, 4 N / the largest sum over i of (f_i.t_k)^2.

    Args:
        features: f [N, D].
        text: t [C, D].
    """
    n = len(features)
    largest = torch.linalg.matrix_norm(features, ord=2).square()
    return 4 * n / largest, 4 * n / (features @ text.T).square().sum(dim=0).max()


def initial_blend(features: Tensor, labels: Tensor, text: Tensor, scale: float) -> Blend:
    """Return the minimiser of the part of the loss linear in w and alpha, plus (|w|^2 + |alpha|^2 / scale) / (2 C).

    With K shots per class, w_k is the mean feature of class k, and alpha_k is `scale` times the mean of f_i.t_k over
    class k. All classes get the mean of these alpha_k, so that the texts' part of the logits is the zero-shot one.

    Args:
        features: [N, D].
        labels: [N].
        text: [C, D].
        scale: weight of alpha.
    """
    y = one_hot(labels, len(text)).to(features)
    means = (y / y.sum(dim=0)).T @ features
    return means, (scale * (means * text).sum(dim=1).mean()).expand(len(text))


def logit_gradient(features: Tensor, y: Tensor, text: Tensor, blend: Blend) -> Tensor:
    """Return the gradient [N, C] of the mean cross-entropy with respect to the logits, for one-hot labels y [N, C]."""
    return (blended_logits(features, text, blend).softmax(dim=1) - y) / len(y)


def descend(
    features: Tensor, labels: Tensor, text: Tensor, blend: Blend, iterations: int, alpha_every: int, momentum: float
) -> Iterator[Blend]:
    """Yield w and alpha after each iteration.

    Args:
        features: [N, D].
        labels: [N].
        text: [C, D].
        blend: initial w and alpha.
        iterations: number of updates of w.
        alpha_every: number of updates of w before one of alpha.
        momentum: of the updates of w.
    """
    y, cosines = one_hot(labels, len(text)).to(features), features @ text.T
    w_step, alpha_step = step_sizes(features, text)
    w, alpha = blend
    velocity = torch.zeros_like(w)
    for iteration in range(1, iterations + 1):
        velocity = momentum * velocity - w_step * logit_gradient(features, y, text, (w, alpha)).T @ features
        w = w + velocity
        if iteration % alpha_every == 0:
            gradient = logit_gradient(features, y, text, (w, alpha))
            alpha = alpha - alpha_step * (gradient * cosines).sum(dim=0)
        yield w, alpha


def best_iteration(path: Sequence[Blend], text: Tensor, features: Tensor, labels: Tensor) -> Choice[int]:
    """Choose the index in `path` whose w and alpha score best on validation features [N, D] and labels [N]."""
    scores = [score(blended_logits(features, text, blend), labels) for blend in path]
    best = scores.index(max(scores))
    return Choice(best, f"iteration {best + 1} of {len(path)}, {max(scores)[0]} right")


class BlendedProbe(nn.Module):
    """The learned `w` [C, D] and `alpha` [C], with the text features [C, D]."""

    text: Tensor

    def __init__(self, text: Tensor):
        super().__init__()
        self.register_buffer("text", text, persistent=False)
        self.w, self.alpha = nn.Parameter(torch.zeros_like(text)), nn.Parameter(text.new_zeros(len(text)))

    def forward(self, features: Tensor) -> Tensor:
        return blended_logits(features, self.text, (self.w, self.alpha))


@TRAINER_REGISTRY.register()
class LPpp(ClosedSet, ChosenOnValidation, FittedTrainer):
    """Fit the probe to the K shots; validation images choose the iteration, without any it is the last one."""

    @staticmethod
    def defaults() -> CfgNode:
        node = FittedTrainer.defaults()
        node.ITERATIONS = 300  # number of updates of w
        node.ALPHA_EVERY = 10  # number of updates of w before one of alpha
        node.MOMENTUM = 0.9  # of the updates of w
        node.ALPHA_SCALE = 250.0  # initial alpha / mean cosine of images and texts
        node.TEMPLATE = TEMPLATE  # prompt with {} in place of the class name
        return node

    def build_method(self, classnames: list[str]) -> None:
        self.probe = BlendedProbe(template_features(self, classnames, self.settings.TEMPLATE)).to(self.device)
        self.register_model("blended_probe", self.probe)

    def logits(self, features: Tensor) -> Tensor:
        return self.probe(features)

    def fit(self, features: Tensor, labels: Tensor) -> None:
        s, text = self.settings, self.probe.text
        blend = initial_blend(features, labels, text, s.ALPHA_SCALE)
        path = list(descend(features, labels, text, blend, s.ITERATIONS, s.ALPHA_EVERY, s.MOMENTUM))
        w, alpha = path[self.choose(partial(best_iteration, path, text), configured=s.ITERATIONS - 1)]
        self.probe.w.copy_(w)
        self.probe.alpha.copy_(alpha)
