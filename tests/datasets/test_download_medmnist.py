"""Download MedMNIST's data sets by name, with a stand-in for its package that knows small ones."""

import hashlib
import io
import json
import pickle
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from datasets.dermamnist import DermaMNIST
from datasets.download import from_medmnist
from datasets.folder import FolderDataset
from tests.datasets.archives import Files, run, said
from tests.datasets.layout import load

CLASSES = ["adipose", "cancer-associated stroma", "granulocytes(myelocytes, and more)", "normal/benign"]
COUNTS = {"train": 12, "val": 8, "test": 8}


def arrays(classes: int, size: int, channels: int, counts: dict[str, int]) -> dict[str, np.ndarray]:
    """Return random pictures, with the labels 0, 1, ..., 0, 1, ... in turn."""
    noise, found = np.random.default_rng(0), {}
    for part, count in counts.items():
        shape = (count, size, size) if channels == 1 else (count, size, size, channels)
        found[f"{part}_images"] = noise.integers(0, 255, shape, np.uint8)
        found[f"{part}_labels"] = (np.arange(count)[:, None] % classes).astype(np.uint8)
    return found


def npz(content: dict[str, np.ndarray]) -> bytes:
    body = io.BytesIO()
    np.savez_compressed(body, **content)
    return body.getvalue()


class Package:
    """Stands for `medmnist`: INFO with the package's own keys, and the server that its addresses lead to."""

    def __init__(self, files: Files):
        self.files, self.INFO = files, {}
        self.know("pathmnist", 3)
        self.know("chestmnist", 1, task="multi-label, binary-class")
        self.know("organmnist3d", 1, sizes=(28, 64))

    def know(self, name, channels, classes=CLASSES, counts=COUNTS, task="multi-class", sizes=(28, 64, 128, 224)):
        self.INFO[name] = {
            "python_class": name,
            "task": task,
            "label": {str(i): label for i, label in enumerate(classes)},
            "n_channels": channels,
            "n_samples": counts,
            "license": "CC BY 4.0",
        }
        for size in sizes:
            self.INFO[name][f"url_{size}" if size > 28 else "url"] = self.files.url + f"?{name}{size}"

    def serve(self, name: str, size: int = 224, **changes: np.ndarray) -> dict[str, np.ndarray]:
        info = self.INFO[name]
        found = arrays(len(info["label"]), size, info["n_channels"], info["n_samples"])
        self.files.content = npz(found | changes)
        self.INFO[name][f"MD5_{size}" if size > 28 else "MD5"] = hashlib.md5(self.files.content).hexdigest()
        return found


@pytest.fixture
def package(files, monkeypatch) -> Package:
    package = Package(files)
    monkeypatch.setitem(sys.modules, "medmnist", package)
    return package


def folder(path: Path) -> FolderDataset:
    return load(path, FolderDataset)


@pytest.mark.parametrize(("size", "channels", "home"), [(224, 3, "pathmnist"), (64, 1, "mine_64"), (28, 3, "mine_28")])
def test_any_data_set_becomes_a_folder_that_a_run_reads(package, root, capsys, size, channels, home):
    name = home.partition("_")[0]
    package.know(name, channels)
    made = package.serve(name, size)
    package.files.script = [{"cut": 2000}]
    assert run(root, name, "--medmnist", "--size", str(size)) == 0
    told = capsys.readouterr().out
    assert "Licence of the images: CC BY 4.0." in told
    assert f"DATA={root / home} bash scripts/vmfcoop/few_shot.sh folder 16" in told
    data = folder(root / home)
    assert data.classnames == [
        "adipose",
        "cancer-associated stroma",
        "granulocytes(myelocytes, and more)",
        "normal-benign",
    ]
    assert data.key == home
    for part, items in (("train", data.train_x), ("val", data.val), ("test", data.test)):
        assert len(items) == COUNTS[part]
        for item in items:
            number = int(Path(item.impath).stem)
            assert item.label == made[f"{part}_labels"][number, 0]
            assert np.array_equal(np.asarray(Image.open(item.impath)), made[f"{part}_images"][number])
    record = json.loads((root / home / "download.json").read_text())
    assert record["sha256"] == hashlib.sha256(package.files.content).hexdigest()
    asked = len(package.files.ranges)
    assert run(root, name, "--medmnist", "--size", str(size)) == 0 and len(package.files.ranges) == asked
    next((root / home / "val").rglob("*.png")).unlink()
    assert run(root, name, "--medmnist", "--size", str(size)) == 1
    assert f"Expected 8 images in {root / home / 'val'}, but found 7" in said(capsys)


