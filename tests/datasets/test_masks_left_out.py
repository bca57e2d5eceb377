"""Masks beside a user's images are never taken for images, and that they are left out is said."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from datasets.check.__main__ import main
from datasets.folder import FolderDataset
from datasets.table import TableDataset
from tests.datasets.layout import lay_out, load


def fill(folder: Path, count: int = 10) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for i in range(count):
        (folder / f"{folder.name}{i}.png").touch()


def folders_of(data) -> dict[str, int]:
    """The number of images that are read in each folder below the root."""
    paths = [Path(item.impath).relative_to(data.folder).parent for item in [*data.train_x, *data.val, *data.test]]
    return {path.as_posix(): paths.count(path) for path in paths}


@pytest.mark.parametrize("nested", [False, True])
def test_masks_beside_the_images_of_a_class(tmp_path, capsys, nested):
    for place in ("a", "b", "a/mask", "b/patient/mask"):
        fill(tmp_path / place)
    assert folders_of(load(tmp_path, FolderDataset, NESTED=nested)) == {"a": 10, "b": 10}
    out = capsys.readouterr().out
    assert '1 folders of masks ("mask") in a' in out
    assert ('1 folders of masks ("mask") in b' if nested else '1 folders ("patient") in b') in out


def test_masks_of_images_that_lie_in_folders_of_their_class(tmp_path, capsys):
    for place in ("a/patient", "b/patient", "a/mask/patient", "b/mask/patient"):
        fill(tmp_path / place)
    assert folders_of(load(tmp_path, FolderDataset, NESTED=True)) == {"a/patient": 10, "b/patient": 10}
    assert 'Left out: 1 folders of masks ("mask") in a; 1 folders of masks ("mask") in b' in capsys.readouterr().out


def test_a_class_may_be_called_mask(tmp_path):
    for place in ("mask", "no_mask"):
        fill(tmp_path / place)
    data = load(tmp_path, FolderDataset)
    assert data.classnames == ["mask", "no mask"] and folders_of(data) == {"mask": 10, "no_mask": 10}


def test_a_class_of_masks_alone_has_no_images(tmp_path, capsys):
    for place in ("a", "b", "c/mask"):
        fill(tmp_path / place)
    assert load(tmp_path, FolderDataset).classnames == ["a", "b"]
    assert 'folder without images ("c")' in capsys.readouterr().out


def test_names_in_a_table_mean_the_image_and_not_its_mask(tmp_path, capsys):
    for place in ("img", "img/mask"):
        fill(tmp_path / place)
    for i in range(10):
        (tmp_path / "img" / "mask" / f"mask{i}.png").rename(tmp_path / "img" / "mask" / f"img{i}.png")
    (tmp_path / "labels.csv").write_text("image,label\n" + "".join(f"img{i},{'ab'[i % 2]}\n" for i in range(10)))
    assert folders_of(load(tmp_path, TableDataset)) == {"img": 10}
    assert 'Left out: 1 folders of masks ("mask")\n' in capsys.readouterr().out


def test_a_table_may_list_images_in_a_folder_called_mask_that_has_none_beside_it(tmp_path):
    for place in ("img/mask", "img/no_mask"):
        fill(tmp_path / place)
    paths = [path.relative_to(tmp_path) for path in sorted((tmp_path / "img").rglob("*.png"))]
    rows = [f"{path.as_posix()},{path.parent.name}\n" for path in paths]
    (tmp_path / "labels.csv").write_text("image,label\n" + "".join(rows))
    assert folders_of(load(tmp_path, TableDataset)) == {"img/mask": 10, "img/no_mask": 10}


def test_the_check_of_a_folder_leaves_masks_out(tmp_path, capsys):
    split = lay_out(tmp_path)
    for i, path in enumerate(sorted((split.parent / "BTMRI").rglob("*.png"))):
        for place in (path, path.parent / "mask" / path.name):
            place.parent.mkdir(exist_ok=True)
            Image.fromarray(np.random.default_rng(i).integers(0, 250, (8, 9, 3)).astype(np.uint8)).save(place)
    assert main([str(tmp_path), "--dataset", "btmri"]) == 0
    assert "split_BTMRI.json does not list: 0" in capsys.readouterr().out
    assert main([str(split.parent / "BTMRI")]) == 0
    out = capsys.readouterr().out
    assert '1 folders of masks ("mask") in normal_brain' in out and "No image is there twice" in out
