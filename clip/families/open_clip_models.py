"""Models that open_clip describes: an `open_clip_config.json` and weights, on the hub or in a folder."""

from pathlib import Path

from clip.backbone import Backbone
from clip.files import locate
from clip.inputs import ImageInput, described_input

NAMES = {
    "BiomedCLIP": "hf-hub:microsoft/BiomedCLIP-PubMedBERT_256-vit_base_patch16_224",
    "CLIP": "hf-hub:timm/vit_base_patch16_clip_224.openai",
    "PhantomCLIP": f"local-dir:{Path(__file__).parents[1] / 'phantomclip'}",
}


def build(name: str, source: str) -> Backbone:
    """Build the backbone whose files lie at `source`; raises as `clip.build_backbone`."""
    from clip import open_clip_family  # it imports open_clip, timm and transformers, which takes seconds

    return open_clip_family.build(name, source)


def image_input(source: str) -> ImageInput:
    """Return the image input of the model whose files lie at `source`, without its weights."""
    from clip.sanitize import read_model_config

    return described_input(*read_model_config(locate(source).need("open_clip_config.json")))
