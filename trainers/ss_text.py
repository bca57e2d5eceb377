"""SS-Text: a linear probe in closed form, between the class means of the images and text prototypes.

Reference:
    Silva-Rodríguez, Shakeri, Bahig, Dolz, Ben Ayed: Few-shot, now for real: Medical VLMs adaptation without balanced
    sets or validation. MICCAI 2025.
"""

from torch import Tensor
from torch.nn.functional import normalize, one_hot
from yacs.config import CfgNode

from dassl.engine import TRAINER_REGISTRY
from trainers.base.closed_set import ClosedSet
from trainers.base.labels import labels_of
from trainers.zeroshot import ZeroshotText


def solve_weights(text: Tensor, features: Tensor, labels: Tensor, scale: float, weight: float | Tensor) -> Tensor:
    """Return the w [C, D] that minimise -(scale / N) sum_i f_i . w_{y_i} + (weight / 2) sum_c |w_c - t_c|^2.

    The first term is the part of the cross-entropy that pulls images to their class; the part that pushes them from the
    others is left out, and so the minimum is w_c = t_c + scale / (N weight) sum_{i: y_i = c} f_i.

    Args:
        text: text prototypes t [C, D].
        features: support features f [N, D].
        labels: their classes y [N].
        scale: 1 / temperature of the backbone.
        weight: lambda, the weight of the distance to the text prototypes, one for all or [C, 1].

    >>> import torch
    >>> features, labels = torch.tensor([[0.6, 0.8], [0.0, 1.0]]), torch.tensor([0, 1])
    >>> solve_weights(torch.eye(2), features, labels, scale=10.0, weight=0.5)
    tensor([[ 7.,  8.],
            [ 0., 11.]])
    """
    sums = one_hot(labels, len(text)).to(features).T @ features
    return text + scale / (len(features) * weight) * sums


@TRAINER_REGISTRY.register()
class SSText(ClosedSet, ZeroshotText):
    """Classify as zero-shot, with prototypes that the support images have moved; no validation images are needed.

    As published, the text prototypes are means over several descriptions of a class, lambda is 1 / N, and images are
    not augmented. SS-Text+, the variant for classes of unequal size, is left out, as K shots have equal sizes.
    """

    short = "ss_text"
    title = "SS-Text"

    @staticmethod
    def defaults() -> CfgNode:
        node = ZeroshotText.defaults()
        node.LAMBDA = 0.0  # weight of the text; 0 stands for the published one, 1 / N
        return node

    def class_directions(self, classnames: list[str]) -> Tensor:
        return normalize(self.weights(super().class_directions(classnames)), dim=-1)

    def weights(self, text: Tensor) -> Tensor:
        """Return the prototypes w [C, D], not of unit norm, that the support images make of `text` [C, D]."""
        features = self.plain_features(self.train_items)
        labels = labels_of(self.train_items, self.device)
        weight = self.settings.LAMBDA or self.published_weight(labels)
        return solve_weights(text, features, labels, self.backbone.logit_scale, weight)

    def published_weight(self, labels: Tensor) -> float | Tensor:
        """Return the published lambda for support images with labels [N]."""
        return 1 / len(labels)
