"""Bad predictions or pictures of errors that someone else made are one line of the page, and the rest is reported."""

import html
import json
import os
from pathlib import Path

import numpy as np
import pytest

from report.__main__ import main
from runs.error_pictures import FOLDER, INDEX
from runs.predictions import HEAD, PREDICTIONS
from tests.report.predicted import answers, write_answers, write_pictures
from tests.security.received import HOSTILE, Tags, bounded, run
from tests.security.test_damaged_runs import large, other, text, zeros

pytestmark = pytest.mark.usefixtures("undrawn")
HEADER = ",".join((*HEAD, "a", "b"))


def link(path: Path) -> None:
    elsewhere = path.with_name("elsewhere")
    elsewhere.write_text(f"{HEADER}\nx,a,a,1,0\n")
    path.symlink_to(elsewhere)


def folder_link(path: Path) -> None:
    path.rename(path.with_name("elsewhere"))
    path.symlink_to(path.with_name("elsewhere"))


DAMAGE = {
    "pipe": other(PREDICTIONS, os.mkfifo),
    "folder": other(PREDICTIONS, Path.mkdir),
    "link": other(PREDICTIONS, link),
    "zeros": other(PREDICTIONS, zeros),
    "large": other(PREDICTIONS, large),
    "bytes": other(PREDICTIONS, lambda path: path.write_bytes(b"\xff\xfe\x00\x01{")),
    "nulls": text(PREDICTIONS, f"{HEADER}\n\0\0"),
    "empty": text(PREDICTIONS, ""),
    "quote": text(PREDICTIONS, f'{HEADER}\n"' + "a" * 500_000),
    "digits": text(PREDICTIONS, f"{HEADER}\nx,a,a,{'1' * 100_000},0\n"),
    "nan": text(PREDICTIONS, f"{HEADER}\nx,a,a,nan,0\n"),
    "1e300": text(PREDICTIONS, f"{HEADER}\nx,a,a,1e300,0\n"),
    "turned": text(PREDICTIONS, f"{HEADER},\u202etxt\nx,a,a,1,0,0\n"),
    "long": text(PREDICTIONS, f"{HEADER},{'W' * 300}\nx,a,a,1,0,0\n"),
    "columns": text(PREDICTIONS, ",".join((*HEAD, *map(str, range(50_000))))),
    "other": text(PREDICTIONS, f"{HEADER}\nx,a,a,1,0\n"),  # whose accuracy is another
}


@pytest.mark.parametrize("kind", DAMAGE)
def test_one_bad_file_is_named_and_the_run_still_counts(output, kind, capsys):
    DAMAGE[kind](run(output, 7))
    with bounded():
        assert main([str(output)]) == 0
    page = (output / "report" / "index.html").read_text(encoding="utf-8")
    told = [line for line in page.splitlines() if "Predictions: " in line]
    assert len(told) == 2 and f"seed7/{PREDICTIONS}" in told[0] and "2 run(s) left no predictions.csv" in told[1]
    out = capsys.readouterr().out
    assert out.count("predictions: ") == 2 and "\u202e" not in out + page
    assert "(2/3 seeds)" not in page


def test_no_more_than_fifty_are_named(output, capsys):
    for seed in range(10, 70):
        DAMAGE["nan"](run(output, seed))
    assert main([str(output)]) == 0
    out = capsys.readouterr().out
    assert out.count(f"{PREDICTIONS}, but the probabilities of image 1 are none") == 50
    assert "10 more files of predictions could not be read." in out


def test_names_of_classes_are_shown_as_they_are(output):
    names = [name for name in HOSTILE if not name.startswith(("=", "+", "@", "-1", "--"))][:18]
    labels, shares = answers(len(names), len(names))
    write_answers(run(output, 7), labels, shares, names)
    assert main([str(output)]) == 0
    page = Tags((output / "report" / "index.html").read_text(encoding="utf-8"))
    assert "script" not in page.tags and not any(name.startswith("on") for name in page.attributes)
    shown = "".join(page.text)
    assert [name for name in names if name not in shown] == []


def pictured(output: Path) -> Path:
    folder = run(output, 7)
    return write_pictures(write_answers(folder, *answers(50, 4)))


def change(**what):
    """Damage that replaces fields of errors.json."""

    def write(folder: Path) -> None:
        path = folder / FOLDER / INDEX
        path.write_text(json.dumps(json.loads(path.read_text()) | what))

    return write


def error(**what) -> dict:
    return {"errors": [{"true": "a", "predicted": "b", "probability": 0.5} | what]}


