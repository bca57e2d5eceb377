"""Errors about data that are missing or broken: one sentence that names the file and the way out."""

import json

import numpy as np
import pytest
from PIL import Image

import train
from dassl.errors import UserError
from tests.datasets.layout import lay_out, load

DOWNLOAD = "`python -m datasets.download btmri`"


def sentence(error: pytest.ExceptionInfo) -> str:
    """Return the message, which must be one line."""
    message = str(error.value)
    assert message.startswith("Expected ") and "\n" not in message
    return message


def test_no_folder(tmp_path):
    with pytest.raises(UserError) as error:
        load(tmp_path / "nowhere")
    message = sentence(error)
    assert str(tmp_path / "nowhere" / "BTMRI") in message
    assert DOWNLOAD in message and "DATA=phantoms" in message


def test_no_split_file(tmp_path):
    path = lay_out(tmp_path)
    path.unlink()
    with pytest.raises(UserError) as error:
        load(tmp_path)
    assert f"split file {path}" in sentence(error) and DOWNLOAD in sentence(error)


@pytest.mark.parametrize(
    ("text", "way_out"),
    [
        ("", "restore the file"),
        ('{"train": [', "restore the file"),
        ('{"train": 3}', DOWNLOAD),
        ('["train"]', DOWNLOAD),
        ('{"train": [["a.png", 0]]}', DOWNLOAD),
        ("{}", DOWNLOAD),
    ],
)
def test_a_split_file_that_is_none(tmp_path, text, way_out):
    path = lay_out(tmp_path)
    path.write_text(text)
    with pytest.raises(ValueError) as error:
        load(tmp_path)
    assert str(path.parent) in str(error.value) and way_out in str(error.value)


@pytest.mark.parametrize(
    ("label", "name"),
    [(4, "normal brain"), (-1, "normal brain"), (0, "normal brain"), (3, "brain")],
)
@pytest.mark.parametrize("part", ["train", "val", "test"])
def test_a_label_or_class_name_that_is_not_of_this_data_set(tmp_path, part, label, name):
    path = lay_out(tmp_path)
    split = json.loads(path.read_text())
    split[part][-1][1:] = label, name
    path.write_text(json.dumps(split))
    with pytest.raises(ValueError) as error:
        load(tmp_path)
    message = sentence(error)
    assert str(path) in message and f'{split[part][-1][0]} has label {label!r} "{name}"' in message
    assert "3: 'normal brain'" in message


@pytest.mark.parametrize("part", ["train", "test"])
def test_a_class_that_the_split_leaves_out(tmp_path, part):
    path = lay_out(tmp_path)
    split = json.loads(path.read_text())
    split[part] = [entry for entry in split[part] if entry[1] != 3]
    path.write_text(json.dumps(split))
    with pytest.raises(ValueError) as error:
        load(tmp_path, shots=1)
    assert f'"normal brain" in {path.parent} has none for {part}' in sentence(error)


@pytest.mark.parametrize("gone", ["glioma_tumor/test1.png", "normal_brain/train0.png"])
def test_a_missing_image(tmp_path, gone):
    path = lay_out(tmp_path)
    (path.parent / "BTMRI" / gone).unlink()
    with pytest.raises(UserError) as error:
        load(tmp_path)
    message = sentence(error)
    assert "split_BTMRI.json lists, but 1 are missing" in message
    assert str(path.parent / "BTMRI" / gone) in message and DOWNLOAD in message


def test_a_missing_class_folder_counts_all_its_images(tmp_path):
    path = lay_out(tmp_path)
    (path.parent / "BTMRI" / "glioma_tumor").rename(tmp_path / "elsewhere")
    with pytest.raises(UserError, match=r"the 24 images .* but 6 are missing, the first is .*glioma_tumor"):
        load(tmp_path)


def test_too_few_images_for_the_shots(tmp_path):
    path = lay_out(tmp_path)
    split = json.loads(path.read_text())
    split["train"] = [entry for entry in split["train"] if entry[0] != "pituitary_tumor/train3.png"]
    path.write_text(json.dumps(split))
    assert len(load(tmp_path, shots=5).train_x) == 20
    with pytest.raises(ValueError) as error:
        load(tmp_path, shots=6)
    message = sentence(error)
    assert "6 training images per class for 6 shots" in message
    assert '"pituitary tumor" of btmri has 5: take at most 5 shots' in message
    assert not (path.parent / "split_fewshot" / "shot_6-seed_1.json").exists()


@pytest.fixture
def stderr_of(tmp_path, monkeypatch, capsys):
    """`stderr_of(flag, value, ...)` returns the one line that a failing run of ZeroshotCLIP prints."""
    monkeypatch.setenv("VMFCOOP_CACHE", str(tmp_path / "store"))

    def make(*more: str) -> str:
        line = ["--root", tmp_path / "data", "--backbone", "PhantomCLIP", "--trainer", "ZeroshotCLIP", "--shots", 1]
        line += ["--seed", 1, "--output", tmp_path / "output", *more]
        assert train.main([str(word) for word in line]) == 1
        text = capsys.readouterr().err
        assert text.startswith("error: ") and text.count("\n") == 1 and "Traceback" not in text
        return text

    return make


def test_an_unknown_data_set(tmp_path, stderr_of):
    assert (
        "btmri, busi, chmnist, cmri, covid, ctkidney, dermamnist, folder, kneexray, kvasir, lmri, lungcolon, "
        "octmnist, pmri, retina, table, but got 'brains'" in stderr_of("--dataset", "brains")
    )
    text = stderr_of("--dataset", "btmri", "DATASET.NAME", "BTMRY")
    assert "did you mean 'BTMRI'?" in text and "COVID_19" in text and "FolderDataset" in text


@pytest.mark.parametrize("harm", ["truncated", "no image", "empty"])
def test_an_unreadable_image_is_named(tmp_path, stderr_of, harm):
    split = lay_out(tmp_path / "data", train=1, val=1, test=2)
    images = split.parent / "BTMRI"
    pixels = np.random.default_rng(0).integers(0, 255, (64, 64, 3), np.uint8)
    for path in images.rglob("*.png"):
        Image.fromarray(pixels).save(path)
    broken = images / "pituitary_tumor" / "test1.png"
    content = {"truncated": broken.read_bytes()[:3000], "no image": b"<html>not found</html>", "empty": b""}[harm]
    broken.write_bytes(content)
    text = stderr_of("--dataset", "btmri", "DATALOADER.NUM_WORKERS", "0")
    assert f"Expected a readable image, but {broken} is not" in text and "remove it from the split" in text
