"""Tip-Adapter and Tip-Adapter-F: a cache of the support images adds to the zero-shot logits.

The zero-shot logits have the backbone's own scale; BiomedCoOp's code writes BiomedCLIP's as 85.2323. A key that is a
mean of several views is one of unit features, as the store keeps them; that of the authors' code is one of features
before they are scaled to unit length.

References:
    Zhang, Zhang, Fang, Gao, Li, Dai, Qiao, Li: Tip-Adapter: Training-free adaption of CLIP for few-shot classification.
    ECCV 2022.
    github.com/gaopengcuhk/Tip-Adapter: the authors' code.
    github.com/HealthX-Lab/BiomedCoOp: trainers/TipAdapter/tip_adapter_biomedclip.py, the benchmark.
"""

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, normalize, one_hot
from torch.optim import Optimizer
from yacs.config import CfgNode

from dassl.engine import TRAINER_REGISTRY
from dassl.errors import UserError
from dassl.optim.lr_scheduler import EpochScheduler
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

    rows = ("keys", "values")  # of each image
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
    title = "Tip-Adapter"

    @staticmethod
    def defaults() -> CfgNode:
        node = ZeroshotCLIP.defaults()
        node.VIEWS = "none"  # random views of an image in its key: "none", "one", or the mean of "many"
        node.AUGMENT_EPOCH = 10  # number of random views in a key, with VIEWS "many"
        node.INIT_ALPHA = 1.0  # alpha without validation images
        node.INIT_BETA = 1.0  # beta without validation images, and while keys are trained
        node.SEARCH_SCALE = [50.0, 50.0]  # ends of the grids of beta and alpha
        node.SEARCH_STEP = [200, 200]  # numbers of points of the grids of beta and alpha
        return node

    def build_method(self, classnames: list[str]) -> None:
        super().build_method(classnames)
        self.adapt()

    def adapt(self) -> None:
        """Finish the construction: keep the support set, and choose alpha and beta."""
        self.cache = self.new_cache(self.initial_keys(), labels_of(self.train_items))
        self.choose_settings()

    def new_cache(self, keys: Tensor, labels: Tensor) -> Cache:
        """Return a cache of keys [N, D] of images with labels [N]; alpha and beta are not chosen yet."""
        values = one_hot(labels, self.num_classes).float()
        return Cache(keys, values, self.settings.INIT_ALPHA, self.settings.INIT_BETA).to(self.device)

    def initial_keys(self) -> Tensor:
        """Return the keys [N, D] of the support set, unit norm: means of the views that VIEWS asks for."""
        if self.seen == "none":
            return self.plain_features(self.train_items)
        count, there = (1, 1) if self.seen == "one" else (self.settings.AUGMENT_EPOCH, self.cfg.FEATURES.VIEWS)
        if count < 1:
            raise UserError(
                f"Expected TRAINER.{self.cfg.TRAINER.NAME.upper()}.AUGMENT_EPOCH of 1 or more, but got {count}: give "
                "the number of views in a key."
            )
        # Views that no epoch is trained on, unless there are only so many.
        numbers = range(min(count, there)) if there else range(self.max_epoch, self.max_epoch + count)
        return normalize(self.views(numbers).mean(dim=0), dim=-1)

    def logits(self, features: Tensor) -> Tensor:
        return super().logits(features) + self.cache(features)

    def choose_settings(self) -> None:
        s = self.settings
        alpha, beta = self.choose(self.best_weights, configured=(s.INIT_ALPHA, s.INIT_BETA))
        self.cache.alpha.fill_(alpha)
        self.cache.beta.fill_(beta)

    def best_weights(self, features: Tensor, labels: Tensor) -> Choice[tuple[float, float]]:
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
        alpha, beta = alphas[best[1]].item(), betas[best[0]].item()
        return Choice((alpha, beta), f"alpha {alpha:.2f}, beta {beta:.2f}, {right[best]} right")


