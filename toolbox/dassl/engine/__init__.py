"""Trainers: the registry and the classes that every trainer is made of."""

from .base import TrainerBase
from .build import TRAINER_REGISTRY, build_trainer
from .trainer import SimpleTrainer, TrainerX

__all__ = ["TRAINER_REGISTRY", "SimpleTrainer", "TrainerBase", "TrainerX", "build_trainer"]
