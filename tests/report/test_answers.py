"""What the page tells of the predictions of runs, and what it says of those that it cannot show."""

import html
import re

import numpy as np
import pytest

from report.__main__ import main
from report.page.calibration import aurc, calibration_bins, risk_coverage
from runs.predictions import PREDICTIONS, read_predictions
from tests.report.predicted import CLASSES, answers, write_answers, write_pictures

pytestmark = pytest.mark.usefixtures("undrawn")


@pytest.fixture
def told(write_run):
    """told(dataset, shots, trainer, seed, images=100, ...) -> a finished run's folder with predictions."""

    def make(*args, images: int = 100, right: float = 0.7, classes=CLASSES, agree: bool = True, **more):
        run = write_run(*args, **more)
        labels, shares = answers(images, len(classes), args[3] if len(args) > 3 else 1, right)
        return write_answers(run, labels, shares, classes, agree)

    return make


@pytest.fixture
def page(tmp_path, capsys):
    """page(*words) -> the text of the page, and what was printed."""

    def make(*words) -> tuple[str, str]:
        assert main([str(tmp_path / "output"), *words]) == 0
        text = (tmp_path / "output" / "report" / "index.html").read_text(encoding="utf-8")
        return html.unescape(text), capsys.readouterr().out

    return make


def rows(text: str, title: str) -> list[list[str]]:
    """Cells of the first table behind a title."""
    body = text.partition(title)[2].partition("<tbody>")[2].partition("</tbody>")[0]
    clean = [re.findall(r"<t[hd][^>]*>(.*?)</t[hd]>", row) for row in body.split("</tr>")[:-1]]
    return [[re.sub(r"<svg.*?</svg>", "", cell).strip() for cell in row] for row in clean]


def test_figures_are_means_over_the_seeds_and_those_of_the_record(told, page):
    for seed in (1, 2, 3):
        told("btmri", 16, "CoOp", seed)
    told("btmri", 16, "ZeroshotCLIP", 1, right=0.3)
    text, _ = page()
    drawn = [answers(100, 4, seed) for seed in (1, 2, 3)]
    hits = [shares.argmax(axis=1) == labels for labels, shares in drawn]
    areas = [aurc(risk_coverage(s.max(axis=1), h)) for (_, s), h in zip(drawn, hits, strict=True)]
    zeroshot, coop = rows(text, "Errors and confidence, K = 16 (phantom)")
    assert (coop[0], coop[1], zeroshot[1]) == ("CoOp", "3", "1")
    accuracies = 100 * np.mean(hits, axis=1)
    assert coop[2] == f"{accuracies.mean():.2f} ± {accuracies.std():.2f}"
    assert coop[4] == f"{np.mean(areas):.2f} ± {np.std(areas):.2f}"
    assert coop[-1] == f"{100 - accuracies.mean():.2f} ± {accuracies.std():.2f}"  # all images are answered


def test_a_matrix_has_percents_of_rows_and_mean_counts(told, page):
    run = told("btmri", 16, "CoOp", 1)
    labels = np.array([0] * 4 + [1] * 4)
    shares = np.eye(4)[[0, 0, 0, 1, 3, 3, 1, 1]]
    write_answers(run, labels, shares)
    text, _ = page()
    first, second, third, _ = rows(text, '<table class="matrix">')
    assert first == ["1 glioma tumor", "75<small>3</small>", "25<small>1</small>", "0", "0"]
    assert second[1:] == ["0", "50<small>2</small>", "0", "50<small>2</small>"]
    assert third[1:] == ["-"] * 4  # no image
    assert '<abbr title="meningioma tumor">2</abbr>' in text and "1.00: 8 images, 62.5% right, 100.0% expected" in text


def test_the_most_shots_are_shown_unless_others_are_asked_for(told, page):
    for shots in (1, 4):
        told("btmri", shots, "CoOp", 1)
    told("busi", 1, "CoOp", 1)
    told("btmri", 4, "ZeroshotCLIP", 1)
    text, _ = page()
    assert re.findall(r"<h4>.*?, K = (\d+) \(", text) == ["4", "1"]
    text, _ = page("--shots", "1")
    assert re.findall(r"<h4>.*?, K = (\d+) \(", text) == ["1", "1"]
    assert [row[0] for row in rows(text, "Errors and confidence")] == ["ZeroshotCLIP", "CoOp"]  # one run for all shots


def test_a_data_set_is_a_part_that_opens(told, page):
    told("btmri", 16, "CoOp", 1)
    text, _ = page()
    assert text.count("<details open>") == 1
    told("busi", 16, "CoOp", 1)
    text, _ = page()
    assert text.count("<details>") == 2 + 1 and "<details open>" not in text  # and how the runs were made
    parts = text.split("<details>")
    assert ["btmri: accuracy" in part for part in parts] == [False, True, False, False]


def test_runs_without_predictions_are_one_line(told, write_run, page):
    told("btmri", 16, "CoOp", 1)
    without = [write_run("btmri", 16, "CoOp", seed) for seed in (2, 3)]
    text, out = page()
    words = f"2 run(s) left no {PREDICTIONS}, such as "
    assert out.count(words) == 1 and f"{words}{without[0]}" in out
    assert f"{words}btmri/shots_16" in text and str(without[0]) not in text
    assert rows(text, "Errors and confidence")[0][1] == "1"


@pytest.mark.parametrize("name", ["accuracy", "ece"])
def test_predictions_of_another_result_are_a_line_and_are_left_out(told, page, name):
    told("btmri", 16, "CoOp", 1)
    other = told("btmri", 16, "CoOp", 2)
    text = (other / "metrics.json").read_text()
    (other / "metrics.json").write_text(re.sub(rf'"{name}": [\d.]+', f'"{name}": 12.5', text))
    text, _ = page()
    assert f"seed2/{PREDICTIONS} to give {name} 12.50 as metrics.json beside it, but it gives" in text
    assert rows(text, "Errors and confidence")[0][1] == "1"


