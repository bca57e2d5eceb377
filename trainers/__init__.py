"""Prompt-learning methods: every module in this folder is imported, and so registers what it defines."""

import importlib
import pkgutil

from yacs.config import CfgNode

import toolbox  # noqa: F401, its dassl comes first
from dassl.engine import TRAINER_REGISTRY
from datasets import settings
from trainers.feature_trainer import FeatureTrainer

for _module in pkgutil.iter_modules(__path__):
    importlib.import_module(f"{__name__}.{_module.name}")


def extend_cfg(cfg: CfgNode) -> None:
    """Add the keys of this code base to Dassl's defaults: one node per method, and what all of them share."""
    settings.extend_cfg(cfg)
    cfg.PROMPTS = CfgNode({"LLM": "claude"})  # whose prompt bank: a folder of datasets/prompts/
    cfg.PROMPTS.TOO_LONG = "error"  # of sentences beyond the text tower's context; or "cut" them there
    cfg.FEATURES = CfgNode()
    cfg.FEATURES.ROOT = ""  # of the feature store; "" is the user's cache folder
    cfg.FEATURES.VIEWS = 0  # random views per training image, used in turn; 0 is a new one every epoch
    for name in TRAINER_REGISTRY.registered_names():
        method = TRAINER_REGISTRY.get(name)
        if issubclass(method, FeatureTrainer):
            cfg.TRAINER[name.upper()] = method.defaults()
