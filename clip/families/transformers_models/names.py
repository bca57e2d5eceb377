"""Names of the files of models in the layout of transformers, and how such a model is told by them."""

from pathlib import Path

from clip.files import Folder
from dassl.errors import UserError
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


def find_weights(place: Folder) -> Path:
    """Return the path of the file of weights.

    Raises:
        UserError: it is missing, or another kind of file was named.
    """
    if place.chosen and place.chosen not in WEIGHTS:
        raise UserError(
            f"Expected {' or '.join(WEIGHTS)} beside the config.json of {place.path}, but got {place.chosen}: rename "
            "the file."
        )
    return place.need(*([place.chosen] if place.chosen else WEIGHTS))
