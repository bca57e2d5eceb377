"""Models in the layout of transformers' SiglipModel: MedSigLIP, XraySigLIP, SigLIP, SigLIP 2 of fixed resolution."""

from clip.backbone import Backbone
from clip.files import Folder, locate
from clip.image_input import ImageInput
from clip.models import Model
from clip.two_towers.names import PROCESSOR, SIGLIP_VOCABULARY, WEIGHTS, has_model_type

NAMES = {
    "MedSigLIP": Model("hf-hub:google/medsiglip-448", 1152, 64, 448, "terms of HAI-DEF", gated=True, weights=(WEIGHTS,))
}
DESCRIBED = (("config.json",), PROCESSOR)
BESIDE = (("tokenizer_config.json",), SIGLIP_VOCABULARY)


def recognises(place: Folder) -> bool:
    """Return whether the files at a place are of this family."""
    return has_model_type(place, "siglip", "siglip2")  # the latter is refused, as its images keep their shape


def weights(name: str, place: Folder) -> tuple[tuple[str, ...], ...]:
    """Return the names of the files of weights."""
    return (WEIGHTS,)


def build(name: str, source: str) -> Backbone:
    """Build the backbone whose files lie at `source`; raises as `clip.build_backbone`."""
    from clip.two_towers import siglip_model  # it imports transformers, which takes seconds

    return siglip_model.build(name, source)


def image_input(name: str, source: str) -> ImageInput:
    """Return the image input of the model whose files lie at `source`, without its weights."""
    from clip.two_towers.config import read_towers
    from clip.two_towers.images import siglip_images

    place = locate(source)
    return siglip_images(place, read_towers(place.need("config.json"))[2])
