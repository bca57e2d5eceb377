"""Draw contact sheets, one PNG per data set with one row per class: `python -m datasets.phantoms.sheet [--out DIR]`."""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from dassl.writing import atomic_write

from .canvas import SIZE
from .phantom import Phantom
from .registry import PHANTOMS, sample

LABEL = 150  # width of the class names' column in pixels


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


def main() -> None:
    """Draw and write the sheets of all data sets."""
    parser = argparse.ArgumentParser(description="Draw a contact sheet of each phantom data set.")
    parser.add_argument("--out", type=Path, default=Path("build/phantoms"), help="folder of the sheets")
    parser.add_argument("--columns", type=int, default=8, help="pictures per class and style")
    args = parser.parse_args()
    for key, phantom in PHANTOMS.items():
        with atomic_write(args.out / f"{key}.png", "wb") as file:
            draw_sheet(phantom, args.columns).save(file, "PNG")
        print(args.out / f"{key}.png")


if __name__ == "__main__":
    main()
