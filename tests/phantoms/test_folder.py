"""Phantom data sets on disk."""

from __future__ import annotations

import json
import multiprocessing
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from dassl.errors import UserError
from datasets.phantoms import PHANTOMS, folder, prepare, registry
from datasets.phantoms.folder import MARKER, Counts
from datasets.phantoms.registry import sample_with_lesion

FEW = Counts(train=3, val=2, test_total=9)


def tree(top: Path) -> dict[str, int]:
    """Every file below a folder with the time of its last change."""
    return {str(file.relative_to(top)): file.stat().st_mtime_ns for file in top.rglob("*") if file.is_file()}


@pytest.fixture(scope="module")
def root(tmp_path_factory) -> Path:
    top = tmp_path_factory.mktemp("phantoms")
    for key in PHANTOMS:
        prepare(key, top, progress=False, counts=FEW)
    return top


@pytest.mark.parametrize("key", PHANTOMS)
def test_folder_has_the_layout_of_the_real_data_set(root, key):
    phantom = PHANTOMS[key]
    top = root / phantom.name
    split = json.loads((top / f"split_{phantom.name}.json").read_text())
    assert list(split) == ["train", "val", "test"]
    names = list(phantom.classes)
    for part, count in FEW.per_class(len(names)).items():
        labels = [label for _, label, _ in split[part]]
        assert np.bincount(labels).tolist() == [count] * len(names)
        for path, label, classname in split[part]:
            assert classname == names[label]
            assert Path(path).parent.name == classname.replace(" ", "_")
    paths = [path for part in split.values() for path, _, _ in part]
    files = [str(f.relative_to(top / phantom.name)) for f in (top / phantom.name).glob("*/*.png")]
    assert len(set(paths)) == len(paths) and sorted(paths) == sorted(files)
    pictures = {Image.open(top / phantom.name / path).tobytes() for path in paths}
    assert len(pictures) == len(paths), "parts of the split share pictures"
    assert Image.open(top / phantom.name / paths[0]).size == (64, 64)
    readme = (top / "README.txt").read_text()
    assert "not medical images" in readme and ("mask" in readme) == bool(phantom.lesion) and phantom.lesion in readme


@pytest.mark.parametrize("key", PHANTOMS)
def test_masks_lie_beside_the_pictures_that_show_a_lesion(root, key):
    phantom = PHANTOMS[key]
    images = root / phantom.name / phantom.name
    seeds = {"train": 0, "val": 1, "test": 2}
    masks = set(images.rglob("mask/*.png"))
    assert bool(masks) == bool(phantom.lesion)
    for classname in phantom.classes:
        for path in (images / classname.replace(" ", "_")).glob("*.png"):
            part, number = path.stem.split("_")
            picture, _, lesion = sample_with_lesion(key, classname, (seeds[part], int(number)))
            assert np.array_equal(np.asarray(Image.open(path)), picture)
            mask = path.parent / "mask" / path.name
            assert mask.is_file() == lesion.any()
            if mask.is_file():
                found = Image.open(mask)
                assert found.mode == "L" and np.array_equal(np.asarray(found), lesion * np.uint8(255))
                masks.remove(mask)
    assert not masks


def test_default_counts_allow_64_shots_and_a_thousand_test_pictures():
    for phantom in PHANTOMS.values():
        counts = Counts().per_class(len(phantom.classes))
        assert counts["train"] >= 80 and counts["val"] >= 30
        assert counts["test"] * len(phantom.classes) >= 1000


def test_a_finished_folder_is_left_alone(root):
    before = tree(root / "BTMRI")
    prepare("BTMRI", root, progress=False, counts=FEW)
    assert tree(root / "BTMRI") == before


@pytest.mark.parametrize(("number", "key"), [("VERSION", "version"), ("MASKS_VERSION", "masks")])
def test_a_new_version_of_pictures_or_masks_renders_again(tmp_path, monkeypatch, number, key):
    prepare("btmri", tmp_path, progress=False, counts=FEW)
    before = tree(tmp_path / "BTMRI")
    monkeypatch.setattr(registry, number, getattr(registry, number) + 1)
    prepare("btmri", tmp_path, progress=False, counts=FEW)
    after = tree(tmp_path / "BTMRI")
    assert after.keys() == before.keys()
    assert all(after[file] != before[file] for file in before)
    assert json.loads((tmp_path / "BTMRI" / MARKER).read_text())[key] == getattr(registry, number)


def test_a_folder_of_before_there_were_masks_is_rendered_again(tmp_path):
    prepare("btmri", tmp_path, progress=False, counts=FEW)
    marker = tmp_path / "BTMRI" / MARKER
    marker.write_text(json.dumps({k: v for k, v in json.loads(marker.read_text()).items() if k != "masks"}))
    prepare("btmri", tmp_path, progress=False, counts=FEW)
    assert json.loads(marker.read_text())["masks"] == registry.MASKS_VERSION


def test_what_a_killed_process_left_is_not_taken_for_finished(tmp_path, monkeypatch):
    def killed(name, partial, counts, progress):
        render(name, partial, counts, progress)
        (partial / f"split_{name}.json").unlink()
        raise KeyboardInterrupt

    render = folder._render
    monkeypatch.setattr(folder, "_render", killed)
    with pytest.raises(KeyboardInterrupt):
        prepare("btmri", tmp_path, progress=False, counts=FEW)
    monkeypatch.undo()
    (left,) = tmp_path.glob(".BTMRI.partial-*")
    assert not (tmp_path / "BTMRI").exists()
    (left / "rubbish.png").write_text("")
    prepare("btmri", tmp_path, progress=False, counts=FEW)
    assert (tmp_path / "BTMRI" / MARKER).is_file()
    assert not (tmp_path / "BTMRI" / "rubbish.png").exists() and not left.exists()


@pytest.mark.slow
def test_two_processes_at_once_make_one_folder(tmp_path):
    context = multiprocessing.get_context("spawn")
    jobs = [context.Process(target=prepare, args=("btmri", str(tmp_path), False, FEW)) for _ in range(2)]
    for job in jobs:
        job.start()
    for job in jobs:
        job.join(600)
    assert [job.exitcode for job in jobs] == [0, 0]
    assert len(list((tmp_path / "BTMRI" / "BTMRI").glob("*/*.png"))) == 4 * sum(FEW.per_class(4).values())
    assert len([name for name in tree(tmp_path / "BTMRI") if not name.endswith(".png")]) == 3
    assert not list(tmp_path.glob(".BTMRI.partial")) and not list(tmp_path.glob(".BTMRI.old"))


def test_a_folder_that_is_not_a_phantom_is_never_touched(tmp_path):
    real = tmp_path / "BTMRI" / "precious.png"
    real.parent.mkdir()
    real.write_text("real data")
    with pytest.raises(UserError, match=r"phantom\.json"):
        prepare("BTMRI", tmp_path, progress=False, counts=FEW)
    assert real.read_text() == "real data"


def test_unknown_data_set_is_refused(tmp_path):
    with pytest.raises(ValueError, match=r"has a phantom .*MARS"):
        prepare("MARS", tmp_path, progress=False)
    assert not list(tmp_path.iterdir())
