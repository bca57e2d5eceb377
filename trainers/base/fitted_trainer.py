"""The base of the methods that learn in one go, without epochs: their MAX_EPOCH is 0."""

import torch
from torch import Tensor

from trainers.base.feature_trainer import FeatureTrainer


class FittedTrainer(FeatureTrainer):
    """Fits once, on the support set without augmentation, and keeps what was learned under the name of epoch 1.

    A method registers its module in `build_method` and fills it in `fit`, which takes seconds: a run that was killed
    during it starts again.
    """

    def fit(self, features: Tensor, labels: Tensor) -> None:
        """Learn from the unit features [N, D] and labels [N] of the support set."""
        raise NotImplementedError

    def before_train(self) -> None:
        super().before_train()
        if not self.start_epoch:
            labels = torch.tensor([item.label for item in self.train_items], device=self.device)
            with torch.no_grad():
                self.fit(self.plain_features(self.train_items), labels)
            self.save_model(0, self.output_dir)
