"""The user's settings for reading images: INPUT.GREY_RANGE, INPUT.FRAME and INPUT.ALLOW_CONSTANT."""

import math
import re
from typing import NamedTuple

from yacs.config import CfgNode

from dassl.errors import UserError
from dassl.images.limits import PictureError

FRAMES = ("auto", "first", "middle", "last")


class Reading(NamedTuple):
    """Settings for reading an image file.

    Args:
        grey_range: which values of more than 8 bits become black and white. "image": the lowest and highest of each
            image, or the window that a DICOM file names; "type": those that its type can hold; "percentile:1":
            percentiles 1 and 99 of each image; "-160:240": these values.
        frame: which of several pages or frames is read. "auto": the first page, but the middle frame of a DICOM file;
            "first", "middle", "last", or a number from 0.
        allow_constant: accept a picture that has the same value everywhere.

    >>> Reading(grey_range="-160:240").limits
    (-160.0, 240.0)
    """

    grey_range: str = "image"
    frame: str = "auto"
    allow_constant: bool = False

    @property
    def limits(self) -> tuple[float, float] | None:
        """Return the two values of "LOW:HIGH", or None."""
        low, colon, high = self.grey_range.partition(":")
        return (float(low), float(high)) if colon and low != "percentile" else None

    @property
    def percentile(self) -> float | None:
        """Return the number P of "percentile:P", or None."""
        name, _, number = self.grey_range.partition(":")
        return float(number) if name == "percentile" else None

    def choose(self, frames: int, middle: bool = False) -> int:
        """Return the number, from 0, of the frame that is read.

        Args:
            frames: number of frames of the file.
            middle: read "auto" as "middle".

        Raises:
            PictureError: the file has too few frames.
        """
        if frames == 1 or self.frame == "first":
            return 0
        if self.frame in ("middle", "auto"):
            return frames // 2 if middle or self.frame == "middle" else 0
        number = frames - 1 if self.frame == "last" else int(self.frame)
        if number >= frames:
            raise PictureError(
                f"{frames} pages or frames, and no number {number} counted from 0", "change INPUT.FRAME."
            )
        return number


def reading_of(cfg: CfgNode) -> Reading:
    """Return the settings in the node INPUT of a configuration, with defaults for missing ones.

    Raises:
        UserError: a setting has an unknown value.
    """
    node = cfg.INPUT
    found = Reading(
        str(node.get("GREY_RANGE", "image")), str(node.get("FRAME", "auto")), bool(node.get("ALLOW_CONSTANT", False))
    )
    if found.frame not in FRAMES and not re.fullmatch(r"[0-9]{1,9}", found.frame):
        raise UserError(f'Expected INPUT.FRAME to be one of {", ".join(FRAMES)} or a number, but got "{found.frame}".')
    if not _has_range(found):
        raise UserError(
            'Expected INPUT.GREY_RANGE to be "image", "type", "percentile:1" (below 50) or two rising values such as '
            f'"-160:240", but got "{found.grey_range}".'
        )
    return found


def _has_range(reading: Reading) -> bool:
    """Return whether `grey_range` is one of the four forms."""
    if reading.grey_range in ("image", "type"):
        return True
    try:
        limits, percentile = reading.limits, reading.percentile
    except ValueError:
        return False
    if limits is not None:
        return math.isfinite(limits[0]) and math.isfinite(limits[1]) and limits[0] < limits[1]
    return percentile is not None and 0 <= percentile < 50
