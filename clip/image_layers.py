"""The layers of an image tower at which it can be asked where in a picture it looks."""

from collections.abc import Callable
from typing import Literal, NamedTuple

from torch import Tensor, nn


class ImageLayers(NamedTuple):
    """What saliency maps need to know of an image tower.

    Attributes:
        spatial: the last layer whose output has values for each place, and whose gradients are not zero there.
        layout: of this output: "NLC" for tokens [B, N, W], "NCHW" for maps [B, W, h, w], "NHWC" for [B, h, w, W].
        readout: the attention whose first query reads the feature out of all places; None if it is their mean, if the
            places are too few, or if the attention is of a kind that `clip.attention` does not know.
        blocks: pairs of a layer that puts out tokens, and the attention whose weights tell where these come from.
        read: returns features [B, D] of any norm from what the layer of a block puts out.
        prefix: number of tokens before those of the places.
    """

    spatial: nn.Module
    layout: Literal["NLC", "NCHW", "NHWC"] = "NLC"
    readout: nn.Module | None = None
    blocks: tuple[tuple[nn.Module, nn.Module], ...] = ()
    read: Callable[[Tensor], Tensor] | None = None
    prefix: int = 0
