"""Load the weights of an open_clip model from a file in one of the ways in which they are published."""

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any
from unittest.mock import patch

from torch import Tensor

from clip.families.open_clip_models.archives import is_archive, read_archive
from clip.families.open_clip_models.published import CONFIG
from clip.weights import DAMAGED, as_tensors, one_line, read_plain
from dassl.console import tell
from dassl.errors import UserError
from dassl.utils.tensor_files import unreadable

if TYPE_CHECKING:
    from open_clip.model import CLIP, CustomTextCLIP

POSITIONS = ("visual.positional_embedding", "positional_embedding", "text.positional_embedding")


def load_weights(model: "CLIP | CustomTextCLIP", path: Path, config: Path) -> None:
    """Load all weights of `model`; names and shapes have to fit, except for a buffer that open_clip itself drops.

    The model takes over the tensors of the mapped file without a copy, so that memory holds the weights once. Positions
    are interpolated if the configuration asks for images or texts of another size, which one line says.

    Args:
        model: gets the weights.
        path: of the file of weights.
        config: path of the model's configuration.

    Raises:
        UserError: the file is damaged, holds something else, or does not fit the model; names it.
    """
    from open_clip import factory

    assigning = partial(type(model).load_state_dict, model, assign=True)
    tensors = read_weights(path)
    try:
        _tell_interpolation(model, tensors, path)
        with (
            patch.object(factory, "load_state_dict", lambda *args, **kwargs: tensors),
            patch.object(model, "load_state_dict", assigning),  # which load_checkpoint calls
        ):
            factory.load_checkpoint(model, str(path), strict=True)
    except DAMAGED as error:
        if "loading state_dict" in str(error):
            described = f"{CONFIG} beside it" if config.name == CONFIG else f"{config.parent.name}/{config.name}"
            raise UserError(f"Expected the weights of {path} to fit {described}, but: {one_line(error)}.") from error
        raise unreadable(path, error) from error
    model.float()  # some files are in half precision


def read_weights(path: Path) -> dict[str, Tensor]:
    """Return the tensors of a file by the names that open_clip gives them.

    Those of a checkpoint are in its "state_dict"; what else it holds, such as the state of an optimizer, is left out.
    Prefixes of parallel training are taken away. UniMed-CLIP's code calls the text tower text_encoder.

    Raises:
        UserError: the file is damaged, holds something else, or is an archive with code that would run; names it.
    """
    found: Any = _archived(path) if is_archive(path) else read_plain(path)
    if isinstance(found, Mapping) and "state_dict" in found:
        found = found["state_dict"]
    tensors = as_tensors(found, path)
    names = {name: name.removeprefix("module.") for name in tensors}
    if any(name.startswith("text_encoder.") for name in names.values()):
        names = {old: new.replace("text_encoder.", "text.", 1) for old, new in names.items()}
    return {new: tensors[old] for old, new in names.items()}


def _archived(path: Path) -> dict[str, Tensor]:
    """Return the tensors of an archive of OpenAI's code; raise a UserError if it is damaged."""
    try:
        return read_archive(path)
    except DAMAGED as error:
        raise unreadable(path, error) from error


def _tell_interpolation(model: "CLIP | CustomTextCLIP", tensors: Mapping[str, Tensor], path: Path) -> None:
    """Print one line if a file has positions for images or texts of another size."""
    own = model.state_dict()
    for name in POSITIONS:
        if name in own and name in tensors and len(tensors[name]) != len(own[name]):
            tell(f"{name} of {path} is interpolated from {len(tensors[name])} to {len(own[name])} places.")
