"""The registry of trainers."""

from typing import Any

from yacs.config import CfgNode

from dassl.utils import Registry

TRAINER_REGISTRY = Registry("TRAINER")


def build_trainer(cfg: CfgNode) -> Any:
    """The trainer that `cfg.TRAINER.NAME` names; a UserError if none has that name."""
    return TRAINER_REGISTRY.build(cfg.TRAINER.NAME, cfg)
