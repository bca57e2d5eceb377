"""The page in a real browser: it opens without errors, its pictures are there, it fits a phone and prints in full.

Skipped where there is no Chromium: `apt-get install chromium`, or CHROMIUM=/path/to/chrome.
"""

import pytest

from report.__main__ import main
from report.page.calibration import BINS
from runs.record import POINTS, POINTS_HEAD
from tests.report.browser import NAMES, Browser, find_browser
from tests.report.predicted import answers, write_answers, write_pictures

PROGRAM = find_browser()
pytestmark = pytest.mark.skipif(PROGRAM is None, reason=f"no browser: expected {', '.join(NAMES)}, or $CHROMIUM")
SHOTS, SEEDS = (1, 16), (1, 2)
GAP = {"common": 0.31, "images": 0.1, "common_centred": 0.02, "images_centred": 0.1}
NARROW = 360  # pixels of a phone
WIDER = "[...document.querySelectorAll('body *')].filter(e => e.getBoundingClientRect().right > innerWidth + 1)"
HIDDEN = "[...document.querySelectorAll('details > *')].filter(e => !e.checkVisibility({contentVisibilityAuto: true}))"


@pytest.fixture(scope="module")
def browser():
    assert PROGRAM is not None
    with Browser(PROGRAM) as running:
        yield running


@pytest.fixture
def file(write_run, tmp_path):
    """The page of four methods on two data sets, with pictures of errors."""
    for dataset in ("btmri", "busi"):
        for i, trainer in enumerate(("ZeroshotCLIP", "CoOp", "BiomedCoOp", "vMFCoOp")):
            for shots in SHOTS:
                for seed in SEEDS:
                    run = write_run(dataset, shots, trainer, seed, gap=GAP, terms=(1, 1, 1))
                    write_answers(run, *answers(200, 4, 10 * i + seed, right=0.5 + 0.1 * i))
                    rows = ["image,0,,1,2,3,4", "class,0,a,1,2,3,4", "class,1,b,2,1,4,3"]
                    (run / POINTS).write_text("\n".join([",".join(POINTS_HEAD), *rows]))
                    write_pictures(run)
    output = tmp_path / "output"
    assert main([str(output), "--pictures"]) == 0
    return output / "report" / "index.html"


def test_it_opens_without_errors_and_asks_for_nothing(browser, file):
    page = browser.open(file)
    assert page.complaints() == []
    own, *others = page.requests()
    assert own == file.resolve().as_uri() and others and all(address.startswith("data:image/") for address in others)
    assert (
        page.evaluate("document.querySelectorAll('details').length") == 2 + 1
    )  # data sets, and how the runs were made


def test_what_comes_from_elsewhere_would_be_told(browser, tmp_path):
    """The test above can fail."""
    page = tmp_path / "page.html"
    policy = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"
    meta = f'<meta http-equiv="Content-Security-Policy" content="{policy}">'
    page.write_text(f"<!DOCTYPE html>{meta}<img src='http://127.0.0.1:9/x.png'><script>1</script>")
    assert len(browser.open(page).complaints()) >= 2


def test_every_picture_is_there(browser, file):
    page = browser.open(file)
    widths = page.evaluate("[...document.images].map(e => e.naturalWidth)")
    assert len(widths) == 2 * 2 + 2 + 2 * 4 * 2 * 2  # curves and gaps, average and ranks, pairs of errors
    assert min(widths) > 0
    assert page.evaluate("[...document.images].every(e => e.alt.length > 5)")


def test_drawings_lie_within_their_boxes(browser, file):
    page = browser.open(file)
    page.evaluate("document.querySelectorAll('details').forEach(e => { e.open = true })")
    outside = page.evaluate("""[...document.querySelectorAll('svg.chart')].flatMap(chart => {
        const box = chart.getBoundingClientRect()
        return [...chart.children].map(e => e.getBoundingClientRect()).filter(e =>
            e.left < box.left - 1 || e.right > box.right + 1 || e.top < box.top - 4 || e.bottom > box.bottom + 1)
    }).length""")
    assert outside == 0
    charts, bars = page.evaluate("['svg.chart', 'rect.bar'].map(name => document.querySelectorAll(name).length)")
    assert charts == 2 * (1 + 4) and 2 * 4 < bars <= 2 * 4 * BINS
    assert page.evaluate("[...document.querySelectorAll('rect.bar')].some(e => e.getBoundingClientRect().height > 20)")


@pytest.mark.parametrize("opened", [False, True])
def test_it_fits_a_phone(browser, file, opened):
    page = browser.open(file, width=NARROW, height=800)
    page.evaluate(f"document.querySelectorAll('details').forEach(e => {{ e.open = {str(opened).lower()} }})")
    wide, screen = page.evaluate("[document.scrollingElement.scrollWidth, innerWidth]")
    assert screen == NARROW and wide <= screen
    scrolled = page.evaluate(f"{WIDER}.every(e => e.closest('.wide, code'))")  # what is wider has a box that scrolls
    assert scrolled


def test_both_schemes_have_their_colours(browser, file):
    seen = []
    for dark in (False, True):
        page = browser.open(file, dark=dark)
        style = "getComputedStyle(document.{}).{}"
        seen.append(page.evaluate(f"[{style.format('body', 'backgroundColor')}, {style.format('body', 'color')}]"))
    (paper, ink), (dark_paper, dark_ink) = ([sum(map(int, c[4:-1].split(","))) for c in pair] for pair in seen)
    assert paper > 700 > 200 > ink and dark_paper < 100 < 600 < dark_ink


def test_print_shows_what_is_folded(browser, file):
    page = browser.open(file)
    assert page.evaluate(f"{HIDDEN}.length") > 0
    page.media("print")
    assert page.evaluate(f"{HIDDEN}.length") == 0
    folded = page.evaluate("document.scrollingElement.scrollHeight")
    page.evaluate("document.querySelectorAll('details').forEach(e => { e.open = true })")
    assert page.evaluate("document.scrollingElement.scrollHeight") == pytest.approx(folded, rel=0.02)
    assert page.pdf().startswith(b"%PDF") and page.pdf().count(b"/Type /Page\n") >= 5
