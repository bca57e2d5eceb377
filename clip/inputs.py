"""What a backbone expects of its images: their size, pixel statistics and interpolation."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from clip.build import build_backbone, source_of
from clip.families import find_family


class ImageInput(NamedTuple):
    """What a backbone expects of its images.

    Attributes:
        size: side of the square images in pixels.
        mean, std: of the pixels, per channel, for normalisation.
        interpolation: "bicubic", "bilinear" or "nearest", for scaling images to `size`.
    """

    size: int
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    interpolation: str


MEAN, STD = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)
OPENAI = ImageInput(224, MEAN, STD, "bicubic")  # of OpenAI's CLIP


def described_input(model_cfg: Mapping[str, Any], preprocess: Mapping[str, Any]) -> ImageInput:
    """Return the image input that an open_clip_config.json describes; OpenAI's where it has none.

    Args:
        model_cfg, preprocess: its parts, as `read_model_config` returns them.
    """
    size = model_cfg["vision_cfg"].get("image_size") or OPENAI.size
    return ImageInput(
        size[0] if isinstance(size, list) else size,
        tuple(preprocess.get("mean") or OPENAI.mean),
        tuple(preprocess.get("std") or OPENAI.std),
        preprocess.get("interpolation") or OPENAI.interpolation,
    )


def input_of(name: str) -> ImageInput:
    """Return the image input of a backbone; its weights are loaded only if its family knows no other way.

    Args:
        name: as for `build_backbone`, which says what is raised.
    """
    source = source_of(name)
    family = find_family(name, source)
    if hasattr(family, "image_input"):
        return family.image_input(source)
    backbone = build_backbone(name)
    return ImageInput(backbone.image_size, backbone.mean, backbone.std, backbone.interpolation)
