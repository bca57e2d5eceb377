"""Prompt-learning methods and adapters of CLIP, one file each.

Importing a file registers its method in Dassl's registry of trainers; `register_all` imports all files.
"""

import importlib
import pkgutil

from yacs.config import CfgNode

import toolbox  # noqa: F401, its dassl comes first


def register_all() -> None:
    """Import every module of this folder, which registers all methods."""
    for module in pkgutil.iter_modules(__path__):
        importlib.import_module(f"{__name__}.{module.name}")


def extend_cfg(cfg: CfgNode) -> None:
    """Add the settings of this code base to Dassl's defaults: shared ones, and one node per method."""
    from dassl.engine import TRAINER_REGISTRY
    from datasets import prompts, settings
    from trainers.base.feature_trainer import FeatureTrainer

    register_all()
    settings.extend_cfg(cfg)
    cfg.PROMPTS = CfgNode({"LLM": prompts.DEFAULT_LLM})  # name of the prompt bank, a folder of datasets/prompts/
    cfg.PROMPTS.TOO_LONG = "error"  # for sentences beyond the text tower's context: "error", or "cut" to shorten them
    cfg.PROTOCOL = "best"  # "published": a baseline as BiomedCoOp's benchmark ran it (its published.yaml)
    cfg.DATALOADER.TRAIN_X.DROP_LAST = True  # leave out an incomplete last batch, as Dassl does
    cfg.OPTIM.SCHEDULE_STEP = "epoch"  # or "iteration": what the schedule of the learning rate counts, warm-up included
    cfg.OPTIM.SCHEDULE_LENGTH = 0  # number of these steps; 0: all of the training
    cfg.FEATURES = CfgNode()
    cfg.FEATURES.ROOT = ""  # folder of the feature store; "" is the user's cache folder
    cfg.FEATURES.VIEWS = 0  # number of random views per training image, used in turn; 0: a new view in each epoch
    for name in TRAINER_REGISTRY.registered_names():
        method = TRAINER_REGISTRY.get(name)
        if issubclass(method, FeatureTrainer):
            cfg.TRAINER[name.upper()] = method.defaults()
