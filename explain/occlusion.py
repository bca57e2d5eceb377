"""Occlusion: how much of the score is lost where a part of the picture is covered.

Reference:
    Zeiler, Fergus: Visualizing and understanding convolutional networks. ECCV 2014.
"""

import torch
from torch import Tensor
from torch.nn.functional import normalize

from clip import Backbone

STEPS, WIDE = 12, 3  # places a side of a map, and how many of them are covered at once
AT_ONCE = 64  # pictures through the tower


@torch.no_grad()
def occlusion(backbone: Backbone, pixels: Tensor, directions: Tensor) -> Tensor:
    """Return maps [M, B, 12, 12]: of each place the mean loss of score over all covers that hide it, or 0 for a gain.

    A cover is a square, a quarter of the picture's side wide, in the picture's mean colour. It needs no knowledge of
    the tower, and about a hundred pictures through it: the slow map that the others can be held against.

    Args:
        backbone: of any tower.
        pixels: [B, 3, S, S].
        directions: of the classes, M for each picture: [M, B, D].
    """
    size, covers = pixels.shape[-1], STEPS - WIDE + 1
    edges = [round(i * size / STEPS) for i in range(STEPS + 1)]
    whole = _scores(backbone, pixels, directions)
    losses, count = torch.zeros(*whole.shape, STEPS, STEPS, device=pixels.device), torch.zeros(STEPS, STEPS)
    for i in range(covers):
        for j in range(covers):
            covered, rows, columns = pixels.clone(), slice(i, i + WIDE), slice(j, j + WIDE)
            place = (..., slice(edges[i], edges[i + WIDE]), slice(edges[j], edges[j + WIDE]))
            covered[place] = pixels.mean(dim=(2, 3), keepdim=True)
            losses[..., rows, columns] += (whole - _scores(backbone, covered, directions))[..., None, None]
            count[rows, columns] += 1
    return (losses / count.to(losses)).relu()


def _scores(backbone: Backbone, pixels: Tensor, directions: Tensor) -> Tensor:
    """Return the scores [M, B] of pictures [B, 3, S, S] for directions [M, B, D]."""
    features = torch.cat([normalize(backbone.pool_image(part), dim=-1) for part in pixels.split(AT_ONCE)])
    return (features * directions).sum(dim=-1)
