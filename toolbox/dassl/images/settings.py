"""What a user decides about reading: the settings INPUT.GREY_RANGE, INPUT.FRAME and INPUT.ALLOW_CONSTANT."""

import math
import re
from typing import NamedTuple

from yacs.config import CfgNode

from dassl.errors import UserError
from dassl.images.limits import Unusable

FRAMES = ("auto", "first", "middle", "last")


class Reading(NamedTuple):
    """How image files are read.

    Args:
        grey_range: which values of more than 8 bits become black and white. "image": the lowest and highest of each
            image, or the window that a DICOM file names; "type": those that its type can hold; "percentile:1":
            percentiles 1 and 99 of each image; "-160:240": these values.
        frame: which page or frame of several is seen. "auto": the first page, and of a DICOM file the middle frame;
            "first", "middle", "last", or a number from 0.
        allow_constant: whether a picture may have the same value everywhere.

    >>> Reading(grey_range="-160:240").limits
    (-160.0, 240.0)
    """

    grey_range: str = "image"
    frame: str = "auto"
    allow_constant: bool = False

    @property
    def limits(self) -> tuple[float, float] | None:
        """The two values of "LOW:HIGH", or None."""
        low, colon, high = self.grey_range.partition(":")
        return (float(low), float(high)) if colon and low != "percentile" else None

    @property
    def percentile(self) -> float | None:
        """P of "percentile:P", or None."""
        name, _, number = self.grey_range.partition(":")
        return float(number) if name == "percentile" else None

    def choose(self, frames: int, middle: bool = False) -> int:
        """Number, from 0, of the frame of several that is seen.

        Args:
            frames: how many there are.
            middle: whether "auto" is the middle one.

        Raises:
            Unusable: there are fewer than asked for.
        """
        if frames == 1 or self.frame == "first":
            return 0
        if self.frame in ("middle", "auto"):
            return frames // 2 if middle or self.frame == "middle" else 0
        number = frames - 1 if self.frame == "last" else int(self.frame)
        if number >= frames:
            raise Unusable(f"{frames} pages or frames, and no number {number} counted from 0", "change INPUT.FRAME.")
        return number


def reading_of(cfg: CfgNode) -> Reading:
    """Return the settings of the node INPUT of a configuration; those that it lacks have their defaults.

    Raises:
        UserError: one is none of the known; names it.
    """
    node = cfg.INPUT
    found = Reading(
        str(node.get("GREY_RANGE", "image")), str(node.get("FRAME", "auto")), bool(node.get("ALLOW_CONSTANT", False))
    )
    if found.frame not in FRAMES and not re.fullmatch(r"[0-9]{1,9}", found.frame):
        raise UserError(f'Expected INPUT.FRAME to be one of {", ".join(FRAMES)} or a number, but got "{found.frame}".')
    if not _is_range(found):
        raise UserError(
            'Expected INPUT.GREY_RANGE to be "image", "type", "percentile:1" (below 50) or two rising values such as '
            f'"-160:240", but got "{found.grey_range}".'
        )
    return found


def _is_range(reading: Reading) -> bool:
    if reading.grey_range in ("image", "type"):
        return True
    try:
        low, high = reading.limits or (reading.percentile, 50)
        return math.isfinite(low) and math.isfinite(high) and (0 if reading.limits is None else low) <= low < high
    except (TypeError, ValueError):
        return False
