"""Base classes and parts that the methods of trainers/ share."""

from trainers.base.feature_trainer import FeatureTrainer
from trainers.base.fitted_trainer import FittedTrainer
from trainers.base.prompt_trainer import PromptTrainer
from trainers.base.step import Step

__all__ = ["FeatureTrainer", "FittedTrainer", "PromptTrainer", "Step"]
