"""The page of all data sets stays light: made-up records of 14 data sets, six methods and three numbers of shots."""

import numpy as np
import pytest

from report import paper
from report.__main__ import main
from runs.record import POINTS, POINTS_HEAD
from tests.report.predicted import answers, write_answers, write_pictures

MB = 1_000_000
CLASSES = {"btmri": 4, "busi": 3, "chmnist": 8, "covid": 4, "ctkidney": 4, "dermamnist": 7, "kneexray": 5}
CLASSES |= {"kvasir": 8, "lungcolon": 5, "octmnist": 4, "retina": 4, "lmri": 11, "pmri": 11, "cmri": 11}
METHODS = ("ZeroshotCLIP", "CoOp", "KgCoOp", "BiomedCoOp", "vMFCoOp", "vMFPrototypes")
GAP = {"common": 0.3, "images": 0.1, "common_centred": 0.02, "images_centred": 0.1}


def points(classes: int, images: int = 300) -> str:
    rng = np.random.default_rng(0)
    rows = [("image", i % classes, "") for i in range(images)] + [("class", i, f"class {i}") for i in range(classes)]
    lines = [",".join(map(str, (*row, *rng.normal(size=4).round(4)))) for row in rows]
    return "\n".join([",".join(POINTS_HEAD), *lines])


@pytest.mark.slow
@pytest.mark.parametrize("words", [[], ["--pictures"]])
def test_it_takes_less_than_five_megabytes(write_run, tmp_path, words, capsys):
    assert set(CLASSES) == set(paper.DATASETS)
    for dataset, classes in CLASSES.items():
        names = [f"class of disease {i}" for i in range(classes)]
        for i, method in enumerate(METHODS):
            for shots in (1, 4, 16):
                for seed in (1, 2, 3):
                    run = write_run(dataset, shots, method, seed, gap=GAP, terms=(1, 1, 1))
                    write_answers(run, *answers(500, classes, 100 * shots + 10 * i + seed), names)
                    (run / POINTS).write_text(points(classes))
                    if seed == 1 and shots == 16:
                        write_pictures(run, count=6)
        for seed in (1, 2, 3):
            where = {"root": "base2new/test_new", "subsample": "new", "terms": (1, 1, 1)}
            run = write_run(dataset, 16, "vMFCoOp", seed, 60.0, gap=GAP, **where)
            (run / POINTS).write_text(points(classes))
    assert main([str(tmp_path / "output"), *words]) == 0
    page = (tmp_path / "output" / "report" / "index.html").read_text(encoding="utf-8")
    assert page.count('<table class="matrix">') == page.count('aria-label="Reliability of ') == 14 * len(METHODS)
    assert page.count("data:image/svg+xml") == 14 * 3 + 2 and ("data:image/jpeg" in page) == bool(words)
    print(f"page: {len(page.encode()) / MB:.2f} MB")
    assert len(page.encode()) < 5 * MB
    assert ("errors are shown" in page) == bool(words)  # not all 504
