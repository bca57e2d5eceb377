"""Families of backbones, one module each; a module is found by being in this folder.

A module has

    NAMES      short names of its models -> where their files are, as "hf-hub:org/model" or "local-dir:/path"
    build      build(name, source) -> `clip.backbone.Backbone`, from files at such a place
    recognises recognises(place) -> bool: whether the files at a place are of this family (optional)
    image_input image_input(source) -> `clip.inputs.ImageInput`, without reading weights (optional)

and imports its model libraries in `build`, since all modules are imported to know the names.
"""

import importlib
import pkgutil
from functools import cache
from types import ModuleType

from clip.files import locate
from dassl.errors import UserError

GENERAL = "open_clip_models"  # the family of every model that no other one recognises


@cache
def families() -> dict[str, ModuleType]:
    """Return the modules of this folder by name.

    Raises:
        UserError: two of them have a model of the same short name.
    """
    found = {
        module.name: importlib.import_module(f"{__name__}.{module.name}") for module in pkgutil.iter_modules(__path__)
    }
    owners: dict[str, str] = {}
    for family, module in found.items():
        for name in module.NAMES:
            if name in owners:
                raise UserError(
                    f"Expected another short name for each model, but clip/families/{owners[name]}.py and {family}.py "
                    f'both have "{name}": rename one.'
                )
            owners[name] = family
    return found


def known_names() -> dict[str, str]:
    """Return the short names of all models, and where their files are."""
    return {name: source for module in families().values() for name, source in module.NAMES.items()}


def find_family(name: str, source: str) -> ModuleType:
    """Return the family of a model: the one that has its short name, or recognises its files."""
    for module in families().values():
        if name in module.NAMES:
            return module
    for module in families().values():
        if hasattr(module, "recognises") and module.recognises(locate(source)):
            return module
    return families()[GENERAL]
