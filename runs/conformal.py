"""Sets of classes that hold the right one with a probability that is asked for: split conformal prediction, LAC.

An image's score is s = 1 - p_y, where p_y is the probability of its right class. Of n images that nothing was fitted
to, the threshold q is the k-th smallest score, k = ceil((n + 1) coverage). The set of a new image has every class c
with 1 - p_c <= q. If the new image and the n are exchangeable, the set holds its right class with a probability of at
least `coverage`, and below `coverage` + 1 / (n + 1) if no two scores are equal. For k > n no threshold is high enough,
and every class is in every set.

References:
    Vovk, Gammerman, Shafer: Algorithmic learning in a random world. Springer 2005 (split conformal prediction).
    Sadinle, Lei, Wasserman: Least ambiguous set-valued classifiers with bounded error levels. JASA 2019 (LAC).
"""

import math

from torch import Tensor


def scores(probabilities: Tensor, labels: Tensor) -> Tensor:
    """Return the scores 1 - p_y [N] of images with probabilities [N, C] and labels [N].

    >>> import torch
    >>> scores(torch.tensor([[0.75, 0.25], [0.5, 0.5]]), torch.tensor([0, 1]))
    tensor([0.2500, 0.5000])
    """
    return 1 - probabilities.gather(1, labels[:, None]).squeeze(1)


def rank(n: int, coverage: float) -> int:
    """Return k = ceil((n + 1) coverage), without the rounding of binary fractions.

    >>> rank(9, 0.9), rank(99, 0.55), rank(8, 0.9)
    (9, 55, 9)
    """
    return math.ceil(round((n + 1) * coverage, 9))


def least(coverage: float) -> int:
    """Return the smallest n of images on which a threshold for a coverage can be found.

    >>> least(0.9), least(0.95), least(0.5)
    (9, 19, 1)
    """
    return math.ceil(round(coverage / (1 - coverage), 6))


def threshold(calibration: Tensor, coverage: float) -> float:
    """Return q, the k-th smallest of the scores [n]; infinity for k > n.

    >>> import torch
    >>> threshold(torch.tensor([0.5, 0.125, 0.25]), coverage=0.5), threshold(torch.tensor([0.5, 0.125]), coverage=0.9)
    (0.25, inf)
    """
    k = rank(len(calibration), coverage)
    return math.inf if k > len(calibration) else calibration.double().sort().values[k - 1].item()


def sets(probabilities: Tensor, q: float) -> Tensor:
    """Return a mask [N, C] of the classes in the set of each image with probabilities [N, C].

    >>> import torch
    >>> sets(torch.tensor([[0.75, 0.25], [0.5, 0.5]]), q=0.5)
    tensor([[ True, False],
            [ True,  True]])
    """
    return (1 - probabilities).double() <= q


def covered(members: Tensor, labels: Tensor) -> float:
    """Return the share of images, with sets [N, C], whose label [N] is in their set.

    >>> import torch
    >>> covered(torch.tensor([[True, False], [True, True]]), torch.tensor([1, 1]))
    0.5
    """
    return members.gather(1, labels[:, None]).double().mean().item()


def mean_size(members: Tensor) -> float:
    """Return the mean number of classes in sets [N, C].

    >>> import torch
    >>> mean_size(torch.tensor([[True, False], [True, True]]))
    1.5
    """
    return members.sum(dim=1).double().mean().item()
