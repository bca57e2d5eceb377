"""Scores of saliency maps against masks of what they should show."""

import numpy as np
import torch
from scipy.ndimage import distance_transform_edt
from torch import Tensor

TOLERANCE = 15 / 224  # of the side of a picture: 15 pixels at 224, as the pointing game is played


def pointing(maps: Tensor, masks: Tensor, tolerance: float = TOLERANCE) -> Tensor:
    """Return whether each map's maximum lies in the mask or near it, in 0..1 [B].

    Where several pixels share the maximum, the share of them that do: a map without differences has the score of a
    point that is chosen blindly.

    Args:
        maps: [B, S, S].
        masks: [B, S, S], bool, each with a pixel at least.
        tolerance: distance that still counts as near, as a share of the side; smaller, not equal.

    Reference:
        Zhang, Bargal, Lin, Brandt, Shen, Sclaroff: Top-down neural attention by excitation backprop. IJCV 2018.

    >>> maps = torch.zeros(1, 4, 4)
    >>> maps[0, 1, 1] = 1.0
    >>> masks = torch.zeros(1, 4, 4, dtype=torch.bool)
    >>> masks[0, 1, 3] = True
    >>> [pointing(maps, masks, tolerance).item() for tolerance in (0.25, 0.5, 0.75)]
    [0.0, 0.0, 1.0]
    """
    reach = tolerance * maps.shape[-1]
    near = np.stack([mask | (distance_transform_edt(~mask) < reach) for mask in masks.numpy()])
    highest = maps == maps.amax(dim=(1, 2), keepdim=True)
    return (highest & torch.from_numpy(near)).sum(dim=(1, 2)) / highest.sum(dim=(1, 2))


def energy(maps: Tensor, masks: Tensor) -> Tensor:
    """Return the share of each map's sum that lies in the mask [B]; a map of zeros has the mask's share of the picture.

    Args:
        maps: [B, S, S], not negative.
        masks: [B, S, S], bool.

    Reference:
        Wang et al.: Score-CAM: Score-weighted visual explanations for convolutional neural networks. CVPR workshops
        2020 (with boxes in place of masks).

    >>> maps = torch.tensor([[[3.0, 1.0], [0.0, 0.0]], [[0.0, 0.0], [0.0, 0.0]]])
    >>> energy(maps, torch.tensor([[[True, False], [False, False]]]).repeat(2, 1, 1))
    tensor([0.7500, 0.2500])
    """
    flat = (maps.sum(dim=(1, 2), keepdim=True) == 0).to(maps)  # a map of zeros becomes one of ones
    even = maps + flat
    return (even * masks).sum(dim=(1, 2)) / even.sum(dim=(1, 2))


def over_classes(values: Tensor, labels: Tensor) -> float:
    """Return the mean over classes of the mean value of each class's pictures; values and labels [B].

    >>> over_classes(torch.tensor([1.0, 0.0, 1.0]), torch.tensor([0, 0, 4]))
    0.75
    """
    return torch.stack([values[labels == label].mean() for label in labels.unique()]).mean().item()
