"""Coordinates of the small drawings of the page, in pixels of a box; answers.html puts them into SVG."""

import math
from typing import NamedTuple

from report.page.calibration import BINS, Bins, Floats, edges
from report.page.summary import LISTED

LEFT, RIGHT, TOP, BOTTOM = 40.0, 300.0, 8.0, 148.0  # of the area of a drawing


HEADS = ("seeds", "accuracy", "ECE", "AURC", *(f"risk at {share:.0%}" for share in LISTED))  # of a method's figures


class Tick(NamedTuple):
    """A mark on an axis: where it is, and what stands beside it."""

    at: str
    words: str


class Bar(NamedTuple):
    """A bin of a reliability diagram: its bar, where its mean confidence lies, and what it says in words."""

    left: str
    top: str
    height: str
    sure: str
    middle: str
    images: int
    words: str


def across(share: float) -> float:
    """Return the pixel of a share of the width, 0 on the left and 1 on the right."""
    return LEFT + share * (RIGHT - LEFT)


def up(share: float) -> float:
    """Return the pixel of a share of the height, 0 at the bottom and 1 at the top."""
    return BOTTOM - share * (BOTTOM - TOP)


def short(pixel: float) -> str:
    """Return a pixel with at most one decimal.

    >>> short(12.04), short(0.25)
    ('12', '0.2')
    """
    return f"{pixel:.1f}".removesuffix(".0")


def line(x: Floats, y: Floats, highest: float) -> str:
    """Return the points of a polyline.

    Args:
        x: shares [M].
        y: shares [M], at most `highest`.
        highest: the share at the top.
    """
    return " ".join(f"{short(across(a))},{short(up(b / highest))}" for a, b in zip(x, y, strict=True))


def highest_risk(risks: list[Floats]) -> float:
    """Return the share at the top of a drawing of curves: the next full tenth.

    >>> import numpy as np
    >>> highest_risk([np.array([0.02, 0.31])]), highest_risk([np.array([0.0])])
    (0.4, 0.1)
    """
    return max(1, math.ceil(10 * max(float(risk.max()) for risk in risks) - 1e-9)) / 10


def ticks_up(highest: float) -> list[Tick]:
    """Return marks at the bottom, in the middle and at the top of the height."""
    return [Tick(short(up(share)), f"{100 * share * highest:.3g}%") for share in (0, 0.5, 1)]


def bars(bins: Bins) -> list[Bar]:
    """Return the bars of the bins that have images."""
    found = []
    for low, high, count, sums, hits in zip(edges()[:-1], edges()[1:], *bins, strict=True):
        if count:
            right, sure = hits / count, sums / count
            words = f"{low:.2f} to {high:.2f}: {count:.0f} images, {right:.1%} right, {sure:.1%} expected"
            places = (across(low), up(right), BOTTOM - up(right), up(sure), across((low + high) / 2))
            left, top, height, mean, middle = map(short, places)
            found.append(Bar(left, top, height, mean, middle, int(count), words))
    return found


WIDTH = short((RIGHT - LEFT) / BINS)  # of a bar
UP = ticks_up(1.0)  # of a reliability diagram
ACROSS = [Tick(short(across(share)), f"{100 * share:.0f}%") for share in (0, 0.25, 0.5, 0.75, 1)]
