"""Settings chosen on validation images. The function that chooses gets their features, and so sees no test image."""

from collections.abc import Callable
from typing import Generic, NamedTuple, TypeVar

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from dassl.console import tell
from trainers.base.feature_trainer import FeatureTrainer
from trainers.base.labels import labels_of

T = TypeVar("T")


class Choice(NamedTuple, Generic[T]):
    """A chosen value, and words for the log."""

    value: T
    words: str


def right_answers(logits: Tensor, labels: Tensor) -> Tensor:
    """Return the numbers [...] of right answers in logits [..., N, C] for labels [N]."""
    return (logits.argmax(dim=-1) == labels).sum(dim=-1)


def first_best(right: Tensor) -> tuple[int, ...]:
    """Return the index of the largest entry of `right`, the first one of equals.

    >>> first_best(torch.tensor([[1, 4], [4, 2]]))
    (0, 1)
    """
    return tuple(int(i) for i in torch.unravel_index(right.argmax(), right.shape))


def score(logits: Tensor, labels: Tensor) -> tuple[int, float]:
    """Return the number of right answers and the mean log-likelihood of logits [N, C] for labels [N].

    The likelihood breaks ties, which are common with few images.
    """
    return int(right_answers(logits, labels)), -cross_entropy(logits, labels).item()


class ChosenOnValidation(FeatureTrainer):
    """A method that chooses a setting on the validation images; without any, the setting stays as configured."""

    @property
    def chooses(self) -> bool:
        """Whether a run with these settings chooses, where there are validation images."""
        return True

    @torch.no_grad()
    def choose(self, chooser: Callable[[Tensor, Tensor], Choice[T]], configured: T) -> T:
        """Return the value that `chooser` chooses on the validation images, and print its words.

        Args:
            chooser: takes features [N, D] and labels [N] of validation images.
            configured: returned where there are no validation images.
        """
        items = self.dm.dataset.val
        if not items:
            tell("No validation images: the settings stay as configured")
            return configured
        choice = chooser(self.plain_features(items), labels_of(items, self.device))
        tell(f"Chosen on {len(items)} validation images: {choice.words}")
        return choice.value

    def choose_settings(self) -> None:
        """Choose what follows the last epoch, by `choose`; a method that learns in epochs overrides this."""

    def after_epoch(self) -> None:
        if self.epoch + 1 == self.max_epoch:
            self.choose_settings()  # before the last checkpoint, which holds the choice
        super().after_epoch()
