"""Image transforms, built from the section INPUT of the configuration."""

from .pictures import PREPARATIONS, RESIZE_MODES
from .transforms import AVAI_CHOICES, INTERPOLATION_MODES, build_transform, evaluation_steps

__all__ = ["AVAI_CHOICES", "INTERPOLATION_MODES", "PREPARATIONS", "RESIZE_MODES", "build_transform", "evaluation_steps"]
