"""The registry of evaluators."""

from typing import Any

from yacs.config import CfgNode

from dassl.utils import Registry

EVALUATOR_REGISTRY = Registry("EVALUATOR")


def build_evaluator(cfg: CfgNode, **kwargs: Any) -> Any:
    """The evaluator that `cfg.TEST.EVALUATOR` names; a UserError if none has that name."""
    return EVALUATOR_REGISTRY.build(cfg.TEST.EVALUATOR, cfg, **kwargs)
