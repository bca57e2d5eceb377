"""Distribution normalisation: zero-shot scores of images and texts from which a part of their means is taken.

Contrastive training tells an image x and its text y from all the others of a batch. Where the cosines are small, the
symmetric loss of a pair is to first order

    -2 x . y + x . mean(y) + y . mean(x) = -2 (x - mean(x) / 2) . (y - mean(y) / 2) + a constant,

so that x . y alone, the zero-shot score, leaves out what the means say.

Reference:
    Zhou, Ren, Li, Zabih, Lim: Test-time distribution normalization for contrastively learned vision-language models.
    NeurIPS 2023.
"""

from torch import Tensor
from yacs.config import CfgNode

from dassl.engine import TRAINER_REGISTRY
from trainers.base.linear_head import affine
from trainers.zeroshot import ZeroshotText


def normalised_scores(images: Tensor, texts: Tensor, mean: Tensor, weight: float) -> Tensor:
    """Return (v - weight mean) . (t - weight mean of the texts) [N, C] for images v [N, D] and texts t [C, D].

    Args:
        images: v, unit norm.
        texts: t, unit norm.
        mean: mean [D] of images.
        weight: lambda.

    >>> import torch
    >>> normalised_scores(torch.eye(2), torch.eye(2), mean=torch.tensor([1.0, 0.0]), weight=0.5)
    tensor([[ 0.3750, -0.1250],
            [-0.6250,  0.8750]])
    """
    return (images - weight * mean) @ (texts - weight * texts.mean(dim=0)).T


@TRAINER_REGISTRY.register()
class ZeroshotDN(ZeroshotText):
    """Take LAMBDA of the mean of the support images off each image, and that of the texts off each text; no label used.

    On novel classes the support images are those of the base classes. The mean of the texts adds the same to the scores
    of all classes, and so changes none of the probabilities.

    The authors' code is another variant: it takes a quarter of the means of features that are not yet of unit norm, the
    mean of 100 images, and then scales the differences to unit norm.
    """

    short = "zeroshot_dn"
    title = "zero-shot, normalised"

    @staticmethod
    def defaults() -> CfgNode:
        node = ZeroshotText.defaults()
        node.LAMBDA = 0.5  # part of the means that is taken off: 0 none, as zero-shot; 1 all of it
        return node

    def build_method(self, classnames: list[str]) -> None:
        super().build_method(classnames)
        self.mean = self.plain_features(self.train_items).mean(dim=0)
        print(f"Mean of images: of {len(self.train_items)} support images, without their labels")

    def text_directions(self) -> Tensor:
        return self.directions

    @affine
    def logits(self, features: Tensor) -> Tensor:
        scores = normalised_scores(features, self.directions, self.mean, self.settings.LAMBDA)
        return self.backbone.logit_scale * scores
