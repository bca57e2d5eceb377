"""Evaluators, which collect the scores of a split and print and return its results."""

from .build import EVALUATOR_REGISTRY, build_evaluator
from .evaluator import Classification, EvaluatorBase
from .metrics import group_accuracy, metrics

__all__ = ["EVALUATOR_REGISTRY", "Classification", "EvaluatorBase", "build_evaluator", "group_accuracy", "metrics"]
