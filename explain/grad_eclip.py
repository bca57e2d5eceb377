"""Grad-ECLIP: which places the attention that makes the feature takes from, weighted by what the class asks for.

Reference:
    Zhao, Wang, Zeng, Zhao, Chan: Gradient-based visual explanation for transformer-based CLIP. ICML 2024.
"""

import torch
from torch import Tensor
from torch.nn.functional import normalize

from clip import Backbone
from clip.attention import watched
from explain.places import stretch, to_grid
from explain.spatial import gradients, maps_of, spatial_leaf


def grad_eclip(backbone: Backbone, pixels: Tensor, directions: Tensor) -> Tensor:
    """Return maps [M, B, h, w]: ReLU(sum_d w_d lambda_i v_id) at place i.

    w is the gradient of the score with respect to the output of the attention whose query reads the feature out, before
    its projection, v_i the value of place i, and lambda_i the cosine of that query and the key of place i, stretched to
    0..1 over the places. A tower that takes the mean of its places has no such attention, where very few places are
    pooled it shows little, and of some kinds it is not known how they compute (`ImageLayers.readout`): there all
    lambda_i are 1, v_i is the spatial layer's output itself, and w its gradient at this place, which is gradient times
    activation (HiResCAM; Draelos and Carin, 2020).

    Args:
        backbone: of any tower.
        pixels: [B, 3, S, S].
        directions: of the classes, M for each picture: [M, B, D].
    """
    layers = backbone.image_layers()
    if layers.readout is None:
        with torch.enable_grad(), spatial_leaf(layers) as seen:
            features = normalize(backbone.pool_image(pixels), dim=-1)
            found = gradients(features, directions, seen.leaf)
        return (maps_of(found, layers) * maps_of(seen.leaf.detach(), layers)).sum(dim=-3).relu()
    with torch.enable_grad(), watched(layers.readout, "mixed") as attention:
        features = normalize(backbone.pool_image(pixels), dim=-1)
        weights = gradients(features, directions, attention.leaf)[:, :, 0]  # [M, B, H d]
    heads = attention.heads
    query, keys, values = (x.detach().transpose(1, 2).flatten(2) for x in (heads.queries, heads.keys, heads.values))
    cosines = (normalize(keys, dim=-1) * normalize(query[:, :1], dim=-1)).sum(dim=-1)  # [B, N]
    asked = torch.einsum("mbd,bnd->mbn", weights, values)
    return (to_grid(asked, layers.prefix) * stretch(to_grid(cosines, layers.prefix))).relu()
