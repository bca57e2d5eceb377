"""A bad file of points in a run's folder that someone else made is one line of the page, and the rest is reported."""

import os
from pathlib import Path

import pytest

from report.__main__ import main
from runs.record import POINTS, POINTS_HEAD
from tests.security.received import HOSTILE, UNSEEN, Tags, bounded, run
from tests.security.test_damaged_runs import large, other, text, zeros

GAP = {"predicted": "a", "predicted_share": 97.6, "largest": "a", "largest_share": 50.0}
GAP |= {"common": 0.31, "images": 0.1, "common_centred": 0.02, "images_centred": 0.1}
HEAD = ",".join(POINTS_HEAD)


def points(number: str = "1", label: str = "0", name: str = "a") -> str:
    quoted = name.replace('"', '""')
    return f'{HEAD}\r\nimage,{label},,{number},2,3,4\r\nimage,0,,5,6,7,8\r\nclass,0,"{quoted}",1,2,3,4\r\n'


def link(path: Path) -> None:
    elsewhere = path.with_name("elsewhere")
    elsewhere.write_text(points())
    path.symlink_to(elsewhere)


DAMAGE = {
    "pipe": other(POINTS, os.mkfifo),
    "folder": other(POINTS, Path.mkdir),
    "link": other(POINTS, link),
    "zeros": other(POINTS, zeros),
    "large": other(POINTS, large),
    "bytes": other(POINTS, lambda path: path.write_bytes(b"\xff\xfe\x00\x01{")),
    "nulls": text(POINTS, f"{HEAD}\n\0\0"),
    "empty": text(POINTS, ""),
    "quote": text(POINTS, f'{HEAD}\n"' + "a" * 500_000),
    "nan": text(POINTS, points("nan")),
    "infinite": text(POINTS, points("-inf")),
    "1e300": text(POINTS, points("1e300")),
    "digits": text(POINTS, points("1" * 100_000)),
    "class of many digits": text(POINTS, points(label="1" * 100_000)),
    "turned": text(POINTS, points(name="\u202etxt")),
    "long": text(POINTS, points(name="W" * 300)),
    "rows": text(POINTS, points() + "image,0,,1,2,3,4\r\n" * 30_000),
}


@pytest.mark.parametrize("kind", DAMAGE)
def test_one_bad_file_is_named_and_the_run_still_counts(output, kind, undrawn, capsys):
    DAMAGE[kind](run(output, 7, gap=GAP))
    with bounded():
        assert main([str(output)]) == 0
    page = (output / "report" / "index.html").read_text(encoding="utf-8")
    assert f"seed7/{POINTS}" in page.partition("No picture: ")[2] and "Images and texts" not in page
    assert capsys.readouterr().out.count("no picture: ") == 1
    assert "(2/3 seeds)" not in page


def test_no_more_than_three_are_looked_at(output, undrawn, capsys):
    for seed in range(10, 20):
        DAMAGE["nan"](run(output, seed, gap=GAP))
    assert main([str(output)]) == 0
    assert capsys.readouterr().out.count("no picture: ") == 3


@pytest.mark.parametrize("number", ["1e15", "-1e15", "1e-300", "0"])
def test_coordinates_of_any_size_are_drawn(output, number):
    text(POINTS, points(number))(run(output, 7, gap=GAP | {"common": 1e15, "images": 1e-300}))
    with bounded():
        assert main([str(output)]) == 0
    assert list(output.rglob("gap_btmri-all.png"))


def test_names_of_classes_are_shown_as_they_are(output):
    names = [name for name in HOSTILE if name not in UNSEEN]
    rows = [f'class,{i},"{name.replace(chr(34), chr(34) * 2)}",{i},2,3,{i}' for i, name in enumerate(names[:15])]
    told = GAP | {"predicted": "<script>alert(1)</script>"}
    text(POINTS, "\r\n".join([HEAD, "image,0,,1,2,3,4", *rows]) + "\r\n")(run(output, 7, gap=told))
    with bounded():
        assert main([str(output)]) == 0
    page = Tags((output / "report" / "index.html").read_text(encoding="utf-8"))
    assert "script" not in page.tags and "were predicted as <script>alert(1)</script>" in "".join(page.text)
    assert list(output.rglob("gap_btmri-all.png"))