class BestEpoch(nn.Module):
    """The keys [N, D] of the epoch with the most right answers on validation images so far, the first of equals.

    It is a part of the checkpoint, so that a resumed run remembers it.
    """

    keys: Tensor
    epoch: Tensor
    right: Tensor

    def __init__(self, keys: Tensor):
        super().__init__()
        self.register_buffer("keys", keys.detach().clone())
        self.register_buffer("epoch", torch.tensor(0))  # from 1
        self.register_buffer("right", torch.tensor(-1))

    def update(self, keys: Tensor, epoch: int, right: Tensor) -> None:
        """Keep a copy of `keys` if their answers are `right` more often than those of all epochs before."""
        if right > self.right:
            self.keys.copy_(keys)
            self.epoch.fill_(epoch)
            self.right.copy_(right)


@TRAINER_REGISTRY.register()
class TipAdapterF(TipAdapter):
    """Train the keys with beta fixed and alpha as ALPHAS says; the grid search follows the last epoch.

    The authors' code tests the keys of the epoch that is best on the test images. Here validation images choose it.
    """

    short = "tip_adapter_f"
    title = "Tip-Adapter-F"

    @staticmethod
    def defaults() -> CfgNode:
        node = TipAdapter.defaults()  # VIEWS is of the images in an epoch too
        # Values of alpha while keys are trained. Each has its share of the epochs, with a new optimizer and schedule,
        # and goes on from the keys that the one before has left.
        node.ALPHAS = [1.0]
        node.BEST_EPOCH = True  # test the keys of the epoch best on validation images; False: those of the last epoch
        return node

    def check_cfg(self, cfg: CfgNode) -> None:
        """Raise a UserError if the epochs cannot be shared among ALPHAS."""
        super().check_cfg(cfg)
        epochs, count = cfg.OPTIM.MAX_EPOCH, len(cfg.TRAINER.TIPADAPTERF.ALPHAS)
        if not count or epochs % count:
            raise UserError(
                f"Expected OPTIM.MAX_EPOCH to be a multiple of the number of TRAINER.TIPADAPTERF.ALPHAS, but got "
                f"{epochs} epochs and {count} values: change one of them."
            )

    def adapt(self) -> None:
        """Register a cache without images: training or a checkpoint brings the keys."""
        none = torch.zeros(0, self.backbone.embed_dim), torch.zeros(0, dtype=torch.long)
        self.cache = self.new_cache(*none)
        self.register_model("cache", self.cache)

    def build_training(self, classnames: list[str]) -> None:
        super().build_training(classnames)
        self.cache = self._models["cache"] = self.new_cache(self.initial_keys(), labels_of(self.train_items))
        self.share = self.max_epoch // len(self.settings.ALPHAS)  # epochs for each alpha
        self._optims["cache"], self._scheds["cache"] = self.fresh_optimisation()
        self.judges = self.dm.dataset.val if self.settings.BEST_EPOCH else []  # validation images that choose an epoch
        if self.judges:
            self.best = BestEpoch(self.cache.keys).to(self.device)
            self.cache.add_module("best", self.best)

    def fresh_optimisation(self) -> tuple[Optimizer, EpochScheduler]:
        """Return a new optimizer of the keys, and its schedule over the epochs of one alpha."""
        optimizer, schedule = self.optimisation(self.cache, MAX_EPOCH=self.share)
        optimizer.param_groups[0]["eps"] = ADAM_EPS
        return optimizer, schedule

    def before_epoch(self) -> None:
        super().before_epoch()
        self.cache.alpha.fill_(self.settings.ALPHAS[self.epoch // self.share])
        if self.epoch % self.share == 0:
            self._optims["cache"], self._scheds["cache"] = self.fresh_optimisation()

    def loss(self, features: Tensor, labels: Tensor, prompts: Tensor) -> Step:
        logits = self.logits(features)
        return logits, {"ce": cross_entropy(logits, labels)}

    @torch.no_grad()
    def after_epoch(self) -> None:
        if self.judges:
            logits, labels = self.logits(self.plain_features(self.judges)), labels_of(self.judges, self.device)
            self.best.update(self.cache.keys, self.epoch + 1, right_answers(logits, labels))
        super().after_epoch()

    @torch.no_grad()
    def choose_settings(self) -> None:
        if self.judges:
            self.cache.keys.copy_(self.best.keys)
            print(f"Keys of epoch {self.best.epoch} of {self.max_epoch}, {self.best.right} of {len(self.judges)} right")
        super().choose_settings()
