"""Figure 2 and the scores of saliency maps, of runs on pictures with masks beside them."""

import shutil

import numpy as np
import pytest
import torch
from PIL import Image

from dassl.errors import UserError
from explain.lesions import first_with_lesion, read_lesions
from explain.localisation import energy, over_classes, pointing
from explain.saliency import saliency
from reproduce import figure2, saliency_scores
from reproduce import saliency as command
from reproduce.saliency_scores import BLIND, CENTRE, Score
from runs.predictor import Predictor
from runs.run import run
from runs.spec import RunSpec
from tests.conftest import CLASSES
from tests.reproduce.conftest import table

METHODS = ("zeroshot", "vmfprototypes")


@pytest.fixture(scope="module")
def root(data_root, tmp_path_factory):
    """The miniature data set; its test images of two classes have a bright square, and a mask of it beside them."""
    root = tmp_path_factory.mktemp("lesions")
    shutil.copytree(data_root, root, dirs_exist_ok=True)
    for name in CLASSES[:2]:
        folder = root / "BTMRI" / "BTMRI" / name.replace(" ", "_")
        (folder / "mask").mkdir()
        for i, path in enumerate(sorted(folder.glob("test*.png"))[:3]):
            pixels, mask = np.asarray(Image.open(path)).copy(), np.zeros((64, 64), np.uint8)
            place = (slice(8 + 10 * i, 28 + 10 * i), slice(30, 50))
            pixels[place], mask[place] = 250, 255
            Image.fromarray(pixels).save(path)
            Image.fromarray(mask).save(folder / "mask" / path.name)
    return root


@pytest.fixture(scope="module")
def output(root, tmp_path_factory):
    """Finished runs of both methods, two seeds, one shot."""
    output = tmp_path_factory.mktemp("runs")
    for method in METHODS:
        run(RunSpec(method, "btmri", 1, (1, 2), str(root), "PhantomCLIP", output=str(output), options=OPTIONS))
    return output


OPTIONS = (("FEATURES.VIEWS", 16), ("DATALOADER.NUM_WORKERS", 0))


def words(*more) -> list[str]:
    return [str(word) for word in more]


@pytest.fixture
def line(root, output, monkeypatch):
    """line(*flags): a command line about the runs, whose backbone is PhantomCLIP on images of any root."""
    monkeypatch.setattr(command, "default_backbone", lambda root: "PhantomCLIP")

    def make(*flags) -> list[str]:
        common = ("--datasets", "btmri", "--root", root, "--output", output, "--shots", 1, "--methods", *METHODS)
        return words(*common, "--write-only", *flags, *(word for pair in OPTIONS for word in pair))

    return make


def test_scores_are_those_of_the_maps_of_each_picture(line, root, output, tmp_path, capsys):
    page = tmp_path / "page.md"
    page.write_text(
        "Kept.\n\n<!-- What follows is written by python -m reproduce saliency; what stands above is kept. -->Gone."
    )
    flags = ("--seeds", 1, 2, "--pictures", 2, "--kinds", "gscorecam", "--contrast", "no", "--to", page)
    assert command.main(line(*flags)[:-2]) == 0, capsys.readouterr().out  # NUM_WORKERS changes no number
    text = page.read_text()
    assert text.startswith("Kept.\n") and "Gone" not in text and "btmri (4 pictures)" in text
    predictor = Predictor.from_run(next(output.glob("btmri/shots_1/ZeroshotCLIP_*/*/seed1")), root=root)
    folder = root / "BTMRI" / "BTMRI"
    paths = [str(folder / name.replace(" ", "_") / f"test{i}.png") for name in CLASSES[:2] for i in (0, 1)]
    lesions, labels = read_lesions(predictor, paths), torch.tensor([0, 0, 1, 1])
    weight = predictor.trainer.linear_head().weight
    maps = saliency(predictor.backbone, lesions.pixels, weight[labels], "gscorecam")
    expected = [f"{100 * over_classes(score(maps, lesions.masks), labels):.1f}" for score in (pointing, energy)]
    (row,) = [row for row in table(page) if row[0] == "ZeroshotCLIP" and row[1] == "1"]
    assert row[2:] == expected
    (prototypes,) = [row for row in table(page) if row[0] == "vMFPrototypes" and row[1] == "1"]
    assert all("±" in cell for cell in prototypes[2:])
    blind = 100 * lesions.masks.float().mean().item()
    assert next(row for row in table(page) if row[0] == BLIND)[3] == f"{blind:.1f}"


