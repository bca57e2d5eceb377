"""The one reader of image files, which the toolbox's own loaders use too."""

from dassl.utils.images import read_image

__all__ = ["read_image"]
