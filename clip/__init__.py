"""Frozen vision-language backbones and the store of their features."""

import toolbox  # noqa: F401, puts our dassl first on the path
from clip.backbone import Backbone, Tokens
from clip.build import build_backbone
from clip.features import FeatureStore

__all__ = ["Backbone", "FeatureStore", "Tokens", "build_backbone"]
