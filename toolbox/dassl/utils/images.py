"""Dassl's place of `read_image`; the reader itself is the package `dassl.images`."""

from dassl.images import read_image

__all__ = ["read_image"]
