"""Prompt-learning methods, one file each. Importing one registers it; `register_all` imports them all."""

import importlib
import pkgutil

from yacs.config import CfgNode

import toolbox  # noqa: F401, its dassl comes first


def register_all() -> None:
    """Import every module of this folder, so that the methods in them are in Dassl's registry."""
    for module in pkgutil.iter_modules(__path__):
        importlib.import_module(f"{__name__}.{module.name}")


def extend_cfg(cfg: CfgNode) -> None:
    """Add the keys of this code base to Dassl's defaults: one node per method, and the keys that they share."""
    from dassl.engine import TRAINER_REGISTRY
    from datasets import settings
    from trainers.base.feature_trainer import FeatureTrainer

    register_all()
    settings.extend_cfg(cfg)
    cfg.PROMPTS = CfgNode({"LLM": "claude"})  # name of the prompt bank: a folder of datasets/prompts/
    cfg.PROMPTS.TOO_LONG = "error"  # sentences beyond the text tower's context: "error", or "cut" them there
    cfg.FEATURES = CfgNode()
    cfg.FEATURES.ROOT = ""  # folder of the feature store; "" is the user's cache folder
    cfg.FEATURES.VIEWS = 0  # random views per training image, used in turn; 0 is a new one every epoch
    for name in TRAINER_REGISTRY.registered_names():
        method = TRAINER_REGISTRY.get(name)
        if issubclass(method, FeatureTrainer):
            cfg.TRAINER[name.upper()] = method.defaults()
