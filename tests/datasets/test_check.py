"""`python -m datasets.check` tells everything about a folder of images before anything is trained on it."""

import re
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from datasets.check.__main__ import main
from tests.datasets.layout import lay_out


def draw(path: Path, seed: int, dtype=np.uint8, shape=(24, 30, 3)) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    high = 40_000 if dtype == np.uint16 else 250
    Image.fromarray(np.random.default_rng(seed).integers(0, high, shape).astype(dtype)).save(path)
    return path


@pytest.fixture
def chest(tmp_path) -> Path:
    root = tmp_path / "chest"
    for label, name in enumerate(("normal", "lung_cancer")):
        for i in range(10):
            draw(root / name / f"P{i // 2}{label}_{i}.png", 100 * label + i)
    return root


@pytest.fixture
def check(capsys):
    """`check(argument, ...)` returns the exit status and what is printed, errors included."""

    def call(*words) -> tuple[int, str]:
        code = main([str(word) for word in words])
        captured = capsys.readouterr()
        assert "Traceback" not in captured.err
        return code, captured.out + captured.err

    return call


def files(root: Path) -> set[Path]:
    return set(root.rglob("*"))


def test_a_clean_folder(chest, check):
    before = files(chest)
    code, text = check(chest)
    assert code == 0 and "A run can read all of these images" in text and "WARNING" not in text
    assert "Checking" in text and "as folder" in text
    assert ["lung cancer", *"523"] in [re.split(r"  +", line.strip()) for line in text.splitlines()]
    assert "No image is there twice" in text and "PNG, 8-bit colour" in text and "30 x 24" in text
    assert files(chest) == before, "nothing is written into the data"


def test_what_is_left_out_is_counted(chest, check):
    (chest / "normal" / "notes.doc").touch()
    (chest / "normal" / "._P0.png").touch()
    (chest / "normal" / "gone.png").symlink_to("nowhere")
    (chest / "empty").mkdir()
    draw(chest / "normal" / "masks" / "0.png", 1)
    draw(chest / "loose.png", 2)
    code, text = check(chest)
    assert code == 0
    for told in (
        "1 .doc files in normal",
        "1 hidden in normal",
        "1 broken links in normal",
        '1 folders ("masks") in normal',
        '1 folder without images ("empty")',
        "1 images in no class folder",
    ):
        assert told in text, told


@pytest.mark.parametrize("spoil", [lambda p: p.write_text("junk"), lambda p: p.write_bytes(p.read_bytes()[:300])])
def test_images_that_cannot_be_read_are_named_and_the_others_still_looked_at(chest, check, spoil):
    broken = [chest / "normal" / "P00_0.png", chest / "lung_cancer" / "P01_1.png"]
    for path in broken:
        spoil(path)
    code, text = check(chest)
    assert code == 1 and "2 images cannot be read: a run would stop" in text
    assert all(f"ERROR: Expected a readable image, but {path} is not" in text for path in broken)
    assert "18  30 x 24" in text


def test_copies_byte_for_byte_and_pixel_for_pixel(chest, check):
    shutil.copy(chest / "normal" / "P00_0.png", chest / "lung_cancer" / "copy.png")
    Image.open(chest / "normal" / "P00_1.png").save(chest / "lung_cancer" / "again.tif")
    code, text = check(chest)
    assert code == 0
    assert "1 images are there under two labels (byte for byte identical)" in text
    assert "1 images are there under two labels (pixel for pixel identical)" in text
    assert "TIFF, 8-bit colour" in text
    code, text = check(chest, "DATASET.LEAKS", "error")
    assert code == 1 and "error: Expected no image or patient on two sides" in text


def test_patients(chest, check):
    code, text = check(chest, "DATASET.GROUP_PATTERN", r"/(P\d+)_")
    assert code == 0 and "Groups (patients) for training/validation/test: " in text
    (chest / "train").mkdir()
    for name in ("normal", "lung_cancer"):
        shutil.copytree(chest / name, chest / "test" / name)
        (chest / name).rename(chest / "train" / name)
    code, text = check(chest, "DATASET.GROUP_PATTERN", r"/(P\d+)_")
    assert code == 0
    assert "WARNING: 10 groups (patients) have images both for training and for test" in text
    assert "WARNING: 20 test images are identical (byte for byte) to training images" in text
    assert not re.search(r"P\d\d(?!_\d+\.png)", text), "numbers of patients are told by file names alone"


