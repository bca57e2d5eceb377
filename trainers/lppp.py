"""LP++: a linear probe whose class weights blend a visual prototype with the text features of the class.

The cross-entropy of the logits f_i.(w_k + alpha_k t_k) is minimised by block coordinate majorise-minimise on all images
at once: w and alpha take turns in gradient steps whose sizes follow from the features (`step_sizes`). The published
results use momentum in the steps of w; MOMENTUM 0 is plain majorise-minimise, under which the loss never rises.

The defaults follow the paper's objective, which has no bias, and the bounds derived in `step_sizes`. The authors' code,
which BiomedCoOp's benchmark copies, does five things otherwise: w starts as the sum of a class's features (W_START), a
bias is learned too (BIAS), alpha's step is sixteen times shorter (ALPHA_STEP), its gradients are never set back to zero
(ALPHA_GRADIENT), and of equally good iterations the last is kept (EQUALS). configs/trainers/LPpp/published.yaml sets
all five as there, and asks for the benchmark's one augmented view. Two differences remain: the benchmark rounds the
features to half precision before it adds them up for w, which moved logits by less than 1e-4 of the largest, and no
choice, on a phantom of BTMRI; and it has drawn other random numbers before those that the bias starts from.

On that phantom neither recipe is the better one throughout: with the images themselves the defaults reach 48.1, 65.6
and 79.6 % (K = 1, 4, 16; three seeds), the five together 51.8, 66.0 and 76.0 %. Alpha's step makes no difference there.

Reference:
    Huang, Shakeri, Dolz, Boudiaf, Bahig, Ben Ayed: LP++: A surprisingly strong linear probe for few-shot CLIP.
    CVPR 2024.
"""

from collections.abc import Iterator, Sequence
from functools import partial
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.functional import one_hot
from yacs.config import CfgNode

from dassl.engine import TRAINER_REGISTRY
from trainers.base.choices import check_choices
from trainers.base.closed_set import ClosedSet
from trainers.base.fitted_trainer import FittedTrainer
from trainers.base.linear_head import affine
from trainers.base.text_features import TEMPLATE, template_features
from trainers.base.validation import Choice, ChosenOnValidation, score

CHOICES = {
    "W_START": ("mean", "sum"),
    "ALPHA_GRADIENT": ("fresh", "accumulated"),
    "EQUALS": ("surest", "last"),
}


class Blend(NamedTuple):
    """Visual prototypes w [C, D], multipliers alpha [C] of the text features, and a bias [C]."""

    w: Tensor
    alpha: Tensor
    bias: Tensor


def blended_logits(features: Tensor, text: Tensor, blend: Blend) -> Tensor:
    """Return the logits [N, C] of features [N, D] with text features [C, D].

    >>> blend = Blend(torch.tensor([[1.0, 0.0], [0.0, 2.0]]), torch.tensor([5.0, 0.5]), torch.tensor([0.0, 0.25]))
    >>> blended_logits(torch.tensor([[1.0, 0.0]]), torch.tensor([[0.0, 1.0], [1.0, 0.0]]), blend)
    tensor([[1.0000, 0.7500]])
    """
    return features @ (blend.w + blend.alpha[:, None] * text).T + blend.bias


def step_sizes(features: Tensor, text: Tensor, alpha_step: float = 4.0) -> tuple[Tensor, Tensor]:
    """Return the step sizes [] of w and alpha.

    They are 1 / gamma, where gamma bounds the curvature of the loss in any one w_k or alpha_k, as p (1 - p) <= 1/4: for
    w, 4 N / the largest eigenvalue of sum_i f_i f_i^T; for alpha, 4 N / the largest sum over i of (f_i.t_k)^2.

    Args:
        features: f [N, D].
        text: t [C, D].
        alpha_step: stands for the 4 of alpha's step; the authors' code has the 4 in the denominator, which is 0.25.
    """
    n = len(features)
    largest = torch.linalg.matrix_norm(features, ord=2).square()
    return 4 * n / largest, alpha_step * n / (features @ text.T).square().sum(dim=0).max()


def initial_blend(features: Tensor, labels: Tensor, text: Tensor, scale: float, w_start: str = "mean") -> Blend:
    """Return the minimiser of the part of the loss linear in w and alpha, plus (|w|^2 + |alpha|^2 / scale) / (2 C).

    With K shots per class, w_k is the mean feature of class k, and alpha_k is `scale` times the mean of f_i.t_k over
    class k. All classes get the mean of these alpha_k, so that the texts' part of the logits is the zero-shot one.

    Args:
        features: [N, D].
        labels: [N].
        text: [C, D].
        scale: weight of alpha.
        w_start: "mean", or "sum" for w_k K times as long, which is the minimiser for a penalty on w K times as weak.
    """
    y = one_hot(labels, len(text)).to(features)
    sums, counts = y.T @ features, y.sum(dim=0)[:, None]
    means = sums / counts
    alpha = (scale * (means * text).sum(dim=1).mean()).expand(len(text))
    return Blend(sums if w_start == "sum" else means, alpha, torch.zeros_like(alpha))


def logit_gradient(features: Tensor, y: Tensor, text: Tensor, blend: Blend) -> Tensor:
    """Return the gradient [N, C] of the mean cross-entropy with respect to the logits, for one-hot labels y [N, C]."""
    return (blended_logits(features, text, blend).softmax(dim=1) - y) / len(y)


