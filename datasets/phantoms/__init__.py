"""Phantoms: synthetic stand-ins for the data sets, rendered from a seed. They are not medical images.

Each class of a data set is a distribution over the visual attributes that radiologists, dermatologists and
pathologists name; a picture shows a draw of them, a caption puts some of them into words.

    sample("BTMRI", "glioma tumor", seed=3)     -> picture, attributes
    prepare("BTMRI", Path("data/phantoms"))     -> a folder in the layout of the real data set
    python -m datasets.phantoms.sheet           -> contact sheets
"""

from __future__ import annotations

from .captions import caption
from .folder import is_marked, prepare
from .registry import PHANTOMS, VERSION, find, sample
from .spec import Phantom

__all__ = ["PHANTOMS", "VERSION", "Phantom", "caption", "find", "is_marked", "prepare", "sample"]
