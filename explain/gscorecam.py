"""gScoreCAM: the score of the picture seen through each of the channels that the gradient points to.

Reference:
    Chen, Li, Biaz, Bui, Nguyen: gScoreCAM: What objects is CLIP looking at? ACCV 2022.
"""

import torch
from torch import Tensor
from torch.nn.functional import normalize

from clip import Backbone
from explain.places import to_pixels
from explain.spatial import gradients, maps_of, spatial_leaf

CHANNELS = 0.1  # share of the channels that are tried: 300 of 3072 in the paper
AT_ONCE = 32  # pictures through the tower


def gscorecam(backbone: Backbone, pixels: Tensor, directions: Tensor, share: float = CHANNELS) -> Tensor:
    """Return maps [M, B, h, w]: ReLU(sum_k softmax(score_k) A_k) over the channels k with the largest mean gradients.

    score_k is that of the normalised picture times A_k, which is enlarged and stretched to 0..1. The other channels
    are left out of the softmax: of scores that contain the logit scale they would get next to nothing.

    Args:
        backbone: of any tower.
        pixels: [B, 3, S, S].
        directions: of the classes, M for each picture: [M, B, D]; with the logit scale.
        share: of the channels that are tried, at least one.
    """
    layers = backbone.image_layers()
    with torch.enable_grad(), spatial_leaf(layers) as seen:
        features = normalize(backbone.pool_image(pixels), dim=-1)
        found = gradients(features, directions, seen.leaf)
    maps = maps_of(seen.leaf.detach(), layers)  # [B, W, h, w]
    importance = maps_of(found, layers).mean(dim=(-2, -1))  # [M, B, W]
    chosen = importance.topk(max(1, round(share * maps.shape[1])), dim=-1).indices  # [M, B, K]
    pictures = zip(pixels, maps, directions.unbind(1), chosen.unbind(1), strict=True)
    return torch.stack([_of_picture(backbone, *each) for each in pictures], dim=1)


@torch.no_grad()
def _of_picture(backbone: Backbone, pixels: Tensor, maps: Tensor, directions: Tensor, chosen: Tensor) -> Tensor:
    """Return the maps [M, h, w] of one picture; each channel is tried once for all classes that ask for it.

    Args:
        backbone: of any tower.
        pixels: [3, S, S].
        maps: of all channels [W, h, w].
        directions: [M, D].
        chosen: channels [M, K].
    """
    tried, places = chosen.unique(return_inverse=True)  # places: [M, K] in `tried`
    parts = (pixels * to_pixels(part, pixels.shape[-1])[:, None] for part in maps[tried].split(AT_ONCE))
    features = torch.cat([normalize(backbone.pool_image(part), dim=-1) for part in parts])
    scores = (features @ directions.T).T.gather(1, places)  # [M, K]
    return torch.einsum("mk,mkhw->mhw", scores.softmax(dim=1), maps[tried][places]).relu()
