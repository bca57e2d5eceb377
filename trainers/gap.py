"""What all images have in common, against what tells them apart: the gap between images and texts in figures.

The logit of an image v = m + x for a class with direction p_c is, up to its scale, m.p_c + x.p_c. What all images have
in common, m, gives each class a constant, and only differences between classes decide. So both parts are measured as
deviations from the mean over the classes, in the same unit:

    common  the standard deviation over classes of m.p_c, that is the root mean square over c of m.(p_c - mean p)
    images  the root mean square over test images i and classes c of (v_i - mean v).(p_c - mean p)

Where `common` is several times `images`, the constant decides, and most images go to one class whatever they show.
Before centring, m is m_V, the mean of the class means of the support images (those of the base classes in a test on
novel ones), and p_c is the text of a class. After centring, images are v - m_V, so that m_V itself is gone; what is
measured is what the test images still have in common, mean v - m_V, with the centred directions.

Shapes: C classes, D dimensions, N images. All functions compute in float64 on the CPU, so that devices agree.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from trainers import posterior

MOST_POINTS = 300  # images in the picture
OPEN_AXIS = 1e-6  # weight of the images in the plane of the directions: they fill an axis that these leave open


class Side(NamedTuple):
    """Images and class directions, before or after centring.

    Attributes:
        images: [N, D].
        directions: [C, D].
        centre: what the images have in common [D].
    """

    images: Tensor
    directions: Tensor
    centre: Tensor

    @property
    def common(self) -> float:
        """The standard deviation over classes of m.p_c."""
        return (self.directions @ self.centre).std(correction=0).item()

    @property
    def spread(self) -> float:
        """The root mean square over images and classes of (v - mean v).(p_c - mean p)."""
        return (centred(self.images) @ centred(self.directions).T).square().mean().sqrt().item()


class Points(NamedTuple):
    """A picture's points: images [n, 2] of classes [n], and class directions [C, 2], before and after centring."""

    labels: Tensor
    before: tuple[Tensor, Tensor]
    after: tuple[Tensor, Tensor]


class Gap(NamedTuple):
    """What a test tells of the gap.

    Attributes:
        figures: of a record: the class that is `predicted` most often and its share, the `largest` class and its share
            (in percent); with directions also `common` and `images`, before and after centring.
        points: of the picture; None without directions.
    """

    figures: dict[str, Any]
    points: Points | None = None

    def lines(self) -> list[str]:
        """Return the figures in words, a line or two."""
        f = self.figures
        said = [
            f"Gap: {f['predicted_share']:.1f}% of the images are predicted as {f['predicted']}, the most frequent "
            f"prediction; the largest class, {f['largest']}, has {f['largest_share']:.1f}%"
        ]
        if self.points:
            said.append(
                f"Gap: what all images have in common moves the classes apart by {_against(f, '')}; "
                f"after centring by {_against(f, '_centred')}"
            )
        return said


def measure(predicted: Tensor, labels: Tensor, classnames: Sequence[str], sides: tuple[Side, Side] | None) -> Gap:
    """Return the gap of a test.

    Args:
        predicted: classes [N].
        labels: classes [N].
        classnames: of the C classes.
        sides: before and after centring; None for a method that has no directions.
    """
    figures: dict[str, Any] = {}
    for name, found in (("predicted", predicted), ("largest", labels)):
        best, share = most_frequent(found)
        figures |= {name: classnames[best], f"{name}_share": share}
    if sides is None:
        return Gap(figures)
    for suffix, side in zip(("", "_centred"), sides, strict=True):
        figures |= {f"common{suffix}": side.common, f"images{suffix}": side.spread}
    before, after = sides
    chosen, axes = spread_out(labels), plane(before)
    images, directions = decisive(after)
    as_they_are = (before.images[chosen] @ axes.T, before.directions @ axes.T)
    return Gap(figures, Points(labels[chosen], as_they_are, (images[chosen], directions)))


def two_sides(images: Tensor, directions: Tensor, centre: Tensor, tested: Tensor | None = None) -> tuple[Side, Side]:
    """Return images [N, D] and class directions [C, D] before and after centring.

    After it, images are less m_V, and directions are as by `trainers.posterior.relative`.

    Args:
        images: unit features of the test images.
        directions: p_c.
        centre: m_V [D].
        tested: directions [C, D] that centred images are tested with; None: p_c less their mean.
    """
    v, p, m = (x.detach().cpu().double() for x in (images, directions, centre))
    w = p if tested is None else tested.detach().cpu().double()
    x = v - m
    return Side(v, p, m), Side(x, posterior.relative(w), x.mean(dim=0))


def most_frequent(classes: Tensor) -> tuple[int, float]:
    """Return the most frequent of classes [N], the first of several, and its share in percent.

    >>> most_frequent(torch.tensor([2, 0, 2, 1]))
    (2, 50.0)
    """
    counts = classes.bincount()
    best = int(counts.argmax())
    return best, counts[best].item() / len(classes) * 100


def centred(x: Tensor) -> Tensor:
    """Return rows [N, D] less their mean."""
    return x - x.mean(dim=0)


def spread_out(labels: Tensor, most: int = MOST_POINTS) -> Tensor:
    """Return the indices of at most `most` images, evenly through the images in the order of their classes [N].

    >>> spread_out(torch.tensor([1, 0, 0, 1, 1, 1]), most=3)
    tensor([1, 0, 4])
    """
    n = len(labels)
    order = labels.argsort(stable=True)
    return order if n <= most else order[torch.arange(most) * n // most]


def plane(side: Side) -> Tensor:
    """Return the first two principal axes [2, D] of images and directions together, each source with half the weight.

    The mixture of both has half the sum of their covariances, and a quarter of d d^T, d being the way between means.
    """
    d = side.images.mean(dim=0) - side.directions.mean(dim=0)
    return _principal((_covariance(side.images) + _covariance(side.directions)) / 2 + torch.outer(d, d) / 4)


def decisive(side: Side) -> tuple[Tensor, Tensor]:
    """Return images [N, 2] and directions [C, 2] in the plane in which directions lie furthest apart: there is decided.

    Two classes have one such axis; the other is then the first principal axis of the images across it. Images are in
    units of their root mean square along axes that decide, and along one that does not.
    """
    axes = _principal(_covariance(side.directions) + OPEN_AXIS * _covariance(side.images))
    images, directions = side.images @ axes.T, side.directions @ axes.T
    decides = directions.square().mean(dim=0) > OPEN_AXIS
    for part in (decides, ~decides):
        images[:, part] /= images[:, part].square().mean().sqrt().clamp(min=1e-9)
    return images, directions


def _covariance(x: Tensor) -> Tensor:
    return centred(x).T @ centred(x) / len(x)


def _principal(covariance: Tensor) -> Tensor:
    """Return the two eigenvectors of the largest eigenvalues as rows; the largest coordinate of each is positive."""
    axes = torch.linalg.eigh(covariance).eigenvectors[:, -2:].flip(1).T
    largest = axes.abs().argmax(dim=1, keepdim=True)
    return axes * axes.gather(1, largest).sign()


def _against(figures: dict[str, Any], suffix: str) -> str:
    """Return what is common in units of what images make."""
    common, images = figures[f"common{suffix}"], figures[f"images{suffix}"]
    return f"{common / images:.2f} times what images do" if images > 1e-12 else "an unknown amount (images do nothing)"
