"""The registry of evaluators."""

from typing import Any

from yacs.config import CfgNode

from dassl.utils import Registry

EVALUATOR_REGISTRY = Registry("EVALUATOR")


def build_evaluator(cfg: CfgNode, **kwargs: Any) -> Any:
    """Return the evaluator that `cfg.TEST.EVALUATOR` names; raise a UserError if there is none."""
    return EVALUATOR_REGISTRY.build(cfg.TEST.EVALUATOR, cfg, **kwargs)
