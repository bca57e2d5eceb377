"""Phantoms: synthetic stand-ins for the data sets, rendered from a seed. They are not medical images.

A class of a data set is a distribution over the visual attributes that radiologists, dermatologists and pathologists
name. A picture shows attributes drawn from it; a caption names some of them. `attributes/<key>.yaml` holds the
distributions and the phrases of a data set, `<key>.py` draws it.

    sample("BTMRI", "glioma tumor", seed=3)                 -> picture, attributes
    sample_with_lesion("BTMRI", "glioma tumor", seed=3)     -> picture, attributes, mask of the lesion
    prepare("BTMRI", Path("data/phantoms"))                 -> a folder in the layout of the real data set
    python -m datasets.phantoms.sheet                       -> contact sheets
    python -m datasets.phantoms.coverage                    -> how many pictures show a lesion, and of what size
"""

from __future__ import annotations

from .captions import write_caption
from .folder import is_marked, prepare
from .phantom import Phantom
from .registry import MASKS_VERSION, PHANTOMS, VERSION, find_phantom, sample, sample_with_lesion

__all__ = [
    "MASKS_VERSION",
    "PHANTOMS",
    "VERSION",
    "Phantom",
    "find_phantom",
    "is_marked",
    "prepare",
    "sample",
    "sample_with_lesion",
    "write_caption",
]