PICTURE = f"{FOLDER}/1.jpg"
OF_INDEX = {
    "folder is a link": lambda folder: folder_link(folder / FOLDER),
    "link": other(f"{FOLDER}/{INDEX}", link),
    "pipe": other(f"{FOLDER}/{INDEX}", os.mkfifo),
    "large": other(f"{FOLDER}/{INDEX}", large),
    "no json": text(f"{FOLDER}/{INDEX}", "{"),
    "deep": text(f"{FOLDER}/{INDEX}", "[" * 30_000),
    "a list": text(f"{FOLDER}/{INDEX}", "[]"),
    "kind": change(kind="\x1b[2J"),
    "phantom": change(phantom="no"),
    "of others": change(predictions="0" * 16),
    "many": change(errors=error()["errors"] * 51),
    "errors": change(errors=3),
    "class": change(**error(true="a\u202eb")),
    "no class": change(**error(predicted=None)),
    "probability": change(**error(probability=2)),
    "probability of text": change(**error(probability="1")),
    "nan": change(**error(probability=float("nan"))),
    "true": change(**error(probability=True)),
}
OF_PICTURE = {
    "missing": lambda folder: (folder / PICTURE).unlink(),
    "svg": text(PICTURE, "<svg xmlns='http://www.w3.org/2000/svg'><script>alert(1)</script></svg>"),
    "html": text(PICTURE, "<script>alert(1)</script>"),
    "gif": text(PICTURE, "GIF89a"),
    "empty": text(PICTURE, ""),
    "link": other(PICTURE, lambda path: path.symlink_to(path.with_name("2.jpg"))),
    "pipe": other(PICTURE, os.mkfifo),
    "large": other(PICTURE, large),
}


@pytest.mark.parametrize("kind", OF_INDEX)
@pytest.mark.parametrize("words", [[], ["--pictures"]])
def test_a_bad_list_of_errors_is_a_line(output, kind, words):
    OF_INDEX[kind](pictured(output))
    with bounded():
        assert main([str(output), *words]) == 0
    page = html.unescape((output / "report" / "index.html").read_text(encoding="utf-8"))
    assert f"seed7/{FOLDER}" in page.partition("Predictions: ")[2]
    assert "data:image/jpeg" not in page and "\x1b" not in page and "\u202e" not in page
    assert 'class="matrix"' in page


@pytest.mark.parametrize("kind", OF_PICTURE)
def test_a_bad_picture_is_a_line_and_is_not_in_the_page(output, kind):
    OF_PICTURE[kind](pictured(output))
    with bounded():
        assert main([str(output), "--pictures"]) == 0
    page = html.unescape((output / "report" / "index.html").read_text(encoding="utf-8"))
    assert f"seed7/{PICTURE}" in page.partition("Predictions: ")[2] and "0 of 2 errors are shown" in page
    assert "data:image/jpeg" not in page and "alert(1)" not in page


def test_a_picture_is_embedded_as_what_it_is(output):
    folder = pictured(output)
    (folder / PICTURE).write_bytes(b"\x89PNG\r\n\x1a\n'\"><script>")
    assert main([str(output), "--pictures"]) == 0
    page = (output / "report" / "index.html").read_text(encoding="utf-8")
    assert page.count("data:image/png;base64,") == 1 and page.count("data:image/jpeg;base64,") == 3
    assert "<script" not in page


def test_the_names_of_images_are_in_no_file_of_the_report(output):
    folder = run(output, 7)
    path = write_answers(folder, *answers(50, 4)) / PREDICTIONS
    path.write_text(path.read_text().replace("image", "SENTINEL"))
    write_pictures(folder)
    assert main([str(output), "--pictures"]) == 0
    assert "SENTINEL" not in (folder / FOLDER / INDEX).read_text()
    written = [file for file in (output / "report").rglob("*") if file.is_file()]
    assert len(written) > 3 and not any(b"SENTINEL" in file.read_bytes() for file in written)


def test_a_large_file_is_read_in_bounds(output):
    """Twelve million probabilities, near the limit of the file's size."""
    rows, classes = 60_000, 200
    line = ",".join(["c0", "c0", "1", *["0"] * (classes - 1)])
    folder = run(output, 7)
    content = ",".join((*HEAD, *(f"c{i}" for i in range(classes)))) + "\n" + f"x,{line}\n" * rows
    (folder / PREDICTIONS).write_text(content)
    with bounded():
        assert main([str(output)]) == 0
    page = (output / "report" / "index.html").read_text(encoding="utf-8")
    assert np.isclose(len(content), 25e6, rtol=0.1) and "to give accuracy 50.00" in page
