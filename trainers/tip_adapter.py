"""Tip-Adapter and Tip-Adapter-F (Zhang et al. 2022): a cache of support images beside zero-shot."""

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, normalize, one_hot
from yacs.config import CfgNode

from dassl.engine import TRAINER_REGISTRY
from trainers.base.closed_set import ClosedSet
from trainers.base.feature_trainer import Step
from trainers.base.validation import ChosenOnValidation, first_best, right_answers
from trainers.zeroshot import ZeroshotCLIP

GRID_START = 0.1  # of the search, where each step of it is (SEARCH_SCALE - GRID_START) / SEARCH_STEP
ADAM_EPS = 1e-4  # published for Tip-Adapter-F: the gradients are small


class Cache(nn.Module):
    """Keys [N, D] (support features) and their values [N, C] (one-hot labels).

    `alpha` weighs what they say, and the larger `beta`, the nearer a key must be to have a say.
    """

    def __init__(self, keys: Tensor, values: Tensor, alpha: float, beta: float):
        super().__init__()
        self.keys = nn.Parameter(keys)
        self.register_buffer("values", values)
        self.register_buffer("alpha", torch.tensor(alpha))
        self.register_buffer("beta", torch.tensor(beta))

    def answers(self, features: Tensor, beta: Tensor) -> Tensor:
        """exp(-beta (1 - cos)) V: what the keys near features [B, D] say of the classes, [B, C]."""
        return torch.exp(-beta * (1 - features @ self.keys.T)) @ self.values

    def forward(self, features: Tensor) -> Tensor:
        return self.alpha * self.answers(features, self.beta)


@TRAINER_REGISTRY.register()
class TipAdapter(ClosedSet, ChosenOnValidation, ZeroshotCLIP):
    """Nothing is learned: a grid search on the validation images sets alpha and beta."""

    short = "tip_adapter"

    @staticmethod
    def defaults() -> CfgNode:
        node = ZeroshotCLIP.defaults()
        node.AUGMENT_EPOCH = 1  # random views per support image whose mean is its key
        node.INIT_ALPHA = 1.0  # alpha and beta where there are no validation images, and while keys are learned
        node.INIT_BETA = 1.0
        node.SEARCH_SCALE = [50.0, 50.0]  # ends of the grids of beta and alpha
        node.SEARCH_STEP = [200, 200]  # their numbers of points
        return node

    def build_method(self, classnames: list[str]) -> None:
        super().build_method(classnames)
        s = self.settings
        views = [self.train_features(epoch) for epoch in range(s.AUGMENT_EPOCH)]
        labels = torch.tensor([item.label for item in self.train_items])
        values = one_hot(labels, len(classnames)).float()
        keys = normalize(torch.stack(views).mean(dim=0), dim=-1)
        self.cache = Cache(keys, values, s.INIT_ALPHA, s.INIT_BETA).to(self.device)
        self.adapt()

    def adapt(self) -> None:
        self.validate()

    def logits(self, features: Tensor) -> Tensor:
        return super().logits(features) + self.cache(features)

    def choose(self, features: Tensor, labels: Tensor) -> str:
        s, cache, zero_shot = self.settings, self.cache, super().logits(features)
        betas, alphas = (
            torch.arange(steps, device=self.device) * ((end - GRID_START) / steps) + GRID_START
            for end, steps in zip(s.SEARCH_SCALE, s.SEARCH_STEP, strict=True)
        )
        weights = alphas[:, None, None]
        right = torch.stack(
            [right_answers(zero_shot + weights * cache.answers(features, beta), labels) for beta in betas]
        )
        best = first_best(right)
        cache.beta.copy_(betas[best[0]])
        cache.alpha.copy_(alphas[best[1]])
        return f"alpha {cache.alpha:.2f}, beta {cache.beta:.2f}, {right[best]} right"


@TRAINER_REGISTRY.register()
class TipAdapterF(TipAdapter):
    """The keys are learned with alpha and beta as they start; the search follows the last epoch."""

    short = "tip_adapter_f"

    def adapt(self) -> None:
        self.learn("cache", self.cache)
        self._optims["cache"].param_groups[0]["eps"] = ADAM_EPS

    def loss(self, features: Tensor, labels: Tensor, prompts: Tensor) -> Step:
        logits = self.logits(features)
        return logits, {"ce": cross_entropy(logits, labels)}
