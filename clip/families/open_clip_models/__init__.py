"""Models that open_clip builds: an `open_clip_config.json` and weights, or weights of a published name alone."""

from pathlib import Path

from clip.backbone import Backbone
from clip.families.open_clip_models.published import CONFIG, PUBLISHED, find_config, weight_names
from clip.files import TOKENIZER, Folder, HubRepo, locate
from clip.image_input import ImageInput, described_input
from clip.models import Model

BIOMEDCLIP = "hf-hub:microsoft/BiomedCLIP-PubMedBERT_256-vit_base_patch16_224"
PUBMEDCLIP, QUILTNET = "hf-hub:sarahESL/PubMedCLIP", "hf-hub:wisdomik/QuiltNet"
UNIMED = (("unimed-clip-vit-b16.pt", "unimed_clip_vit_b16.pt"),)
CC = "CC, code MIT"  # its page says "cc" and no more
OPENAI = "Apache-2.0"  # of the hub's copy; OpenAI's code is MIT, and its archives came without a licence
B16, B32, RN50 = 149_620_737, 151_277_313, 102_007_137  # numbers of parameters of OpenAI's kinds of model
NAMES = {
    "BiomedCLIP": Model(BIOMEDCLIP, 512, 256, 224, "MIT", parameters=195_900_000, logit_scale=85.23),
    "CLIP": Model(
        "hf-hub:timm/vit_base_patch16_clip_224.openai", 512, 77, 224, OPENAI, archive="ViT-B-16.pt", parameters=B16
    ),
    "CLIP-B32": Model(
        "hf-hub:timm/vit_base_patch32_clip_224.openai", 512, 77, 224, OPENAI, archive="ViT-B-32.pt", parameters=B32
    ),
    "CLIP-RN50": Model("hf-hub:timm/resnet50_clip.openai", 1024, 77, 224, OPENAI, archive="RN50.pt", parameters=RN50),
    "PubMedCLIP": Model(PUBMEDCLIP, 512, 77, 224, CC, weights=(("PubMedCLIP_ViT32.pth",),), parameters=B32),
    "PubMedCLIP-RN50": Model(PUBMEDCLIP, 1024, 77, 224, CC, weights=(("PubMedCLIP_RN50.pth",),), parameters=RN50),
    "PubMedCLIP-RN50x4": Model(
        PUBMEDCLIP, 640, 77, 288, CC, weights=(("PubMedCLIP_RN50x4.pth",),), parameters=178_300_601
    ),
    "QuiltNet-B32": Model(f"{QUILTNET}-B-32", 512, 77, 224, "MIT", parameters=B32),
    "QuiltNet-B16": Model(f"{QUILTNET}-B-16", 512, 77, 224, "MIT", parameters=B16),
    "QuiltNet-PMB": Model(f"{QUILTNET}-B-16-PMB", 512, 256, 224, "MIT"),
    "BMC-CLIP": Model(
        "hf-hub:BIOMEDICA/BMC_CLIP_CF", 768, 77, 224, "MIT", weights=(("BMC_CLIP_CF.pt",),), parameters=427_616_513
    ),
    "UniMed-CLIP": Model("hf-hub:UzairK/unimed-clip-vit-b16", 512, 256, 224, "CC BY-NC 4.0", weights=UNIMED),
    "DermLIP": Model("hf-hub:redlessone/DermLIP_ViT-B-16", 512, 77, 224, "CC BY-NC 4.0", parameters=B16),
    "PhantomCLIP": Model(f"local-dir:{Path(__file__).parents[2] / 'phantomclip'}", 256, 77, 96, "MIT"),
}
DESCRIBED = ((CONFIG,),)
BESIDE = (("config.json",), TOKENIZER, ("tokenizer_config.json",), ("merges.txt",))


def recognises(place: Folder) -> bool:
    """Return whether files are described for open_clip, or a file was chosen that has a published name."""
    return place.chosen in PUBLISHED or place.find([CONFIG]) is not None


def wanted(name: str, place: Folder) -> tuple[str, ...]:
    """Return the published names of the weights that are meant by a short name, or lie in a repository of the hub.

    None are meant by other names, nor by models that come with an open_clip_config.json.
    """
    models = [NAMES[name]] if name in NAMES else []
    if not models and isinstance(place, HubRepo):
        models = [model for model in NAMES.values() if model.source == f"hf-hub:{place.repo}"]
    names = [each for model in models for group in model.weights for each in group]
    if not isinstance(place, HubRepo):
        names += [model.archive for model in models]
    return tuple(each for each in names if each in PUBLISHED)


def weights(name: str, place: Folder) -> tuple[tuple[str, ...], ...]:
    """Return the names of the files of weights."""
    return (weight_names(place, wanted(name, place)),)


def build(name: str, source: str) -> Backbone:
    """Build the backbone whose files lie at `source`; raises as `clip.build_backbone`."""
    from clip.families.open_clip_models import model  # it imports open_clip, timm and transformers, which takes seconds

    return model.build(name, source, wanted(name, locate(source)))


def image_input(name: str, source: str) -> ImageInput:
    """Return the image input of the model whose files lie at `source`, without its weights."""
    from clip.sanitize import read_model_config

    place = locate(source)
    return described_input(*read_model_config(find_config(place, wanted(name, place))))
