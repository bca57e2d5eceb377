"""The picture of the gap: which run it shows, what is written on it, and what is told where there is none."""

import numpy as np
import pytest
from matplotlib.figure import Figure
from PIL import Image

from dassl.errors import UserError
from report.__main__ import main
from report.gap import _against, plot_gap, read_points
from report.plots import COLOURS
from runs.record import POINTS, POINTS_HEAD

GAP = {"predicted": "a<b>", "predicted_share": 97.6, "largest": "c", "largest_share": 50.0}
GAP |= {"common": 0.31, "images": 0.1, "common_centred": 0.02, "images_centred": 0.1}
TRAINERS = ("ZeroshotEnsemble", "vMFPosterior", "vMFCoOp")


def lines(*rows: str) -> str:
    return "".join(f"{row}\r\n" for row in (",".join(POINTS_HEAD), *rows))


def points(classes: int = 2, images: int = 40, name: str = "glioma tumor {}") -> str:
    """Images at two places, one class to the left of the other, and texts far from them."""
    rows = [f"image,{i % classes},,{i / images},{i % 7},{-1 + 2 * (i % classes)},{i % 5}" for i in range(images)]
    return lines(*rows, *(f"class,{i},{name.format(i)},9,{i},{-1 + 2 * i},0" for i in range(classes)))


@pytest.fixture
def write(write_run):
    """write(dataset, shots, trainer, seed, points) -> folder of a run with the gap and its points."""

    def make(*args, text: str | None = None, **more):
        folder = write_run(*args, gap=GAP, **more)
        (folder / POINTS).write_text(points() if text is None else text, newline="")
        return folder

    return make


@pytest.fixture
def figures(monkeypatch):
    """The figures that are saved, as they are drawn into the PNG."""
    found, real = [], Figure.savefig

    def savefig(self, path, **kwargs):
        real(self, path, **kwargs)
        if kwargs["format"] == "png":
            found.append(self)

    monkeypatch.setattr(Figure, "savefig", savefig)
    return found


def captions(tmp_path) -> list[str]:
    page = (tmp_path / "output" / "report" / "index.html").read_text(encoding="utf-8")
    found = [part.partition("</figcaption>")[0] for part in page.split("<figcaption>")[1:]]
    return [caption for caption in found if caption.startswith("Images and texts")]


def test_the_page_has_a_picture_of_each_data_set_that_says_what_it_shows(write, tmp_path, undrawn):
    for dataset in ("btmri", "covid"):
        for seed in (2, 1):
            write(dataset, 16, "vMFCoOp", seed)
    assert main([str(tmp_path / "output")]) == 0
    shown = captions(tmp_path)
    assert [caption.partition(". ")[0] for caption in shown] == [
        f"Images and texts, {dataset}, vMFCoOp, few-shot, K = 16, seed 1 (phantom)" for dataset in ("btmri", "covid")
    ]
    assert all("97.6% of the images were predicted as a&lt;b&gt;" in caption for caption in shown)


@pytest.mark.parametrize("n", [1, 2, 3])
def test_vmfcoop_before_vmfposterior_before_others(write, tmp_path, n, undrawn):
    for trainer in TRAINERS[:n]:
        write(trainer=trainer)
    assert main([str(tmp_path / "output")]) == 0
    (caption,) = captions(tmp_path)
    assert f"btmri, {TRAINERS[n - 1]}, few-shot" in caption


def test_the_most_shots_and_another_picture_of_novel_classes(write, tmp_path, undrawn):
    for shots in (1, 16, 4):
        write(shots=shots)
    for part, subsample in (("train_base", "base"), ("test_new", "new")):
        for dataset in ("btmri", "covid"):
            write(dataset, root=f"base2new/{part}", subsample=subsample)
    assert main([str(tmp_path / "output")]) == 0
    found = [caption.partition(". ")[0] for caption in captions(tmp_path)]
    assert [words.split(", ")[1:5:2] for words in found] == [
        ["btmri", "few-shot"],
        ["btmri", "novel classes"],
        ["covid", "novel classes"],
    ]
    assert all("K = 16" in words for words in found)


def test_no_phantom_stands_where_none_is(write, tmp_path, undrawn):
    write(phantom=False, backbone="BiomedCLIP")
    assert main([str(tmp_path / "output")]) == 0
    assert "phantom" not in captions(tmp_path)[0]


