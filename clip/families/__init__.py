"""Families of backbones, a module or a package each, which is found by being in this folder.

It has

    NAMES        short names of its models -> `clip.models.Model`
    build        build(name, source) -> `clip.backbone.Backbone`, from files at such a place

and where it reads files

    weights      weights(name, place) -> names of the files of weights, in groups, of each of which the first is read
    DESCRIBED    the same of the files that describe a model
    BESIDE       the same of files that lie beside the weights in a folder, and elsewhere on the hub
    recognises   recognises(place) -> bool: whether the files at a place are of this family
    image_input  image_input(name, source) -> `clip.image_input.ImageInput`, without reading weights

and imports its model libraries in `build`, since all modules are imported to know the names.
"""

import importlib
import pkgutil
from functools import cache
from types import ModuleType

from clip.files import is_local, locate
from clip.models import Model
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
                    f"Expected another short name for each model, but {owners[name]} and {family} in clip/families "
                    f'both have "{name}": rename one.'
                )
            owners[name] = family
    return found


def known_models() -> dict[str, Model]:
    """Return what is known of all models with a short name."""
    return {name: model for module in families().values() for name, model in module.NAMES.items()}


def find_family(name: str, source: str) -> ModuleType:
    """Return the family of a model: the first that recognises its files, open_clip's before all, or has its short name.

    A model with a short name that is not in a folder of this machine is of the family that has the name: its files may
    not be here yet.
    """
    owner = next((module for module in families().values() if name in module.NAMES), families()[GENERAL])
    if name in owner.NAMES and not is_local(source):
        return owner
    place, general = locate(source), families()[GENERAL]
    asked = [general, *(module for module in families().values() if module is not general)]
    return next((module for module in asked if hasattr(module, "recognises") and module.recognises(place)), owner)
