"""Masks of lesions beside pictures: `<folder of the picture>/mask/<name of the picture>.png`, white on black."""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from dassl.errors import UserError
from dassl.images import Reading, read_image
from datasets.listing import MASKS, Listing, suffix_of

AS_DRAWN = Reading(allow_constant=True)  # a mask of no pixel, or of all of them, is one too


def mask_path(picture: str | Path) -> Path:
    """Return where the mask of a picture belongs.

    >>> mask_path("chest/covid/17.jpg").as_posix()
    'chest/covid/mask/17.png'
    """
    folder, name = Path(picture).parent, Path(picture).name
    return folder / MASKS / f"{name[: len(name) - len(suffix_of(name))]}.png"


def mask_of(picture: str | Path, links: str = "inside") -> Path | None:
    """Return the mask that lies beside a picture; None if there is none.

    Args:
        picture: path of its file.
        links: as DATASET.LINKS: "inside" if a link must lead to a file below the picture's folder, else "anywhere".

    Raises:
        UserError: the mask is a link that leads elsewhere and must not.
    """
    path = mask_path(picture)
    if not path.is_file():
        return None
    Listing(path.parents[1], links).check_link(f"{MASKS}/{path.name}")
    return path


def read_mask(path: str | Path, size: tuple[int, int]) -> np.ndarray:
    """Return the pixels, bool [height, width], that a mask says to belong to the lesion: those that are not black.

    Args:
        path: of the mask.
        size: width and height of its picture, upright, in pixels.

    Raises:
        UserError: the file cannot be read, has another size than its picture, or more than black and one other value.
    """
    picture = read_image(path, AS_DRAWN)
    if picture.size != tuple(size):
        raise UserError(
            f"Expected a mask of {size[0]} x {size[1]} pixels, as its picture has, but {path} has {picture.width} x "
            f"{picture.height}: make it as large as the picture."
        )
    colours = picture.getcolors(2)  # None if there are more
    if colours is None or sum(colour != (0, 0, 0) for _, colour in colours) > 1:
        raise UserError(
            f"Expected a mask of black and one other value, but {path} has more: make the lesion white and all else "
            "black."
        )
    return np.asarray(picture).max(axis=2) > 0


def mask_transform(
    size: int, resize_mode: str = "shortest", prepare: Sequence[str] = ()
) -> Callable[[np.ndarray], np.ndarray]:
    """Return the transform that takes a mask where `Backbone.preprocess` takes its picture.

        fit = mask_transform(backbone.image_size, backbone.resize_mode, backbone.prepare)
        fit(read_mask(path, picture.size))

    Args:
        size: side of the image tower's input in pixels.
        resize_mode: "shortest" or "squash", as of a backbone.
        prepare: what is done to a picture first, as of a backbone.

    Returns:
        Function of a mask, bool [height, width], that returns a bool array [size, size]; pixels are the nearest ones.
    """
    from dassl.data.transforms import evaluation_steps  # slow to import

    steps = evaluation_steps((size, size), "nearest", resize_mode, prepare)

    def fit(mask: np.ndarray) -> np.ndarray:
        picture = Image.fromarray(mask.astype(np.uint8) * 255)
        for step in steps:
            picture = step(picture)
        return np.asarray(picture.convert("L")) > 127

    return fit


def outline(mask: np.ndarray) -> np.ndarray:
    """Return the pixels, bool [H, W], just outside a mask [H, W]: those that touch it by a side.

    >>> outline(np.array([[False, False, False], [False, True, False]])).astype(int).tolist()
    [[0, 1, 0], [1, 0, 1]]
    """
    padded = np.pad(mask, 1)
    near = padded[:-2, 1:-1] | padded[2:, 1:-1] | padded[1:-1, :-2] | padded[1:-1, 2:]
    return near & ~mask
