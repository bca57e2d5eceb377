"""Models in the layouts of transformers' CLIPModel (PLIP, `openai/clip-*`) and SiglipModel (MedSigLIP, XraySigLIP)."""

from clip.backbone import Backbone
from clip.families.transformers_models.names import PROCESSOR, WEIGHTS, model_type
from clip.files import TOKENIZER, Folder, locate
from clip.image_input import ImageInput
from clip.models import Model

NAMES = {
    "MedSigLIP": Model(
        "hf-hub:google/medsiglip-448", 1152, 64, 448, "terms of HAI-DEF", gated=True, weights=(WEIGHTS,)
    ),
    "PLIP": Model("hf-hub:vinid/plip", 512, 77, 224, "not published, said to be non-commercial", weights=(WEIGHTS,)),
}
DESCRIBED = (("config.json",), PROCESSOR)
BESIDE = (("tokenizer_config.json",), (*TOKENIZER, "spiece.model"), ("merges.txt",))


def recognises(place: Folder) -> bool:
    """Return whether the files at a place are of this family."""
    return model_type(place) in ("clip", "siglip", "siglip2")  # the last is refused, as its images keep their shape


def weights(name: str, place: Folder) -> tuple[tuple[str, ...], ...]:
    """Return the names of the files of weights."""
    return (WEIGHTS,)


def build(name: str, source: str) -> Backbone:
    """Build the backbone whose files lie at `source`; raises as `clip.build_backbone`."""
    if _is_siglip(name, source):
        from clip.families.transformers_models import siglip_model  # it imports transformers, which takes seconds

        return siglip_model.build(name, source)
    from clip.families.transformers_models import clip_model  # it imports open_clip, which takes seconds

    return clip_model.build(name, source)


def image_input(name: str, source: str) -> ImageInput:
    """Return the image input of the model whose files lie at `source`, without its weights."""
    from clip.families.transformers_models.config import read_towers
    from clip.families.transformers_models.images import clip_images, siglip_images

    place = locate(source)
    of_vision = read_towers(place.need("config.json"))[2]
    return (siglip_images if _is_siglip(name, source) else clip_images)(place, of_vision)


def _is_siglip(name: str, source: str) -> bool:
    """Return whether a model is a SigLIP, by its config.json, or by its name if that is missing."""
    found = model_type(locate(source))
    return found in ("siglip", "siglip2") if found else name == "MedSigLIP"