def test_several_at_once_the_ones_that_cannot_be_had_are_named(package, root, capsys):
    package.serve("pathmnist")
    assert run(root, "chestmnist", "pathmnist", "organmnist3d", "nothing", "btmri", "--medmnist") == 1
    lines = [line for line in capsys.readouterr().err.splitlines() if line.startswith("error: ")]
    assert [line.partition(":")[2].partition(":")[0] for line in lines] == [
        " Expected pictures that show one class each, but chestmnist has several labels to a picture",
        " Expected pictures that show one class each, but organmnist3d has volumes (3-D)",
        " Expected one of pathmnist for --medmnist, but got nothing",
        " Expected one of pathmnist for --medmnist, but got btmri",
    ]
    assert len(folder(root / "pathmnist").test) == 8


def test_classes_that_are_numbers_are_told(package, root, capsys):
    package.know("retinamnist", 3, classes=["0", "1", "2", "3"], task="ordinal-regression")
    package.serve("retinamnist")
    assert run(root, "retinamnist", "--medmnist") == 0
    assert "MedMNIST calls its classes 0, 1, 2, 3" in capsys.readouterr().out
    assert folder(root / "retinamnist").classnames == ["0", "1", "2", "3"]


def test_dermamnist_is_called_as_in_biomedcoop(package, root):
    package.know("dermamnist", 3, classes=list("abcdefg"), counts={"train": 14, "val": 7, "test": 7})
    made = package.serve("dermamnist")
    assert run(root, "dermamnist", "--medmnist") == 0
    data = load(root, DermaMNIST)
    assert [len(part) for part in (data.train_x, data.val, data.test)] == [14, 7, 7]
    item = data.train_x[8]
    assert item.impath.endswith("DermaMNIST/DermaMNIST/basal_cell_carcinoma/train8_1.png")
    assert (item.label, item.classname) == (1, "basal cell carcinoma")
    assert np.array_equal(np.asarray(Image.open(item.impath)), made["train_images"][8])
    record = json.loads((root / "DermaMNIST" / "download.json").read_text())
    assert record["source"].startswith(package.files.url) and record["file"] == "dermamnist_224.npz"


def test_sizes_that_there_are_not(package, root, capsys):
    package.know("dermamnist", 3)
    assert run(root, "dermamnist", "--medmnist", "--size", "64") == 1
    assert "Expected --size 224 for dermamnist" in said(capsys)
    package.know("pathmnist", 3, sizes=(28,))
    assert run(root, "pathmnist", "--medmnist") == 1
    assert "Expected pathmnist of 224 x 224 pixels, but MedMNIST has none" in said(capsys)
    with pytest.raises(SystemExit):
        run(root, "pathmnist", "--medmnist", "--size", "100")


def test_another_sum_than_the_package_has(package, root, capsys):
    package.serve("pathmnist")
    package.INFO["pathmnist"]["MD5_224"] = "0" * 32
    assert run(root, "pathmnist", "--medmnist") == 1
    assert f"Expected the MD5 {'0' * 32} of {root / 'pathmnist_224.npz'}" in said(capsys)
    assert not (root / "pathmnist").exists()


def test_no_sum_is_told(package, root, capsys):
    package.serve("pathmnist")
    del package.INFO["pathmnist"]["MD5_224"]
    assert run(root, "pathmnist", "--medmnist") == 0
    assert "pathmnist_224.npz is not checked" in capsys.readouterr().out


class Harm:
    """Leaves a trace if it is unpickled."""

    def __reduce__(self):
        return Path.touch, (Path("unpickled"),)


