"""The base of methods that learn in one go, without epochs: their OPTIM.MAX_EPOCH is 0."""

import torch
from torch import Tensor

from trainers.base.feature_trainer import FeatureTrainer
from trainers.base.labels import labels_of


class FittedTrainer(FeatureTrainer):
    """Fit once, on the support set without augmentation, and keep the result as the checkpoint of epoch 1.

    A method registers its module in `build_method` and fills it in `fit`, which takes seconds: a run that is killed
    before the checkpoint starts again.
    """

    def fit(self, features: Tensor, labels: Tensor) -> None:
        """Learn from the unit features [N, D] and labels [N] of the support set."""
        raise NotImplementedError

    def before_train(self) -> None:
        super().before_train()
        if not self.start_epoch:
            with torch.no_grad():
                self.fit(self.plain_features(self.train_items), labels_of(self.train_items, self.device))
            self.save_model(0, self.output_dir)
