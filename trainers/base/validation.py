"""How validation images choose a setting; what chooses is handed their features, and so cannot see test images."""

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from trainers.base.feature_trainer import FeatureTrainer


def right_answers(logits: Tensor, labels: Tensor) -> Tensor:
    """Numbers [...] of right answers in logits [..., N, C] for labels [N]."""
    return (logits.argmax(dim=-1) == labels).sum(dim=-1)


def first_best(right: Tensor) -> tuple[int, ...]:
    """Index of the largest of `right`, the first of equals."""
    return tuple(int(i) for i in torch.unravel_index(right.argmax(), right.shape))


def score(logits: Tensor, labels: Tensor) -> tuple[int, float]:
    """Right answers in logits [N, C] for labels [N], then their likelihood: what few images leave equal, it decides."""
    return int(right_answers(logits, labels)), -cross_entropy(logits, labels).item()


class ChosenOnValidation(FeatureTrainer):
    """A method that leaves a setting to the validation images; without any, it stays as configured."""

    def choose(self, features: Tensor, labels: Tensor) -> str:
        """Set what validation features [N, D] and labels [N] are to decide; returns words for the log."""
        raise NotImplementedError

    @torch.no_grad()
    def validate(self) -> None:
        items = self.dm.dataset.val
        if not items:
            print("No validation images: the settings stay as configured")
            return
        labels = torch.tensor([item.label for item in items], device=self.device)
        print(f"Chosen on {len(items)} validation images: {self.choose(self.plain_features(items), labels)}")

    def after_epoch(self) -> None:
        if self.epoch + 1 == self.max_epoch:
            self.validate()  # before the last checkpoint, which is to hold the choice
        super().after_epoch()