def descend(
    features: Tensor,
    labels: Tensor,
    text: Tensor,
    blend: Blend,
    iterations: int,
    alpha_every: int,
    momentum: float,
    alpha_step: float = 4.0,
    accumulate: bool = False,
    learn_bias: bool = False,
) -> Iterator[Blend]:
    """Yield w, alpha and the bias after each iteration.

    Args:
        features: [N, D].
        labels: [N].
        text: [C, D].
        blend: initial w, alpha and bias.
        iterations: number of updates of w.
        alpha_every: number of updates of w before one of alpha.
        momentum: of the updates of w.
        alpha_step: as in `step_sizes`.
        accumulate: alpha follows the sum of its gradients of all iterations so far, each before that iteration's update
            of w; else the gradient after the update of w.
        learn_bias: update the bias with w.
    """
    y, cosines = one_hot(labels, len(text)).to(features), features @ text.T
    w_step, alpha_step_size = step_sizes(features, text, alpha_step)
    w, alpha, bias = blend
    w_velocity, bias_velocity, accumulated = torch.zeros_like(w), torch.zeros_like(bias), torch.zeros_like(alpha)
    for iteration in range(1, iterations + 1):
        gradient = logit_gradient(features, y, text, Blend(w, alpha, bias))
        accumulated = accumulated + (gradient * cosines).sum(dim=0)
        w_velocity = momentum * w_velocity - w_step * gradient.T @ features
        w = w + w_velocity
        if learn_bias:
            bias_velocity = momentum * bias_velocity - w_step * gradient.sum(dim=0)
            bias = bias + bias_velocity
        if iteration % alpha_every == 0:
            fresh = (logit_gradient(features, y, text, Blend(w, alpha, bias)) * cosines).sum(dim=0)
            alpha = alpha - alpha_step_size * (accumulated if accumulate else fresh)
        yield Blend(w, alpha, bias)


def best_iteration(path: Sequence[Blend], text: Tensor, equals: str, features: Tensor, labels: Tensor) -> Choice[int]:
    """Choose the index in `path` that is most often right on validation features [N, D] and labels [N].

    Of equals it takes the "surest", whose mean log-likelihood is highest (the first of these), or the "last".
    """
    scores = [score(blended_logits(features, text, blend), labels) for blend in path]
    right = [found for found, _ in scores]
    best = scores.index(max(scores)) if equals == "surest" else len(right) - 1 - right[::-1].index(max(right))
    return Choice(best, f"iteration {best + 1} of {len(path)}, {right[best]} right")


class BlendedProbe(nn.Module):
    """The learned `w` [C, D], `alpha` [C] and, where it is learned, `bias` [C], with the text features [C, D].

    The bias starts from the random numbers of `nn.Linear`.
    """

    text: Tensor
    bias: nn.Parameter | None

    def __init__(self, text: Tensor, learn_bias: bool):
        super().__init__()
        self.register_buffer("text", text, persistent=False)
        self.w, self.alpha = nn.Parameter(torch.zeros_like(text)), nn.Parameter(text.new_zeros(len(text)))
        self.bias = nn.Linear(text.shape[1], len(text)).bias if learn_bias else None

    @property
    def blend(self) -> Blend:
        return Blend(self.w, self.alpha, torch.zeros_like(self.alpha) if self.bias is None else self.bias)

    def forward(self, features: Tensor) -> Tensor:
        return blended_logits(features, self.text, self.blend)


@TRAINER_REGISTRY.register()
class LPpp(ClosedSet, ChosenOnValidation, FittedTrainer):
    """Fit the probe to the K shots; validation images choose the iteration, without any it is the last one."""

    title = "LP++"

    @staticmethod
    def defaults() -> CfgNode:
        node = FittedTrainer.defaults()
        node.ITERATIONS = 300  # number of updates of w
        node.ALPHA_EVERY = 10  # number of updates of w before one of alpha
        node.MOMENTUM = 0.9  # of the updates of w
        node.W_START = "mean"  # w starts from the "mean" of a class's features, or from their "sum"
        node.BIAS = False  # learn a bias too
        node.ALPHA_SCALE = 250.0  # initial alpha / mean cosine of images and texts
        node.ALPHA_STEP = 4.0  # step of alpha, times the largest sum over images of squared cosines / N
        node.ALPHA_GRADIENT = "fresh"  # alpha follows its "fresh" gradient, or those "accumulated" since the start
        node.EQUALS = "surest"  # of the iterations most often right, keep the "surest" or the "last"
        node.TEMPLATE = TEMPLATE  # prompt with {} in place of the class name
        return node

    def check_cfg(self, cfg: CfgNode) -> None:
        super().check_cfg(cfg)
        check_choices(cfg, CHOICES)

    def build_method(self, classnames: list[str]) -> None:
        text = template_features(self, classnames, self.settings.TEMPLATE)
        self.probe = BlendedProbe(text, self.settings.BIAS).to(self.device)
        self.register_model("blended_probe", self.probe)

    @affine
    def logits(self, features: Tensor) -> Tensor:
        return self.probe(features)

    def fit(self, features: Tensor, labels: Tensor) -> None:
        s, text = self.settings, self.probe.text
        start = initial_blend(features, labels, text, s.ALPHA_SCALE, s.W_START)
        start = start._replace(bias=self.probe.blend.bias.detach().clone())
        path = list(
            descend(
                features,
                labels,
                text,
                start,
                s.ITERATIONS,
                s.ALPHA_EVERY,
                s.MOMENTUM,
                s.ALPHA_STEP,
                accumulate=s.ALPHA_GRADIENT == "accumulated",
                learn_bias=s.BIAS,
            )
        )
        chosen = path[self.choose(partial(best_iteration, path, text, s.EQUALS), configured=s.ITERATIONS - 1)]
        for name, parameter in self.probe.named_parameters():
            parameter.copy_(getattr(chosen, name))
