"""Draw contact sheets: `python -m datasets.phantoms.sheet [--out DIR] [--columns N] [--lesions]`.

There is one PNG per data set, with one row per class; or, with `--lesions`, the PNG `lesions.png` with one row per data
set that has lesions, outlined in yellow.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from itertools import count, islice
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from dassl.writing import atomic_write
from datasets.masks import outline

from .canvas import SIZE
from .phantom import Phantom
from .registry import PHANTOMS, sample, sample_with_lesion

LABEL = 150  # width of the class names' column in pixels
SCALE = 2  # of the pictures with outlines
YELLOW = (255, 230, 0)


def draw_sheet(phantom: Phantom, columns: int = 8, seed: int = 0) -> Image.Image:
    """Return a sheet with one row per class: `columns` cases in atlas style, then the same cases in clinic style."""
    sheet = Image.new("RGB", (LABEL + 2 * columns * SIZE, SIZE * len(phantom.classes)), "white")
    pen = ImageDraw.Draw(sheet)
    for row, classname in enumerate(phantom.classes):
        pen.text((4, row * SIZE + SIZE // 2 - 6), classname, fill="black")
        cells = [(style, i) for style in ("atlas", "clinic") for i in range(columns)]
        pictures = [sample(phantom.name, classname, (seed, i), style)[0] for style, i in cells]
        sheet.paste(Image.fromarray(np.concatenate(pictures, 1)), (LABEL, row * SIZE))
    return sheet


def draw_lesions(columns: int = 8, seed: int = 0) -> Image.Image:
    """Return a sheet with one row per data set that has lesions: cases in clinic style, outlined in yellow."""
    phantoms = {key: phantom for key, phantom in PHANTOMS.items() if phantom.lesion}
    side = SCALE * SIZE
    sheet = Image.new("RGB", (LABEL // 2 + columns * side, side * len(phantoms)), "white")
    pen = ImageDraw.Draw(sheet)
    for row, (key, phantom) in enumerate(phantoms.items()):
        pen.text((4, row * side + side // 2 - 6), key, fill="black")
        for column, (picture, mask) in enumerate(islice(_cases_with_lesion(phantom, seed), columns)):
            picture, mask = (part.repeat(SCALE, 0).repeat(SCALE, 1) for part in (picture, mask))
            picture[outline(mask)] = YELLOW
            sheet.paste(Image.fromarray(picture), (LABEL // 2 + column * side, row * side))
    return sheet.quantize(256, kmeans=2, dither=Image.Dither.NONE)  # a third of the bytes


def _cases_with_lesion(phantom: Phantom, seed: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield picture and mask of cases that show a lesion, of one class after the other."""
    for i in count():
        for classname in phantom.classes:
            picture, _, mask = sample_with_lesion(phantom.name, classname, (seed, i))
            if mask.any():
                yield picture, mask


def main() -> None:
    """Draw and write the sheets of all data sets, or the one of the lesions."""
    parser = argparse.ArgumentParser(description="Draw a contact sheet of each phantom data set.")
    parser.add_argument("--out", type=Path, default=Path("build/phantoms"), help="folder of the sheets")
    parser.add_argument("--columns", type=int, default=8, help="pictures per class and style")
    parser.add_argument("--lesions", action="store_true", help="instead, one sheet of all lesions with their outlines")
    args = parser.parse_args()
    if args.lesions:
        _write(draw_lesions(args.columns), args.out / "lesions.png")
        return
    for key, phantom in PHANTOMS.items():
        _write(draw_sheet(phantom, args.columns), args.out / f"{key}.png")


def _write(sheet: Image.Image, path: Path) -> None:
    with atomic_write(path, "wb") as file:
        sheet.save(file, "PNG")
    print(path)


if __name__ == "__main__":
    main()
