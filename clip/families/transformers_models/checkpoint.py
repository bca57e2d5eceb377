"""Read the weights of models in the layout of transformers."""

from collections.abc import Mapping
from pathlib import Path

from torch import Tensor, nn

from clip.families.transformers_models.names import WEIGHTS
from clip.files import Folder
from clip.weights import one_line, read_tensors
from dassl.errors import UserError


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


def read_weights(path: Path) -> dict[str, Tensor]:
    """Return the tensors of a file of weights, without the numbers of positions that older versions saved.

    Raises:
        UserError: the file is damaged or holds something else.
    """
    return {name: tensor for name, tensor in read_tensors(path).items() if not name.endswith(".position_ids")}


def fill(model: nn.Module, tensors: Mapping[str, Tensor], path: Path) -> None:
    """Load all weights of `model`; names and shapes have to fit. The model takes over the tensors without a copy.

    Raises:
        UserError: they do not fit; names the file.
    """
    try:
        model.load_state_dict(tensors, strict=True, assign=True)
    except RuntimeError as error:
        raise UserError(
            f"Expected the weights of {path} to fit config.json beside it, but: {one_line(error)}."
        ) from error
    model.float()  # some files are in half precision