def test_probabilities_at_the_edge_of_a_bin_are_no_other_result(told, page):
    """Two thirds are 0.666667 in the file, which is in the next bin, that of the wrong answers."""
    run = told("btmri", 16, "CoOp", 1)
    shares = np.repeat([[2 / 3, 1 / 3, 0, 0], [0.3, 0.7, 0, 0]], 20, axis=0)
    write_answers(run, np.zeros(40, int), shares)  # the record is of what was not rounded
    found = read_predictions(run)
    assert abs(calibration_bins(found.confidence, found.hits).ece - calibration_bins(shares.max(1), found.hits).ece) > 1
    text, _ = page()
    assert "as metrics.json beside it" not in text and rows(text, "Errors and confidence")[0][1] == "1"


def test_seeds_of_other_classes_are_not_averaged(told, page):
    told("btmri", 16, "CoOp", 1)
    told("btmri", 16, "CoOp", 2, classes=("a", "b", "c", "d"))
    text, _ = page()
    assert f"seed2/{PREDICTIONS} has other classes than that of btmri/" in text


def test_a_matrix_of_many_classes_is_left_out_in_a_line(told, page):
    told("btmri", 16, "CoOp", 1, images=300, classes=[f"class {i}" for i in range(21)])
    text, _ = page()
    assert "1 confusion matrices of more than 20 classes are left out" in text
    assert '<table class="matrix">' not in text and 'aria-label="Reliability of CoOp' in text


def test_ablations_and_novel_classes_are_not_shown(told, page):
    told("btmri", 16, "vMFCoOp", 1, terms=(1, 1, 1))
    told("busi", 16, "vMFCoOp", 1, terms=(1, 0, 1), root="ablation/sce_sc")
    told("covid", 16, "vMFCoOp", 1, terms=(1, 1, 1), root="base2new/test_new", subsample="new")
    text, _ = page()
    assert re.findall(r'aria-label="Reliability of vMFCoOp on (\w+),', text) == ["btmri"]


def test_names_are_no_markup(told, page, tmp_path):
    told("btmri", 16, "CoOp", 1, classes=["<script>alert(1)</script>", '" onload="x', "</table>", "c"])
    page()
    text = (tmp_path / "output" / "report" / "index.html").read_text(encoding="utf-8")
    assert "<script" not in text and '" onload' not in text and "&lt;script&gt;" in text


def test_pictures_are_in_the_page_only_if_they_are_asked_for(told, page):
    run = told("btmri", 16, "CoOp", 1)
    text, out = page()
    assert "python -m explain.errors <output> makes them, python -m report <output> --pictures shows them" in text
    write_pictures(run)
    text, out = page()
    assert "data:image/jpeg" not in text and "glioma tumor, predicted" not in text
    assert "lie beside a run, in errors/, and are not in this page" in text and f"{run.parents[4]} --pictures" in out
    assert "may be passed on before this page is" not in text
    text, _ = page("--pictures")
    assert "may be passed on before this page is" in text.partition("<h2>")[0]
    assert text.count("data:image/jpeg;base64,") == 4 and "glioma tumor, predicted <b>normal brain</b> 99.0%" in text
    assert "of seed 1, and what spoke for the predicted class (grad_eclip, phantom)" in text
    assert text.count('alt="Phantom picture of glioma tumor"') == 2 and "python -m explain.errors" not in text


def test_pictures_of_patients_are_not_called_phantoms(told, page):
    write_pictures(told("btmri", 16, "CoOp", 1, phantom=False, backbone="BiomedCLIP"), phantom=False)
    text, _ = page("--pictures")
    assert (
        "(grad_eclip)" in text and 'alt="Picture of glioma tumor"' in text and "hantom" not in text.partition("<h2>")[2]
    )


def test_the_first_seed_with_pictures_is_shown_and_what_lacks_is_told(told, page):
    for seed in (1, 2, 3):
        run = told("btmri", 16, "CoOp", seed)
        if seed > 1:
            write_pictures(run, count=seed)
    told("btmri", 16, "KgCoOp", 1)
    text, _ = page("--pictures")
    assert "Most confident errors of seed 2" in text and text.count("data:image/jpeg") == 4
    assert "No pictures of errors for 1 of 2 (a method on a data set each)" in text


def test_pictures_have_so_many_bytes_and_the_most_confident_come_first(told, page, monkeypatch):
    for i, trainer in enumerate(("CoOp", "KgCoOp")):
        write_pictures(told("btmri", 16, trainer, 1), count=3 + i, content=b"\xff\xd8\xff" + bytes(997))
    monkeypatch.setattr("report.__main__.PICTURES", 6500)
    text, _ = page("--pictures")
    assert text.count("data:image/jpeg") == 6 and "3 of 7 errors are shown, as many" in text
    assert [part.count("data:image/jpeg") for part in text.split('<div class="method">')[1:]] == [4, 2]


def test_of_a_method_that_draws_no_images_the_run_is_shown_that_has_pictures_made_of_it(told, page, tmp_path):
    """As `python -m explain.errors` chooses: the most shots, then the first seed."""
    for shots, seed in ((1, 1), (16, 2), (16, 1)):
        told("btmri", shots, "ZeroshotCLIP", seed)
    (run,) = (path.parent for path in tmp_path.rglob("shots_16/*/*/seed1/metrics.json"))
    write_pictures(run)
    text, _ = page("--pictures")
    assert text.count("data:image/jpeg") == 4 and "Most confident errors of seed 1" in text
