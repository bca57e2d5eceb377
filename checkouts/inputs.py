"""Size and pixel statistics of images for a checkout's trainer: as its settings say, else as its backbone expects."""

from yacs.config import CfgNode

from clip.build import is_ours
from clip.image_input import OPENAI
from clip.inputs import input_of

# Settings of INPUT whose defaults in Dassl, ImageNet's, are wrong for every CLIP -> a value that stands for none.
NONE: dict[str, object] = {"SIZE": (), "INTERPOLATION": "", "PIXEL_MEAN": [], "PIXEL_STD": []}


def empty_input(cfg: CfgNode) -> None:
    """Remove the defaults of the size, interpolation and pixel statistics of images from `cfg`."""
    for key, none in NONE.items():
        cfg.INPUT[key] = none


def fill_input(cfg: CfgNode) -> str:
    """Set those of the settings of `empty_input` that are still empty to what the backbone expects.

    Of a backbone with a name of the checkout's own, such as ViT-B/16, the values of OpenAI's CLIP are taken.

    Returns:
        A line that says what was set, "" if nothing was.
    """
    keys = [key for key in NONE if not cfg.INPUT[key]]
    if not keys:
        return ""
    name = cfg.MODEL.BACKBONE.NAME
    images = input_of(name) if is_ours(name) else OPENAI
    values = {"SIZE": (images.size, images.size), "INTERPOLATION": images.interpolation}
    values |= {"PIXEL_MEAN": list(images.mean), "PIXEL_STD": list(images.std)}
    for key in keys:
        cfg.INPUT[key] = values[key]
    whose = name if is_ours(name) else f"OpenAI's CLIP (of {name} they are not known here)"
    return f"No settings say {', '.join(f'INPUT.{key}' for key in keys)}: those of {whose} are taken"
