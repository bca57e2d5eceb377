"""Tip-Adapter and Tip-Adapter-F: a cache of the support images adds to the zero-shot logits.

Reference:
    Zhang, Zhang, Fang, Gao, Li, Dai, Qiao, Li: Tip-Adapter: Training-free adaption of CLIP for few-shot classification.
    ECCV 2022.
"""

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, normalize, one_hot
from yacs.config import CfgNode

from dassl.engine import TRAINER_REGISTRY
from trainers.base.closed_set import ClosedSet
from trainers.base.feature_trainer import Step
from trainers.base.labels import labels_of
from trainers.base.validation import Choice, ChosenOnValidation, first_best, right_answers
from trainers.zeroshot import ZeroshotCLIP

GRID_START = 0.1  # first point of the grids; their step is (SEARCH_SCALE - GRID_START) / SEARCH_STEP
ADAM_EPS = 1e-4  # published for Tip-Adapter-F: the gradients are small


class Cache(nn.Module):
    """Keys [N, D], the features of the support images, and their values [N, C], the one-hot labels.

    Args:
        keys: [N, D], unit norm.
        values: [N, C].
        alpha: weight of the cache relative to the zero-shot logits.
        beta: sharpness of the kernel exp(-beta (1 - cosine)).
    """

    values: Tensor
    alpha: Tensor
    beta: Tensor

    def __init__(self, keys: Tensor, values: Tensor, alpha: float, beta: float):
        super().__init__()
        self.keys = nn.Parameter(keys)
        self.register_buffer("values", values)
        self.register_buffer("alpha", torch.tensor(alpha))
        self.register_buffer("beta", torch.tensor(beta))

    def affinity(self, features: Tensor, beta: Tensor) -> Tensor:
        """Return exp(-beta (1 - cosine)) V [B, C]: the affinity of features [B, D] to the keys of each class."""
        return torch.exp(-beta * (1 - features @ self.keys.T)) @ self.values

    def forward(self, features: Tensor) -> Tensor:
        """Return the logits [B, C] that the cache adds for features [B, D]."""
        return self.alpha * self.affinity(features, self.beta)


@TRAINER_REGISTRY.register()
class TipAdapter(ClosedSet, ChosenOnValidation, ZeroshotCLIP):
    """Choose alpha and beta by a grid search on the validation images; nothing is trained."""

    short = "tip_adapter"

    @staticmethod
    def defaults() -> CfgNode:
        node = ZeroshotCLIP.defaults()
        node.AUGMENT_EPOCH = 1  # number of random views per support image; their mean is its key
        node.INIT_ALPHA = 1.0  # alpha without validation images, and while keys are trained
        node.INIT_BETA = 1.0  # beta, as INIT_ALPHA
        node.SEARCH_SCALE = [50.0, 50.0]  # ends of the grids of beta and alpha
        node.SEARCH_STEP = [200, 200]  # numbers of points of the grids of beta and alpha
        return node

    def build_method(self, classnames: list[str]) -> None:
        super().build_method(classnames)
        s = self.settings
        views = [self.train_features(epoch) for epoch in range(s.AUGMENT_EPOCH)]
        values = one_hot(labels_of(self.train_items), len(classnames)).float()
        keys = normalize(torch.stack(views).mean(dim=0), dim=-1)
        self.cache = Cache(keys, values, s.INIT_ALPHA, s.INIT_BETA).to(self.device)
        self.adapt()

    def adapt(self) -> None:
        """Finish the construction: choose alpha and beta, or prepare the training of the keys."""
        self.choose_settings()

    def logits(self, features: Tensor) -> Tensor:
        return super().logits(features) + self.cache(features)

    def choose_settings(self) -> None:
        cache = self.cache
        alpha, beta = self.choose(self.best_weights, configured=(cache.alpha, cache.beta))
        cache.alpha.copy_(alpha)
        cache.beta.copy_(beta)

    def best_weights(self, features: Tensor, labels: Tensor) -> Choice[tuple[Tensor, Tensor]]:
        """Choose the alpha and beta of the grid with the most right answers, the first of equals (smallest beta)."""
        s, zero_shot = self.settings, super().logits(features)
        betas, alphas = (
            torch.arange(steps, device=self.device) * ((end - GRID_START) / steps) + GRID_START
            for end, steps in zip(s.SEARCH_SCALE, s.SEARCH_STEP, strict=True)
        )
        weights = alphas[:, None, None]
        right = torch.stack(
            [right_answers(zero_shot + weights * self.cache.affinity(features, beta), labels) for beta in betas]
        )
        best = first_best(right)
        alpha, beta = alphas[best[1]], betas[best[0]]
        return Choice((alpha, beta), f"alpha {alpha:.2f}, beta {beta:.2f}, {right[best]} right")


@TRAINER_REGISTRY.register()
class TipAdapterF(TipAdapter):
    """Train the keys with the initial alpha and beta; the grid search follows the last epoch."""

    short = "tip_adapter_f"

    def adapt(self) -> None:
        self.learn("cache", self.cache)
        self._optims["cache"].param_groups[0]["eps"] = ADAM_EPS

    def loss(self, features: Tensor, labels: Tensor, prompts: Tensor) -> Step:
        logits = self.logits(features)
        return logits, {"ce": cross_entropy(logits, labels)}
