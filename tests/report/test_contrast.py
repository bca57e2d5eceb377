"""Words and lines of the page can be told from what is behind them, in both schemes (WCAG 2.2: 4.5 and 3 to 1)."""

import re
from pathlib import Path

import pytest

CSS = (Path(__file__).parents[2] / "report" / "page" / "page.css").read_text(encoding="utf-8")
LIGHT, DARK, PRINTED = (
    dict(re.findall(r"--([\w-]+): ([^;]+);", block)) for block in re.findall(r":root \{(.*?)\}", CSS, re.DOTALL)
)
SCHEMES = {"light": LIGHT, "dark": DARK, "print": LIGHT | PRINTED}


def rgb(colour: str) -> tuple[float, ...]:
    if not colour.startswith("#"):
        return tuple(int(part) for part in colour.split())
    digits = colour[1:] if len(colour) == 7 else "".join(2 * digit for digit in colour[1:])
    return tuple(int(digits[i : i + 2], 16) for i in (0, 2, 4))


def luminance(colour: tuple[float, ...]) -> float:
    shares = [part / 255 for part in colour]
    red, green, blue = (x / 12.92 if x <= 0.04045 else ((x + 0.055) / 1.055) ** 2.4 for x in shares)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: tuple[float, ...], other: tuple[float, ...]) -> float:
    low, high = sorted([luminance(one), luminance(other)])
    return (high + 0.05) / (low + 0.05)


def test_black_on_white_is_21_to_1():
    assert contrast(rgb("#000"), rgb("#ffffff")) == pytest.approx(21)


@pytest.mark.parametrize("scheme", SCHEMES)
def test_words(scheme):
    colours = SCHEMES[scheme]
    for ink, behind in (
        ("ink", "paper"),
        ("muted", "paper"),
        ("muted", "band"),
        ("ink", "band"),
        ("warn", "warn-band"),
    ):
        assert contrast(rgb(colours[ink]), rgb(colours[behind])) >= 4.5, (ink, behind)


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("share", [0, 0.25, 0.5, 0.75, 1])
def test_numbers_in_a_shaded_cell(scheme, share):
    colours = SCHEMES[scheme]
    paper, shade = rgb(colours["paper"]), rgb(colours["shade"])
    behind = tuple((1 - share) * p + share * s for p, s in zip(paper, shade, strict=True))
    assert contrast(rgb(colours["ink"]), behind) >= 4.5


@pytest.mark.parametrize("scheme", SCHEMES)
def test_lines_and_bars(scheme):
    colours = SCHEMES[scheme]
    for name in ("bar", "sure", *(f"s{i}" for i in range(7))):
        assert contrast(rgb(colours[name]), rgb(colours["paper"])) >= 3, name


def test_every_scheme_names_the_colours_of_drawings():
    drawn = {name for name in LIGHT if re.fullmatch(r"s\d|bar|sure|shade", name)}
    assert len(drawn) == 10 and drawn <= DARK.keys() and drawn <= PRINTED.keys()