SOUND = arrays(4, 224, 3, COUNTS)


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"train_images": np.zeros((12, 28, 28, 3), np.uint8)}, "train_images has shape (12, 28, 28, 3)"),
        ({"val_images": np.zeros((10**5, 224, 224, 3), np.uint8)[:0]}, "val_images has shape (0, 224, 224, 3)"),
        ({"test_images": SOUND["test_images"].astype(np.float32)}, "type float32"),
        ({"test_images": SOUND["test_images"].astype(np.uint16)}, "test_images is of uint16"),
        ({"train_images": np.asfortranarray(SOUND["train_images"])}, "train_images has shape"),
        ({"train_labels": np.array([Harm()] * 12, object)[:, None]}, "type object"),
        ({"train_labels": np.full((12, 1), 4, np.uint8)}, "train_labels has 4, which is none of 4 classes"),
        ({"train_labels": np.full((12, 1), -1)}, "train_labels has -1, which is none of 4 classes"),
        ({"train_labels": np.zeros((12, 4), np.uint8)}, "train_labels has shape (12, 4)"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_arrays_that_are_others(package, root, tmp_path, monkeypatch, capsys, changes, why):
    monkeypatch.chdir(tmp_path)
    package.serve("pathmnist", **changes)
    assert run(root, "pathmnist", "--medmnist") == 1
    text = said(capsys)
    assert f"Expected the arrays of MedMNIST in {root / 'pathmnist_224.npz'}, but: " in text and why in text
    assert not (root / "pathmnist").exists() and not list(root.glob(".*unpacking"))
    assert not (tmp_path / "unpickled").exists()


@pytest.mark.parametrize("harm", ["no zip", "cut short", "a changed byte", "an array that is missing", "a pickle"])
def test_files_that_are_none(package, root, capsys, harm):
    made = package.serve("pathmnist")
    content = bytearray(package.files.content)
    if harm == "a changed byte":
        content[len(content) // 2] ^= 255
    elif harm == "cut short":
        del content[1000:2000]
    elif harm == "an array that is missing":
        content = npz({key: made[key] for key in list(made)[:4]})
    else:
        content = b"Rar!" * 99 if harm == "no zip" else pickle.dumps(Harm())
    del package.INFO["pathmnist"]["MD5_224"]
    root.mkdir()
    (root / "pathmnist_224.npz").write_bytes(content)
    assert run(root, "pathmnist", "--medmnist") == 1
    assert f"Expected the arrays of MedMNIST in {root / 'pathmnist_224.npz'}, but: " in said(capsys)
    assert not (root / "pathmnist").exists() and not Path("unpickled").exists()


def test_no_more_is_brought_than_the_pictures_can_take(package, root, capsys):
    package.know("pathmnist", 3, counts=dict.fromkeys(COUNTS, 4))
    package.files.content = bytes(30_000_000)
    assert run(root, "pathmnist", "--medmnist") == 1
    assert "are the most that it may have" in said(capsys)
    assert not (root / "pathmnist_224.npz").exists()


@pytest.mark.parametrize("label", ["../evil", "..", "/etc/passwd", "a\\b", "x\x1b[2J", "", "." * 3, 7, None])
def test_no_class_name_of_the_package_leads_elsewhere(package, root, tmp_path, capsys, label):
    package.know("pathmnist", 3, classes=[*CLASSES[:3], label])
    package.serve("pathmnist")
    status = run(root, "pathmnist", "--medmnist")
    assert status == 1 or {path.name for path in (root / "pathmnist" / "train").iterdir()} >= {"adipose"}
    assert {path.name for path in tmp_path.iterdir()} == {"source", "data"}
    assert not [path for path in root.iterdir() if "evil" in path.name or "etc" in path.name]


def test_no_medmnist(files, root, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "medmnist", None)
    assert run(root, "octmnist", "--medmnist") == 1
    assert "pip install 'medmnist>=3.0'" in said(capsys)


def test_the_package_itself():
    """Its keys are those that are read here, and every data set of pictures with one class each is taken."""
    info = pytest.importorskip("medmnist").INFO
    for name, entry in info.items():
        usable = not name.endswith("3d") and "multi-label" not in entry["task"]
        assert bool(from_medmnist._why_not(name, entry)) != usable
        if usable:
            assert len(from_medmnist.classes_of(name, entry)) == len(entry["label"])
            for size in from_medmnist.SIZES:
                key = "" if size == 28 else f"_{size}"
                assert entry[f"url{key}"].startswith("https://") and len(entry[f"MD5{key}"]) == 32
