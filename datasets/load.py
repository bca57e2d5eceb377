"""Load a data set from Python, with the draw that a run of the same settings has."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from yacs.config import CfgNode

from dassl.config import get_cfg_default, merge_file
from dassl.errors import UserError
from datasets.catalogue import find_class, find_facts
from datasets.settings import DEFAULTS, extend_cfg

if TYPE_CHECKING:
    from datasets.base import BiomedDataset

CONFIGS = Path(__file__).parents[1] / "configs" / "datasets"


def load_dataset(
    name: str,
    root: str | Path = "phantoms",
    shots: int = 16,
    seed: int = 1,
    subsample: str = "all",
    **settings: Any,
) -> "BiomedDataset":
    """Load the images of a data set.

        data = load_dataset("btmri", root="data", shots=16, seed=1)
        data.classnames, data.paths("train"), data.labels("test")
        load_dataset("table", root="my/images", shots=-1, table={"label": "dx"}, leaks="error")

    Args:
        name: key of the data set, such as "btmri"; "folder" or "table" for images of one's own.
        root: folder of all data sets, or "phantoms" for rendered stand-ins; the folder of images itself for "folder"
            and "table".
        shots: training images per class; -1 for all images.
        seed: of the draw.
        subsample: classes: "all", "base" or "new"; with the last, only the test images are of novel classes.
        settings: other settings of the data set (`datasets.settings`) in lower case.

    Returns:
        The data set, with `classnames`, `train_x`, `val` and `test`, and with `paths(part)` and `labels(part)`.

    Raises:
        UserError: there is no such data set or setting, or the images cannot be used; see `BiomedDataset`.
    """
    cfg = configure(name, root)
    cfg.DATASET.NUM_SHOTS, cfg.SEED, cfg.DATASET.SUBSAMPLE_CLASSES = shots, seed, subsample
    _set(cfg.DATASET, DEFAULTS, settings)
    return find_class(name)(cfg)


def configure(name: str, root: str | Path) -> CfgNode:
    """Return the configuration of a data set with all of its images, as configs/datasets/<name>.yaml has it if it is
    there.

    Raises:
        UserError: there is no such data set, or the file of settings is broken.
    """
    facts, file = find_facts(name), CONFIGS / f"{name}.yaml"
    cfg = get_cfg_default()
    extend_cfg(cfg)
    cfg.DATASET.NAME = facts.name
    if file.is_file():
        merge_file(cfg, file)
    cfg.DATASET.ROOT = str(root)
    return cfg


def _set(node: CfgNode, known: CfgNode, settings: Mapping[str, Any]) -> None:
    """Set keys of a node, of those that `known` has; raise a UserError that lists these for any other."""
    for name, value in settings.items():
        key = name.upper()
        if key not in known:
            raise UserError(
                f"Expected settings of a data set ({', '.join(map(str.lower, known))}), but got {name}: correct it."
            )
        if isinstance(known[key], CfgNode):
            _set(node[key], known[key], value)
        else:
            node[key] = value
