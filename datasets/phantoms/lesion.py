"""Note which pixels of a picture belong to a lesion while it is drawn, or leave the lesions out."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field

import numpy as np
from scipy.ndimage import binary_fill_holes

from .canvas import SIZE, paint


@dataclass
class Lesions:
    """The lesions of the picture that is being drawn.

    Attributes:
        region: how surely each pixel [64, 64] belongs to a lesion, from 0 to 1; one half is its outline.
        painted: False for the same picture without the lesions that are painted; all random numbers stay the same.
    """

    region: np.ndarray = field(default_factory=lambda: np.zeros((SIZE, SIZE), np.float32))
    painted: bool = True

    @property
    def mask(self) -> np.ndarray:
        """The pixels [64, 64] within the outline of a lesion."""
        return binary_fill_holes(self.region > 0.5)


_drawn: ContextVar[Lesions | None] = ContextVar("lesions", default=None)


@contextmanager
def noting_lesions(painted: bool = True) -> Iterator[Lesions]:
    """Note the lesions that are drawn inside the `with` block; `painted` False leaves out those that are painted."""
    lesions = Lesions(painted=painted)
    token = _drawn.set(lesions)
    try:
        yield lesions
    finally:
        _drawn.reset(token)


def paint_lesion(
    image: np.ndarray, mask: np.ndarray, value: float | np.ndarray, shape: np.ndarray | None = None
) -> np.ndarray:
    """Paint a part of a lesion by `canvas.paint`, and note its pixels.

    Args:
        image, mask, value: as of `canvas.paint`.
        shape: the mask [64, 64] to note if not `mask`, such as the full one of a lesion that is painted faintly.

    >>> with noting_lesions() as lesions:
    ...     image = paint_lesion(np.zeros((64, 64)), np.eye(64) * 0.4, 1.0, shape=np.eye(64))
    >>> float(image.max()), int(lesions.mask.sum())
    (0.4, 64)
    """
    note_lesion(mask if shape is None else shape)
    lesions = _drawn.get()
    return image if lesions and not lesions.painted else paint(image, mask, value)


def note_lesion(shape: np.ndarray) -> None:
    """Note the pixels of a lesion that is made otherwise than by painting; `shape` is a mask [64, 64]."""
    if lesions := _drawn.get():
        np.maximum(lesions.region, shape, out=lesions.region)


def cover_lesion(mask: np.ndarray) -> None:
    """Note that something is drawn over the lesions where the mask [64, 64] is 1: they are not seen there."""
    if lesions := _drawn.get():
        lesions.region *= 1 - mask
