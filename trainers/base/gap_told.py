"""The part of a trainer that tells, in each test, how far images and texts lie apart (`trainers.gap`)."""

from torch import Tensor

from trainers import posterior
from trainers.base.checkpointed import CheckpointedTrainer
from trainers.base.labels import labels_of
from trainers.gap import Gap, measure, two_sides


class GapTold(CheckpointedTrainer):
    """A trainer whose tests tell the gap. A method that classifies by directions says which; others tell shares alone.

    Of a test on novel classes the support images are those of the base classes.
    """

    def text_directions(self) -> Tensor | None:
        """Return the direction p_c [C, D] of each class among the texts; None for a method that has none."""
        return None

    def centred_directions(self) -> Tensor | None:
        """Return the directions [C, D] by which centred images are classified; None where images are not centred."""
        return None

    def support_centre(self) -> Tensor | None:
        """Return m_V [D], the mean of the class means of the support images; None without any."""
        if not self.train_items:
            return None
        labels = labels_of(self.train_items, self.device)
        return posterior.gather(self.plain_features(self.train_items), labels, int(labels.max()) + 1).centre

    def gap(self, features: Tensor, labels: Tensor, logits: Tensor) -> Gap:
        """Return the gap of a test with image features [N, D], labels [N] and logits [N, C]."""
        sides = None
        directions = self.text_directions()
        if directions is not None and (centre := self.support_centre()) is not None:
            sides = two_sides(features, directions, centre, self.centred_directions())
        return measure(logits.argmax(dim=1), labels, self.dm.dataset.classnames, sides)
