"""How large a picture may be, and what is raised for one that cannot be used."""

MB = 1024 * 1024
FILE_BYTES = 2048 * MB  # of a file
PICTURE_BYTES = 512 * MB  # of a picture once it is decoded: 134 million pixels of 8 bits; three times that is taken
RESTORE = "restore or convert it, or remove it from the split."


class Unusable(Exception):
    """A picture that cannot be used. `read_image` says so, with the file's name.

    Args:
        what: is wrong with it.
        advice: what to do.
    """

    def __init__(self, what: str, advice: str = RESTORE):
        super().__init__(what)
        self.advice = advice


def check_size(width: int, height: int, pixel_bytes: int = 1) -> None:
    """Raise `Unusable` if a picture takes more than `PICTURE_BYTES`; a pixel of RGB in memory takes 4 bytes or more."""
    if width * height * max(4, pixel_bytes) > PICTURE_BYTES:
        raise Unusable(
            f"{width} x {height} pixels, more than the {PICTURE_BYTES // max(4, pixel_bytes):,} that are decoded of "
            "its kind",
            "make a smaller copy of it, or remove it from the split.",
        )
