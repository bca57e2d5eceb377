"""SS-Text-U: SS-Text's closed form with further images that have no labels.

The unlabelled images u [M, D] share their labels z [M, C] among the classes. Rounds alternate between the two blocks of
unknowns: z given the weights w, by optimal transport in which each class gets its share of the images, and w given z in
closed form,

    w_c = t_c + scale / (N lambda_c) sum_{i: y_i = c} f_i + scale / M sum_j z_jc u_j.

References:
    Silva-Rodríguez, Konukoglu: Semi-supervised few-shot adaptation of vision-language models. arXiv 2603.02959, 2026.
    github.com/jusiro/SS-Text-U: the authors' code, libs/solvers/sstextu.py and adapt.py.
    Cuturi: Sinkhorn distances: Lightspeed computation of optimal transport. NeurIPS 2013.
"""

from torch import Tensor
from torch.nn.functional import normalize, one_hot
from yacs.config import CfgNode

from dassl.console import tell
from dassl.engine import TRAINER_REGISTRY
from trainers.base.labels import labels_of
from trainers.base.unlabelled import unlabelled_images
from trainers.ss_text import SSText


def sinkhorn(logits: Tensor, shares: Tensor, iterations: int) -> Tensor:
    """Return the assignment z [M, C] whose rows add up to 1, and whose columns, after many iterations, to M shares_c.

    Of all such assignments it is the one that maximises sum_jc z_jc logits_jc + the entropy of z.

    Args:
        logits: [M, C].
        shares: share of each class [C]; they add up to 1.
        iterations: each fits the columns, then the rows; with none it is the softmax.

    >>> import torch
    >>> sinkhorn(torch.tensor([[1.0, 0.0], [1.0, 0.0]]), torch.tensor([0.5, 0.5]), iterations=1)
    tensor([[0.5000, 0.5000],
            [0.5000, 0.5000]])
    """
    for _ in range(iterations):  # of logarithms, which do not overflow
        logits = (logits.log_softmax(dim=0) + shares.log()).log_softmax(dim=1)
    return logits.softmax(dim=1)


@TRAINER_REGISTRY.register()
class SSTextU(SSText):
    """Classify as SS-Text, whose prototypes unlabelled images move too. Nothing is learned from test images.

    As in the authors' experiments, the unlabelled images are others of the training split than the shots, and have the
    proportions of the classes among the shots: with K shots of each class, N_UNLABELLED of each. To draw them so takes
    their labels, and to know the proportions is a help that no other method has; else the labels are not used.

    The first round starts from the text, and lambda_c is 2 / K. What the authors do for a class without shots is left
    out, as there is none.
    """

    short = "ss_text_u"
    title = "SS-Text-U"

    @staticmethod
    def defaults() -> CfgNode:
        node = SSText.defaults()
        node.LAMBDA = 0.0  # weight of the text against the shots; 0 stands for the published one, 2 / K
        node.N_UNLABELLED = 24  # unlabelled images per class, or as many as the smallest class has left
        node.ROUNDS = 3
        node.SINKHORN = 10  # iterations in each round
        return node

    def published_weight(self, labels: Tensor) -> Tensor:
        return 2 / one_hot(labels, self.num_classes).sum(dim=0)[:, None]

    def weights(self, text: Tensor) -> Tensor:
        moved = super().weights(text)
        items = unlabelled_images(self.cfg, self.dm.dataset)
        each = len(items) // self.num_classes
        tell(f"Unlabelled images: {each} of each class, others of the training split than the shots; no test image")
        if not items or not self.settings.ROUNDS:
            return moved
        features, scale = self.plain_features(items), self.backbone.logit_scale
        shares = one_hot(labels_of(self.train_items, self.device), self.num_classes).float().mean(dim=0)
        weights = text
        for _ in range(self.settings.ROUNDS):
            logits = scale * features @ normalize(weights, dim=-1).T
            assigned = sinkhorn(logits, shares, self.settings.SINKHORN)
            weights = moved + scale / len(items) * assigned.T @ features
        return weights
