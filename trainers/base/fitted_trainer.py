"""The base of methods that learn in one go, without epochs: their OPTIM.MAX_EPOCH is 0."""

import torch
from torch import Tensor
from yacs.config import CfgNode

from trainers.base.feature_trainer import FeatureTrainer
from trainers.base.labels import labels_of


class FittedTrainer(FeatureTrainer):
    """Fit once, on the support set, and keep the result as the checkpoint of epoch 1.

    A method registers its module in `build_method` and fills it in `fit`, which takes seconds: a run that is killed
    before the checkpoint starts again.
    """

    @staticmethod
    def defaults() -> CfgNode:
        node = FeatureTrainer.defaults()
        node.VIEWS = "none"  # random views of a training image that are fitted: "none", "one", or "many", N_VIEWS
        node.N_VIEWS = 10
        return node

    def support(self) -> tuple[Tensor, Tensor]:
        """Return the features [V N, D] and labels [V N] of the V views of the support set that VIEWS asks for."""
        if self.seen == "none":
            views = self.plain_features(self.train_items)[None]
        else:
            views = self.views(range(1 if self.seen == "one" else self.settings.N_VIEWS))
        return views.flatten(0, 1), labels_of(self.train_items, self.device).repeat(len(views))

    def fit(self, features: Tensor, labels: Tensor) -> None:
        """Learn from the unit features [N, D] and labels [N] of views of the support set."""
        raise NotImplementedError

    def before_train(self) -> None:
        super().before_train()
        if not self.start_epoch:
            with torch.no_grad():
                self.fit(*self.support())
            self.save_model(0, self.output_dir)
