"""Configuration: `get_cfg_default()` returns the tree that yaml files and command lines are merged into."""

from yacs.config import CfgNode

from .defaults import DEFAULTS
from .difference import difference, flat
from .merge import merge_file, merge_pairs


def get_cfg_default() -> CfgNode:
    """Return a copy of the default configuration that can be changed."""
    return DEFAULTS.clone()


def clean_cfg(cfg: CfgNode, trainer: str) -> None:
    """Remove the settings of all trainers but `trainer`, so that `print(cfg)` shows those in use."""
    for key in list(cfg.TRAINER):
        if key not in ("NAME", trainer.upper()):
            cfg.TRAINER.pop(key)


__all__ = ["clean_cfg", "difference", "flat", "get_cfg_default", "merge_file", "merge_pairs"]
