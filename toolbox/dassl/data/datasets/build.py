"""The registry of data sets."""

from typing import Any

from yacs.config import CfgNode

from dassl.utils import Registry

DATASET_REGISTRY = Registry("DATASET")


def build_dataset(cfg: CfgNode) -> Any:
    """Return the data set that `cfg.DATASET.NAME` names; raise a UserError if there is none."""
    return DATASET_REGISTRY.build(cfg.DATASET.NAME, cfg)