def test_depths_and_what_the_reader_makes_of_them(chest, check):
    draw(chest / "normal" / "deep.png", 1, np.uint16, (24, 30))
    draw(chest / "normal" / "grey.png", 1, np.uint8, (50, 40))
    code, text = check(chest)
    assert code == 0
    (deep,) = [line for line in text.splitlines() if line.startswith("PNG, 16-bit grey")]
    assert "-> 30 x 24 RGB, values 0 to 255" in deep and "PNG, 8-bit grey" in text and "40 x 50" in text


def test_contact_sheets(chest, check, tmp_path):
    for i in range(80):
        draw(chest / "normal" / f"more{i}.png", 500 + i)
    (chest / "lung_cancer" / "P01_1.png").write_text("junk")
    code, text = check(chest, "--sheets", tmp_path / "sheets")
    assert code == 1 and {path.name for path in (tmp_path / "sheets").iterdir()} == {
        "0-lung-cancer.png",
        "1-normal.png",
    }
    for path in (tmp_path / "sheets").iterdir():
        assert str(path) in text
        with Image.open(path) as sheet:
            assert sheet.width == 896 and sheet.height in (16 + rows * 128 for rows in range(1, 9))
            assert np.asarray(sheet).std() > 10


def test_a_table(tmp_path, check):
    for i in range(12):
        draw(tmp_path / "scans" / f"{i}.png", i)
    rows = [f"{i},{'ab'[i % 2]},p{i // 2}" for i in range(12)]
    (tmp_path / "labels.csv").write_text("\n".join(["image,label,patient", *rows]))
    code, text = check(tmp_path)
    assert code == 0 and "as table" in text and "patients in patient" in text
    assert not (tmp_path / "split_TableDataset.json").exists()
    code, text = check(tmp_path, "--dataset", "table", "DATASET.TABLE.LABEL", "x")
    assert code == 1 and "(DATASET.TABLE.LABEL)" in text


def test_a_named_data_set(tmp_path, check):
    split = lay_out(tmp_path)
    for i, path in enumerate(sorted((split.parent / "BTMRI").rglob("*.png"))):
        draw(path, i)
    draw(split.parent / "BTMRI" / "normal_brain" / "other.png", 999)
    code, text = check(tmp_path, "--dataset", "btmri")
    assert code == 0 and "split_BTMRI.json does not list: 1" in text


@pytest.mark.parametrize(
    "words",
    [["nowhere"], ["{chest}", "--dataset", "brains"], ["{chest}", "DATASET.LINK", "anywhere"], ["{chest}", "A"]],
)
def test_errors_are_one_line(chest, check, words):
    code, text = check(*(word.format(chest=chest) for word in words))
    assert code == 1 and "error: Expected " in text


def test_dicom_files_are_looked_at(chest, check):
    """Their pixels are told, and nothing of their headers."""
    pydicom = pytest.importorskip("pydicom")
    from pydicom.dataset import FileDataset, FileMetaDataset
    from pydicom.uid import ExplicitVRLittleEndian

    path = chest / "normal" / "1.2.840.1"
    meta = FileMetaDataset()
    meta.TransferSyntaxUID, meta.MediaStorageSOPInstanceUID = ExplicitVRLittleEndian, "1.2.3"
    meta.MediaStorageSOPClassUID = "1.2.840.10008.5.1.4.1.1.7"
    data = FileDataset(str(path), {}, file_meta=meta, preamble=b"\0" * 128)
    data.PatientName, data.PatientID = "Doe^Jane", "MRN0815"
    data.Rows = data.Columns = 16
    data.SamplesPerPixel, data.PhotometricInterpretation, data.PixelRepresentation = 1, "MONOCHROME2", 0
    data.BitsAllocated, data.BitsStored, data.HighBit = 16, 12, 11
    data.PixelData = np.arange(256, dtype=np.uint16).tobytes()
    pydicom.dcmwrite(path, data, **({"enforce_file_format": True}))
    code, text = check(chest)
    assert code == 0 and "1 DICOM" in text and "values 0 to 255" in text
    assert "Doe" not in text and "MRN0815" not in text
    assert check(chest, "INPUT.GREY_RANGE", "-160:240")[0] == 0
    assert check(chest, "INPUT.FRAME", "0")[0] == 0 and check(chest, "INPUT.FRAME", "some")[0] == 1
