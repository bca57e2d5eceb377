"""Models in the layout of transformers' CLIPModel: PLIP, ports of PubMedCLIP, XrayCLIP, `openai/clip-*`."""

from clip.backbone import Backbone
from clip.files import TOKENIZER, Folder, locate
from clip.image_input import ImageInput
from clip.models import Model
from clip.two_towers.names import PROCESSOR, WEIGHTS, has_model_type

NAMES = {
    "PLIP": Model("hf-hub:vinid/plip", 512, 77, 224, "not published, said to be non-commercial", weights=(WEIGHTS,))
}
DESCRIBED = (("config.json",), PROCESSOR)
BESIDE = (("tokenizer_config.json",), TOKENIZER, ("merges.txt",))


def recognises(place: Folder) -> bool:
    """Return whether the files at a place are of this family."""
    return has_model_type(place, "clip")


def weights(name: str, place: Folder) -> tuple[tuple[str, ...], ...]:
    """Return the names of the files of weights."""
    return (WEIGHTS,)


def build(name: str, source: str) -> Backbone:
    """Build the backbone whose files lie at `source`; raises as `clip.build_backbone`."""
    from clip.two_towers import clip_model  # it imports open_clip, which takes seconds

    return clip_model.build(name, source)


def image_input(name: str, source: str) -> ImageInput:
    """Return the image input of the model whose files lie at `source`, without its weights."""
    from clip.two_towers.config import read_towers
    from clip.two_towers.images import clip_images

    place = locate(source)
    return clip_images(place, read_towers(place.need("config.json"))[2])
