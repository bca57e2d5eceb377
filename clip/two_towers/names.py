"""Names of the files of models in the layout of transformers, and how such a model is told by them."""

from clip.files import Folder
from dassl.reading import read_json

WEIGHTS = ("model.safetensors", "pytorch_model.bin")
PROCESSOR = ("preprocessor_config.json", "processor_config.json")
SIGLIP_VOCABULARY = ("tokenizer.json", "spiece.model")


def has_model_type(place: Folder, *kinds: str) -> bool:
    """Return whether the files at a place have a config.json of one of these values of model_type."""
    path = place.find(["config.json"])
    config = read_json(path) if path else None
    return isinstance(config, dict) and config.get("model_type") in kinds
