"""`read_image` at its place in Dassl; it is defined in `dassl.images`."""

from dassl.images import read_image

__all__ = ["read_image"]
