"""The layers at which the image towers of open_clip, timm and torchvision can be asked where they look."""

from typing import Any

from torch import Tensor

from clip.attention import can_be_watched
from clip.image_layers import ImageLayers
from dassl.errors import UserError

LEAST = 6  # places a side, with which a map is worth a look; towers of 224 pixels have 7 and more


def layers_of(visual: Any) -> ImageLayers:
    """Return the layers of an image tower: of the tower itself if it says so, or by its type.

    Raises:
        UserError: they are not known.
    """
    if hasattr(visual, "image_layers"):
        return visual.image_layers()
    if hasattr(visual, "attnpool"):  # the ResNets of OpenAI's CLIP
        return _of_resnet(visual, visual.image_size)
    if hasattr(visual, "transformer"):
        return _of_open_clip(visual)
    if hasattr(visual, "trunk"):
        return _of_timm(visual)
    if hasattr(visual, "layer4"):  # torchvision's ResNets
        return ImageLayers(visual.layer4, "NCHW")
    raise UserError(
        f"Expected an image tower that is a ViT or a ResNet, but got {type(visual).__name__}: of this backbone no "
        "saliency is known."
    )


def _of_resnet(visual: Any, size: int) -> ImageLayers:
    """Return the layers of a ResNet that pools by attention.

    Where the pooling sees few places, as of small pictures, the stage before it shows more.
    """
    stages = {32: visual.layer4, 16: visual.layer3, 8: visual.layer2}  # by pixels of a place
    spatial = next((stage for step, stage in stages.items() if size // step >= LEAST), visual.layer1)
    pool = visual.attnpool
    coarse = spatial is not visual.layer4
    return ImageLayers(spatial, "NCHW", None if coarse else pool, ((pool, pool),), _as_it_is, prefix=1)


def _as_it_is(x: Tensor) -> Tensor:
    return x


def _of_open_clip(visual: Any) -> ImageLayers:
    """Return the layers of open_clip's own ViT: its feature is that of the class token, or the mean of the patches.

    Attention of its own kind (with norms of queries and keys, or scaled) is not watched.
    """
    blocks = visual.transformer.resblocks
    watched = visual.attn_pool is None and all(can_be_watched(block.attn) for block in blocks)

    def read(tokens: Tensor) -> Tensor:
        pooled = visual.ln_post(tokens.mean(dim=1))
        return pooled if visual.proj is None else pooled @ visual.proj

    # Of the last block the patches' outputs reach no feature: what goes into it is the last of them that counts.
    return ImageLayers(
        blocks[-1].ln_1,
        "NLC",
        blocks[-1].attn if watched and visual.pool_type == "tok" else None,
        tuple((block, block.attn) for block in blocks) if watched else (),
        read,
        prefix=1,
    )


def _of_timm(visual: Any) -> ImageLayers:
    """Return the layers of a model of timm: a ViT with class token, mean or attention pooling, or a pyramid of maps."""
    trunk = visual.trunk
    if not hasattr(trunk, "blocks") or not hasattr(trunk, "num_prefix_tokens"):
        if not getattr(trunk, "feature_info", None):
            raise UserError(
                f"Expected a tower whose last map is known to timm, but got {type(trunk).__name__}: of this backbone "
                "no saliency is known."
            )
        last = trunk.get_submodule(trunk.feature_info[-1]["module"])
        return ImageLayers(last, "NHWC" if getattr(trunk, "output_fmt", "NCHW") == "NHWC" else "NCHW")
    blocks, pool = trunk.blocks, getattr(trunk, "attn_pool", None)
    spatial, prefix = blocks[-1].norm1, trunk.num_prefix_tokens
    if pool is not None:
        known = can_be_watched(pool) and (trunk.pool_include_prefix or not prefix)  # so that it sees the same tokens
        return ImageLayers(
            spatial,
            "NLC",
            pool if known else None,
            tuple((block, pool) for block in blocks) if known else (),
            lambda tokens: visual.head(trunk.forward_head(trunk.norm(tokens))),
            prefix,
        )
    watched = all(can_be_watched(block.attn) for block in blocks)

    def read(tokens: Tensor) -> Tensor:
        return visual.head(trunk.head(trunk.fc_norm(trunk.norm(tokens.mean(dim=1)))))

    return ImageLayers(
        spatial,
        "NLC",
        blocks[-1].attn if watched and trunk.global_pool == "token" else None,
        tuple((block, block.attn) for block in blocks) if watched else (),
        read,
        prefix,
    )
