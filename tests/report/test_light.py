"""Pictures as the page holds them look as Matplotlib draws them."""

import re
from urllib.parse import unquote
from xml.etree import ElementTree

import pytest

from report.page.light import data_uri, lightened
from report.plots import plot_curves, plot_methods

SVG = "{http://www.w3.org/2000/svg}"
LINK = "{http://www.w3.org/1999/xlink}href"


@pytest.fixture(params=["curves", "dots"])
def path(request, tmp_path):
    """An SVG file of a picture with hostile words in it."""
    methods = {name: {k: [50.0 + k, 51.0 + k, 49.0] for k in (1, 4, 16)} for name in ("CoOp", "a<b & \"c'd", "-->]]>")}
    file = tmp_path / "picture.png"
    if request.param == "curves":
        plot_curves(methods, file, "a title", "accuracy", svg=True)
    else:
        plot_methods({name: curve[4] for name, curve in methods.items()}, file, "a title", "accuracy", svg=True)
    return file.with_suffix(".svg")


def drawn(svg: str) -> list[tuple]:
    """What is drawn, in its order: kind, style with that of the groups around it, and coordinates in hundredths."""
    found = []

    def visit(element, style: str) -> None:
        style += element.get("style", "")
        kind = element.tag.removeprefix(SVG)
        if kind in ("path", "use", "rect", "text"):
            places = " ".join(
                filter(None, (element.get(key) for key in ("d", "x", "y", "transform", "width", "height")))
            )
            numbers = [round(float(number), 1) for number in re.findall(r"-?\d+(?:\.\d+)?", places)]
            found.append((kind, style, numbers))
        for child in element:
            visit(child, style)

    visit(ElementTree.fromstring(svg), "")
    return found


def test_the_same_is_drawn(path):
    before, after = (drawn(svg) for svg in (path.read_text(), lightened(path.read_text())))
    assert len(before) == len(after) > 50
    for one, other in zip(before, after, strict=True):
        assert one[:2] == other[:2] and one[2] == pytest.approx(other[2], abs=0.11)


def test_every_reference_has_its_target(path):
    root = ElementTree.fromstring(lightened(path.read_text()))
    names = [element.get("id") for element in root.iter() if element.get("id")]
    assert len(names) == len(set(names))
    used = {element.get(LINK).removeprefix("#") for element in root.iter() if element.get(LINK)}
    used |= {name for element in root.iter() for name in re.findall(r"url\(#(\w+)\)", element.get("clip-path", ""))}
    assert used == set(names)


def test_it_is_a_uri_of_three_quarters_of_the_size_and_no_markup(path):
    uri = data_uri(path)
    assert not set('"<>&#\n') & set(uri) and len(uri) < 0.85 * path.stat().st_size
    root = ElementTree.fromstring(unquote(uri.partition(",")[2]))
    assert root.tag == f"{SVG}svg"


def test_small_factors_and_words_stay():
    svg = '<svg><g transform="translate(1.23456 2) scale(0.015625 -0.1)"/><text x="1.005">a  b 1.23456</text></svg>'
    assert lightened(svg) == (
        '<svg><g transform="translate(1.23 2)scale(0.015625 -0.1)"/><text x="1">a  b 1.23456</text></svg>'
    )
