"""What is done to a whole picture before it is scaled or augmented."""

from collections.abc import Callable

import torchvision.transforms as T
from PIL import Image

RESIZE_MODES = ("shortest", "squash")  # scale the smaller edge and crop the centre; scale both edges


class PadToSquare:
    """Put a picture in the centre of a black square.

    Args:
        least: smallest side of the square in pixels.

    >>> PadToSquare(8)(Image.new("RGB", (10, 4))).size
    (10, 10)
    """

    def __init__(self, least: int) -> None:
        self.least = least

    def __call__(self, img: Image.Image) -> Image.Image:
        side = max(self.least, *img.size)
        square = Image.new(img.mode, (side, side))
        square.paste(img, ((side - img.width) // 2, (side - img.height) // 2))
        return square

    def __repr__(self) -> str:
        return f"{type(self).__name__}(least={self.least})"


# Names in INPUT.PREPARE -> what is printed, and the step for images of a side in pixels.
PREPARATIONS: dict[str, tuple[str, Callable[[int], Callable]]] = {
    "gray": ("grey values", lambda side: T.Grayscale(3)),
    "pad_square": ("pad to a square, in black", PadToSquare),
}