def test_runs_without_the_figures_have_no_picture_and_no_remark(write_run, tmp_path, undrawn, capsys):
    write_run(seed=1)
    write_run(seed=2, gap={"predicted": "a", "predicted_share": 1.0, "largest": "a", "largest_share": 1.0})
    assert main([str(tmp_path / "output")]) == 0
    assert captions(tmp_path) == [] and "no picture" not in capsys.readouterr().out


def test_another_seed_is_shown_where_the_first_has_no_points_and_it_is_told(write, tmp_path, undrawn, capsys):
    (write(seed=1) / POINTS).unlink()
    write(seed=2)
    assert main([str(tmp_path / "output")]) == 0
    assert "seed 2" in captions(tmp_path)[0]
    assert capsys.readouterr().out.count("no picture: ") == 1
    page = (tmp_path / "output" / "report" / "index.html").read_text(encoding="utf-8")
    assert "No picture: " in page and f"seed1/{POINTS} beside metrics.json" in page and str(tmp_path) not in page


def drawn(tmp_path, figures, text, gap=GAP, title="Images and texts, btmri (phantom)"):
    path = tmp_path / POINTS
    path.write_text(text, newline="")
    plot_gap(read_points(path), gap, tmp_path / "gap.png", title)
    return figures.pop()


def test_both_panels_have_all_images_and_a_star_per_class(tmp_path, figures):
    figure = drawn(tmp_path, figures, points())
    for axes in figure.axes:
        dots, star, others, other = (each.get_offsets() for each in axes.collections)
        assert (len(dots), len(star), len(others), len(other)) == (20, 1, 20, 1)
    left, right = figure.axes
    assert left.collections[1].get_offsets()[0].tolist() == [9, 0]
    assert right.collections[1].get_offsets()[0].tolist() == [-1, 0]
    titles = [axes.get_title(loc="left") for axes in figure.axes]
    assert titles == ["before centring: constant 3.1 × images", "after centring: constant 0.2 × images"]
    image = np.asarray(Image.open(tmp_path / "gap.png").convert("RGB"))
    assert [int((image == [int(c[i : i + 2], 16) for i in (1, 3, 5)]).all(-1).sum()) > 50 for c in COLOURS[:3]] == [
        True,
        True,
        False,
    ]
    assert (tmp_path / "gap.svg").read_bytes().startswith(b"<?xml")


@pytest.mark.parametrize(("classes", "name"), [(2, "W" * 190 + "{}"), (11, "$\\frac{{x}}$ 漢字 {}"), (40, "_class {}")])
def test_everything_lies_inside_the_picture(tmp_path, figures, classes, name):
    figure = drawn(tmp_path, figures, points(classes, 300, name), title="W" * 300)
    width, height = figure.get_size_inches()
    box = figure.get_tightbbox()
    assert box.x0 >= 0 and box.y0 >= 0 and box.x1 <= width and box.y1 <= height
    assert len(figure.legends) == (classes <= 15)
    assert all(axes.get_window_extent().height > 2 * figure.dpi for axes in figure.axes)


@pytest.mark.parametrize(("common", "images"), [(0.0, 0.0), (1e15, 1e-300), (-1.0, -1.0), (1.0, 0.0)])
def test_figures_that_make_no_ratio(common, images):
    assert _against({"common": common, "images": images}, "") == "constant alone"


GOOD = "image,0,,1,2,3,4", "class,0,a,1,2,3,4"
BAD = {
    "its columns are not": "x,y\n",
    "it has no images": lines(GOOD[1]),
    "an image of a class without a direction": lines(*GOOD, "image,1,,1,2,3,4"),
    "line 3 has 6 cells": lines(GOOD[0], "class,0,a,1,2,3"),
    "neither of an image nor of another class": lines(*GOOD, GOOD[1]),
    "more than 5,000 lines": lines(*GOOD, *[GOOD[0]] * 5000),
    "could not convert": lines(*GOOD, "image,0,,1,2,3,=cmd"),
    "invalid literal": lines(*GOOD, "image,0.5,,1,2,3,4"),
}


@pytest.mark.parametrize("words", BAD)
def test_what_is_wrong_with_a_file_is_said(tmp_path, words):
    path = tmp_path / POINTS
    path.write_text(BAD[words], newline="")
    with pytest.raises(UserError, match=words) as raised:
        read_points(path)
    assert str(path) in str(raised.value)