def test_an_average_lacks_no_data_set():
    scores = [Score(name, "CoOp", 1, seed, "legrad", True, 50.0 + seed, 20.0, 4) for name in "ab" for seed in (1, 3)]
    assert command._cell(scores, "pointing", ["a", "b"]) == "52.0 ± 1.0"
    assert command._cell(scores[:-1], "pointing", ["a", "b"]) == command.GAP
    assert command._cell([], "pointing", ["a"]) == command.GAP


def test_the_first_pictures_of_each_class_that_have_a_mask(root):
    folder = root / "BTMRI" / "BTMRI"
    paths = [str(folder / name.replace(" ", "_") / f"test{i}.png") for name in CLASSES for i in range(5)]
    labels = [label for label in range(4) for _ in range(5)]
    assert first_with_lesion(paths, labels, 2) == [0, 1, 5, 6]
    assert first_with_lesion(paths[3:], labels[3:], 9) == [2, 3, 4]  # of the first class too few have one
    assert first_with_lesion(paths[::-1], labels[::-1], 1) == [12, 17]


def test_figure_2_has_a_row_for_each_picture_and_a_column_for_each_method(line, output, capsys):
    assert figure2.main(line("--seeds", 1)) == 0, capsys.readouterr().out
    page = output / "report" / "figure2.md"
    ((dataset, picture, truth, *answers),) = table(page)
    assert (dataset, picture, truth) == ("btmri", "test0.png", CLASSES[0]) and len(answers) == 2
    with Image.open(page.with_suffix(".png")) as image:
        colours = np.asarray(image.convert("RGB")).reshape(-1, 3)
    assert (colours == (255, 225, 0)).all(axis=1).any()  # the outline
    assert page.with_suffix(".svg").read_text().count("<image ") == 1 + len(answers)


def test_figure_2_of_pictures_of_ones_own(line, root, output, tmp_path, capsys):
    folder = root / "BTMRI" / "BTMRI" / "meningioma_tumor"
    assert (
        figure2.main(line("--seeds", 1, "--to", tmp_path / "own.md", "--kind", "grad_eclip", "--images", folder)) == 0
    )
    rows = table(tmp_path / "own.md")
    assert [row[1] for row in rows] == ["test0.png", "test1.png", "test2.png"] and {row[2] for row in rows} == {""}
    assert "left out: 11 files without a mask" in capsys.readouterr().out
    assert "the class that each run predicts" in (tmp_path / "own.md").read_text()
    assert ", own pictures, runs on real images (phantom)" in (tmp_path / "own.md").read_text()
    with pytest.raises(UserError, match="found none"):
        figure2.pictures_in([root / "BTMRI" / "BTMRI" / "normal_brain"])
    with pytest.raises(UserError, match=r"there is no .*gone"):
        figure2.pictures_in([root / "gone"])


def test_a_mask_without_an_outline_is_told(line, tmp_path, capsys):
    picture = np.random.default_rng(0).integers(0, 255, (64, 64, 3), dtype=np.uint8)
    (tmp_path / "mask").mkdir()
    for name, value in (("black", 0), ("white", 255), ("square", 0)):
        Image.fromarray(picture).save(tmp_path / f"{name}.png")
        mask = np.full((64, 64), value, np.uint8)
        mask[20:40, 20:40] = 255 if name != "black" else 0
        Image.fromarray(mask).save(tmp_path / "mask" / f"{name}.png")
    page = tmp_path / "own.md"
    assert figure2.main(line("--seeds", 1, "--to", page, "--kind", "grad_eclip", "--images", tmp_path)) == 0
    told = [row for row in capsys.readouterr().out.splitlines() if row.startswith("no outline")]
    assert len(told) == 2 and "black.png" in told[0] and "white.png" in told[1]


def test_a_figure_is_of_one_seed(line, capsys):
    assert figure2.main(line("--seeds", 1, 2)) == 1
    assert "one seed" in capsys.readouterr().err


def test_nothing_is_scored_without_runs(line, tmp_path, capsys):
    assert command.main(line("--to", tmp_path / "x.md", "INPUT.FRAME", "first")) == 1
    assert "Expected finished runs" in capsys.readouterr().err and not (tmp_path / "x.md").exists()


def test_a_centre_and_a_blind_choice_need_no_run():
    masks = torch.zeros(2, 10, 10, dtype=torch.bool)
    masks[0, 5, 5] = masks[1, 0, :4] = True
    lesions = saliency_scores.Lesions(["a", "b"], torch.zeros(2, 3, 10, 10), masks, torch.zeros(2, 4))
    centre, blind = saliency_scores._without_maps("x", lesions, torch.tensor([0, 1]))
    assert (centre.row, centre.pointing, blind.row, round(blind.energy, 4)) == (CENTRE, 50.0, BLIND, 2.5)
