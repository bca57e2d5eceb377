"""PMC-CLIP: three files of tensors, and nothing that describes the model (https://arxiv.org/abs/2303.07240)."""

from clip.backbone import Backbone
from clip.files import TOKENIZER, Folder, HubRepo
from clip.image_input import OPENAI, ImageInput
from clip.models import Model

REPO = "axiong/pmc_oa"
BERT = "microsoft/BiomedNLP-BiomedBERT-base-uncased-abstract"  # whose words BiomedCoOp takes
FILES = (("image_encoder(resnet50).pth",), ("text_encoder.pth",), ("text_projection_layer.pth",))
PUBLISHED = Model(f"hf-hub:datasets/{REPO}", 768, 77, 224, "MIT", weights=FILES)
# The same files, built as in BiomedCoOp and as in the code that they were trained with: see RECIPES in model.py.
NAMES = {"PMC-CLIP": PUBLISHED, "PMC-CLIP-training": PUBLISHED}
DESCRIBED: tuple[tuple[str, ...], ...] = ()
BESIDE = (TOKENIZER, ("tokenizer_config.json",))


def weights(name: str, place: Folder) -> tuple[tuple[str, ...], ...]:
    """Return the names of the files of weights."""
    return FILES


def recognises(place: Folder) -> bool:
    """Return whether one of the three files is there, or the place is their repository of the hub."""
    return (isinstance(place, HubRepo) and place.repo == REPO) or any(place.weights(names) for names in FILES)


def build(name: str, source: str) -> Backbone:
    """Build the backbone whose files lie at `source`; raises as `clip.build_backbone`."""
    from clip.families.pmc_clip import model  # it imports open_clip and transformers, which takes seconds

    return model.build(name, source)


def image_input(name: str, source: str) -> ImageInput:
    """Return the image input: that of OpenAI's CLIP."""
    return OPENAI
