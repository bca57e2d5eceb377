"""A user's own images through whole runs: a folder, a table, patients; and what their logs say."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import train
from tests.run_folders import record, run_folder

NO_EPOCHS = ("OPTIM.MAX_EPOCH", 0)
ROOT = Path(train.__file__).parent


def pixels(seed: int, label: int) -> np.ndarray:
    return (np.random.default_rng(seed).integers(0, 120, (64, 64, 3)) + 100 * label).astype(np.uint8)


@pytest.fixture
def chest(tmp_path) -> Path:
    """Eight patients with two images each, two classes, one folder per class."""
    root = tmp_path / "chest"
    for label, name in enumerate(("normal", "lung cancer")):
        (root / name).mkdir(parents=True)
        for i in range(16):
            Image.fromarray(pixels(100 * label + i, label)).save(root / name / f"P{label}{i // 2}_{i}.png")
    return root


@pytest.fixture
def scans(tmp_path, chest) -> Path:
    """The same as a table, with the images in one folder."""
    root = tmp_path / "scans"
    (root / "all").mkdir(parents=True)
    rows = ["patient;image;diagnosis"]
    for path in sorted(chest.rglob("*.png")):
        path.rename(root / "all" / path.name)
        rows.append(f"{path.name.split('_')[0]};{path.stem};{path.parent.name}")
    (root / "labels.csv").write_text("\r\n".join(rows), encoding="utf-8-sig")
    return root


@pytest.mark.parametrize("trainer", ["ZeroshotCLIP", "CoOp"])
def test_a_table_is_run_and_its_patients_scored(scans, flags, tmp_path, trainer, capsys):
    line = flags(trainer, *(NO_EPOCHS if trainer == "ZeroshotCLIP" else ()), root=scans, dataset="table")
    assert train.main(line) == 0
    folder = run_folder(tmp_path, trainer, dataset="table-scans")
    found, log = record(folder), (folder / "log.txt").read_text()
    assert found["dataset"] == "TableDataset" and set(found["metrics"]["per_class"]) == {"lung cancer", "normal"}
    assert 0 <= found["metrics"]["group_accuracy"] <= 100
    for told in (
        "Table labels.csv, 32 rows: images in image; classes in diagnosis; patients in patient",
        "Images for training/validation/test: lung cancer 8/4/4, normal 8/4/4",
        "Groups (patients) tested: 4, each by the mean probability of its images",
        f"* group_accuracy: {found['metrics']['group_accuracy']:.2f}%",
    ):
        assert told in log, told
    capsys.readouterr()
    assert train.main(line) == 0 and "Finished already" in capsys.readouterr().out
    (scans / "split_TableDataset.json").unlink()
    (scans / "labels.csv").write_text((scans / "labels.csv").read_text("utf-8-sig").replace("patient;", "visit;"))
    assert train.main(line) == 1 and "other entries of the split" in capsys.readouterr().err


def test_without_patients_no_accuracy_of_them_is_told(chest, flags, tmp_path):
    assert train.main(flags("ZeroshotCLIP", *NO_EPOCHS, root=chest, dataset="folder")) == 0
    folder = run_folder(tmp_path, "ZeroshotCLIP", dataset="folder-chest")
    assert (
        "group_accuracy" not in record(folder)["metrics"]
        and "Groups (patients)" not in (folder / "log.txt").read_text()
    )


def test_where_files_come_from_is_no_setting_of_a_run(chest, flags, capsys):
    """Keys that say which images there are: the digest of the split says it."""
    line = flags("ZeroshotCLIP", *NO_EPOCHS, root=chest, dataset="folder")
    assert train.main(line) == 0
    assert train.main([*line, "DATASET.LINKS", "anywhere", "DATASET.LEAKS", "error", "DATASET.NESTED", "True"]) == 0
    assert "Finished already" in capsys.readouterr().out
    (chest / "split_FolderDataset.json").unlink()
    assert train.main([*line, "DATASET.GROUP_PATTERN", "/(P[0-9]+)_"]) == 1
    assert "other entries of the split" in capsys.readouterr().err


@pytest.mark.parametrize("kind", ["byte for byte", "pixel for pixel"])
def test_copies_of_training_images_among_the_test_images_are_warned_of(chest, flags, tmp_path, capsys, kind):
    for part in ("train", "test"):
        for name in ("normal", "lung cancer"):
            (chest / part / name).mkdir(parents=True)
            for path in sorted((chest / name).glob("*.png"))[:4]:
                if part == "test" and kind == "pixel for pixel":
                    Image.open(path).save(chest / part / name / f"{path.stem}.bmp")
                else:
                    (chest / part / name / path.name).write_bytes(path.read_bytes())
    for name in ("normal", "lung cancer"):
        (chest / name).rename(tmp_path / name)
    line = flags("TipAdapter", *NO_EPOCHS, root=chest, dataset="folder", shots=4)
    assert train.main([*line, "DATASET.LEAKS", "error"]) == 1
    assert f"8 test images are identical ({kind}) to training images" in capsys.readouterr().err
    assert train.main(line) == 0
    log = (run_folder(tmp_path, "TipAdapter", dataset="folder-chest", shots=4) / "log.txt").read_text()
    assert f"WARNING: 8 test images are identical ({kind}) to training images; the first is " in log
    assert log.count("WARNING: ") == 1


def test_a_name_that_is_no_utf_8_is_used_and_shown_escaped(chest, flags, tmp_path):
    (chest / "normal" / "P00_0.png").rename(chest / "normal" / os.fsdecode(b"caf\xe9.png"))
    for _ in range(2):
        assert train.main(flags("ZeroshotCLIP", *NO_EPOCHS, root=chest, dataset="folder")) == 0
    again = flags("ZeroshotCLIP", *NO_EPOCHS, root=chest, dataset="folder", output=tmp_path / "again")
    assert train.main(again) == 0, "from the division that was kept"


def write_dicom(path: Path, grey: np.ndarray) -> None:
    from pydicom.dataset import FileDataset, FileMetaDataset
    from pydicom.uid import ExplicitVRLittleEndian

    meta = FileMetaDataset()
    meta.TransferSyntaxUID, meta.MediaStorageSOPInstanceUID = ExplicitVRLittleEndian, "1.2.3"
    meta.MediaStorageSOPClassUID = "1.2.840.10008.5.1.4.1.1.7"
    data = FileDataset(str(path), {}, file_meta=meta, preamble=b"\0" * 128)
    data.Rows, data.Columns = grey.shape
    data.SamplesPerPixel, data.PhotometricInterpretation, data.PixelRepresentation = 1, "MONOCHROME2", 0
    data.BitsAllocated, data.BitsStored, data.HighBit = 16, 12, 11
    data.PixelData = grey.astype(np.uint16).tobytes()
    data.save_as(path, enforce_file_format=True)


def as_dicom(root: Path) -> Path:
    """Every PNG below `root` as DICOM, half of them without a suffix."""
    for i, path in enumerate(sorted(root.rglob("*.png"))):
        write_dicom(path.with_suffix(".dcm" if i % 2 else ""), np.asarray(Image.open(path).convert("L")) * 16)
        path.unlink()
    return root


@pytest.mark.parametrize("kind", ["folder", "table", "dicom"])
@pytest.mark.slow
def test_the_scripts_run_ones_own_images(chest, request, tmp_path, kind):
    if kind == "dicom":
        pytest.importorskip("pydicom")
    root = {
        "folder": lambda: chest,
        "table": lambda: request.getfixturevalue("scans"),
        "dicom": lambda: as_dicom(chest),
    }
    data, dataset = root[kind](), "table" if kind == "table" else "folder"
    surroundings = os.environ | {
        "NO_VENV": "1",
        "DATA": str(data),
        "OUTPUT": str(tmp_path / "out"),
        "VMFCOOP_CACHE": str(tmp_path / "cache"),
        "OPTS": "DATALOADER.NUM_WORKERS 0",
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "PYTHONPATH": os.pathsep.join([str(ROOT / "toolbox"), os.environ.get("PYTHONPATH", "")]),
    }
    done = subprocess.run(
        ["bash", str(ROOT / "scripts" / "few_shot.sh"), "zeroshot", dataset, "2", "PhantomCLIP"],
        env=surroundings,
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    found = record(run_folder(tmp_path / "out", "ZeroshotCLIP", dataset=f"{dataset}-{data.name}"))
    assert found["total"] == 8 + 2 * (dataset == "folder") and set(found["metrics"]["per_class"]) == {
        "lung cancer",
        "normal",
    }
