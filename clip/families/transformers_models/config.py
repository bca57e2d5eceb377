"""Read the config.json of two towers: known keys, checked values."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from clip.known_keys import NOT_OF_TOWERS, TEXT_OF_TWO, TWO_TOWERS, VISION_OF_TWO
from clip.sanitize import check_values, keep_known
from dassl.errors import UserError
from dassl.reading import read_json

Config = dict[str, Any]


def read_towers(path: Path) -> tuple[Config, Config, Config]:
    """Return the known keys of a config.json, and those of its text tower and of its image tower.

    All values are checked, and those that are null are left out, as transformers takes its own in their place. The size
    of images is one number.

    Raises:
        UserError: there is no dictionary, or a value is of another kind; names file, key and value.
    """
    config = read_json(path)
    if not isinstance(config, dict):
        raise UserError(f"Expected a dictionary in {path}, but got a {type(config).__name__}: copy it from the hub.")
    whole = _known(config, TWO_TOWERS, path, "the configuration")
    # Where an older file has both, transformers takes what ends in _dict.
    text, vision = (
        _known(whole[f"{part}_dict"] if f"{part}_dict" in whole else whole.get(part) or {}, kinds, path, part)
        for part, kinds in (("text_config", TEXT_OF_TWO), ("vision_config", VISION_OF_TWO))
    )
    if isinstance(vision.get("image_size"), list):
        vision["image_size"] = vision["image_size"][0]
    return whole, text, vision


def _known(values: Mapping[str, Any], kinds: Mapping[str, Any], path: Path, where: str) -> Config:
    """Return the known keys of a part of a config.json after a check of their values."""
    kept = keep_known(values, kinds, path, NOT_OF_TOWERS)
    check_values(kept, kinds, path, where)
    return {key: value for key, value in kept.items() if value is not None}
