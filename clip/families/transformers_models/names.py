"""Names of the files of models in the layout of transformers, and how such a model is told by them."""

from clip.files import Folder
from dassl.reading import read_json

WEIGHTS = ("model.safetensors", "pytorch_model.bin")
PROCESSOR = ("preprocessor_config.json", "processor_config.json")
SIGLIP_VOCABULARY = ("tokenizer.json", "spiece.model")


def model_type(place: Folder) -> str | None:
    """Return what the config.json at a place says of the kind of model; None if there is none, or it does not say."""
    path = place.find(["config.json"])
    config = read_json(path) if path else None
    found = config.get("model_type") if isinstance(config, dict) else None
    return found if isinstance(found, str) else None
