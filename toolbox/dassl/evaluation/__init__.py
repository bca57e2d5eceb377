"""Evaluators: fed with batches, they print and return the results of a split."""

from .build import EVALUATOR_REGISTRY, build_evaluator
from .evaluator import Classification, EvaluatorBase
from .metrics import group_accuracy, metrics

__all__ = ["EVALUATOR_REGISTRY", "Classification", "EvaluatorBase", "build_evaluator", "group_accuracy", "metrics"]
