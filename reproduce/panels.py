"""The picture of the paper's Figure 2: a row per picture, a column per method: where it looks, and the lesion."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from torch import Tensor

from report.plots import MARGIN, WIDTH, canvas, save, shortened

YELLOW, RED = "#FFE100", (0.9, 0.0, 0.1)
SMALL, X_SMALL = 0.833, 0.694  # of letters of medium size, as Matplotlib scales them
STRENGTH = 0.65  # of the red where a map is 1
WORDS = 0.45  # inches that the words below a picture take


class Panel(NamedTuple):
    """Where one method looks in one picture.

    Attributes:
        map: [S, S] in 0..1; None leaves the cell empty.
        below: what the method says about the picture.
    """

    map: Tensor | None
    below: str


class PictureRow(NamedTuple):
    """A picture and what the methods make of it.

    Attributes:
        pixels: [S, S, 3] in 0..1.
        mask: of the lesion [S, S], bool.
        below: what is known of the picture.
        panels: one of each method.
    """

    pixels: np.ndarray
    mask: np.ndarray
    below: str
    panels: Sequence[Panel]


def plot_panels(
    rows: Sequence[PictureRow], columns: Sequence[str], path: Path, title: str, within: Path | None = None
) -> None:
    """Draw a row per picture: the picture itself, then each method's map in red on it; the lesion's outline in yellow.

    Args:
        rows: with a panel for each column.
        columns: names of the methods.
        path: the PNG; an SVG is written beside it.
        title: above the picture.
        within: folder that both must lie in, as for `dassl.writing.atomic_write`.
    """
    room = (WIDTH - 2 * MARGIN) / (len(columns) + 1)  # of a picture and what is between two
    side = room - 2 * MARGIN
    figure, grid = canvas(height=0.7 + len(rows) * (side + WORDS), rows=len(rows), columns=len(columns) + 1)
    grid = np.reshape(grid, (len(rows), len(columns) + 1))
    for axes_of_row, row in zip(grid, rows, strict=True):
        for axes, panel in zip(axes_of_row, (Panel(None, row.below), *row.panels), strict=True):
            axes.set_xticks([])
            axes.set_yticks([])
            axes.spines[:].set_visible(False)
            if panel.map is None:
                axes.imshow(row.pixels, interpolation="bilinear")
            else:  # grey, as red on red tissue would not be seen
                axes.imshow(row.pixels.mean(axis=2), cmap="gray", vmin=0, vmax=1, interpolation="bilinear")
                axes.imshow(_red(panel.map.numpy()), interpolation="bilinear")
            if row.mask.any() and not row.mask.all():
                axes.contour(row.mask.astype(float), levels=[0.5], colors=YELLOW, linewidths=1.2)
            axes.set_xlabel(_lines(figure, panel.below, room / X_SMALL), size="x-small")
    for axes, name in zip(grid[0], ("picture", *columns), strict=True):
        axes.set_title(shortened(figure, name, room / SMALL), size="small")
    save(figure, path, title, svg=True, within=within)


def _red(values: np.ndarray) -> np.ndarray:
    """Return a layer of red [S, S, 4], the stronger the larger the values [S, S]."""
    layer = np.empty((*values.shape, 4))
    layer[..., :3], layer[..., 3] = RED, STRENGTH * values
    return layer


def _lines(figure, text: str, width: float) -> str:
    """Return each line of a text, cut to a width in inches of letters of medium size."""
    return "\n".join(shortened(figure, line, width) for line in text.split("\n"))
