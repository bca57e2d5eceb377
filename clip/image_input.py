"""What a backbone expects of its images."""

from collections.abc import Mapping
from typing import Any, NamedTuple

MEAN, STD = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)


class ImageInput(NamedTuple):
    """What a backbone expects of its images.

    Attributes:
        size: side of the square images in pixels.
        mean, std: of the pixels, per channel, for normalisation.
        interpolation: "bicubic", "bilinear" or "nearest", for scaling images to `size`.
        resize_mode: "shortest" scales the smaller edge to `size` and crops the centre, "squash" scales both edges to
            `size`.
        prepare: what is done to a picture before all else, names of `dassl.data.transforms.PREPARATIONS`.
    """

    size: int
    mean: tuple[float, float, float] = MEAN
    std: tuple[float, float, float] = STD
    interpolation: str = "bicubic"
    resize_mode: str = "shortest"
    prepare: tuple[str, ...] = ()


OPENAI = ImageInput(224)  # of OpenAI's CLIP


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
        preprocess.get("resize_mode") or OPENAI.resize_mode,
    )
