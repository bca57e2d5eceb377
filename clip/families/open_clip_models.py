"""Models that open_clip describes: an `open_clip_config.json` and weights, on the hub or in a folder."""

from pathlib import Path

from clip.backbone import Backbone
from clip.files import TOKENIZER, WEIGHTS, Folder, locate
from clip.image_input import ImageInput, described_input
from clip.models import Model

NAMES = {
    "BiomedCLIP": Model("hf-hub:microsoft/BiomedCLIP-PubMedBERT_256-vit_base_patch16_224", 512, 256, 224, "MIT"),
    "CLIP": Model("hf-hub:timm/vit_base_patch16_clip_224.openai", 512, 77, 224, "Apache-2.0", archive="ViT-B-16.pt"),
    "PhantomCLIP": Model(f"local-dir:{Path(__file__).parents[1] / 'phantomclip'}", 256, 77, 96, "MIT"),
}
DESCRIBED = (("open_clip_config.json",),)
BESIDE = (("config.json",), TOKENIZER)


def weights(name: str, place: Folder) -> tuple[tuple[str, ...], ...]:
    """Return the names of the files of weights."""
    return (WEIGHTS,)


def build(name: str, source: str) -> Backbone:
    """Build the backbone whose files lie at `source`; raises as `clip.build_backbone`."""
    from clip import open_clip_family  # it imports open_clip, timm and transformers, which takes seconds

    return open_clip_family.build(name, source)


def image_input(name: str, source: str) -> ImageInput:
    """Return the image input of the model whose files lie at `source`, without its weights."""
    from clip.sanitize import read_model_config

    return described_input(*read_model_config(locate(source).need("open_clip_config.json")))
