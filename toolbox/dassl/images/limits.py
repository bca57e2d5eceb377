"""Limits to the size of pictures, and the error that is raised for a picture that cannot be used."""

MB = 1024 * 1024
FILE_BYTES = 2048 * MB  # of a file
PICTURE_BYTES = 512 * MB  # of a decoded picture: 134 million pixels of 8 bits; decoding takes three times as much
RESTORE = "restore or convert it, or remove it from the split."


class PictureError(Exception):
    """Raised for a picture that cannot be used. `read_image` makes it a `UserError` that names the file.

    Args:
        what: what is wrong with the picture.
        advice: what the user can do.
    """

    def __init__(self, what: str, advice: str = RESTORE):
        super().__init__(what)
        self.advice = advice


def check_size(width: int, height: int, pixel_bytes: int = 1) -> None:
    """Raise a `PictureError` if a picture takes more than `PICTURE_BYTES`; a pixel of RGB takes at least 4 bytes."""
    if width * height * max(4, pixel_bytes) > PICTURE_BYTES:
        raise PictureError(
            f"{width} x {height} pixels, more than the {PICTURE_BYTES // max(4, pixel_bytes):,} that are decoded of "
            "its kind",
            "make a smaller copy of it, or remove it from the split.",
        )
