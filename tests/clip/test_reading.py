"""The settings of reading reach the feature store, its keys, and the loaders of other trainers."""

import importlib
import inspect
import re
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from clip import FeatureStore, views
from dassl.config import get_cfg_default
from dassl.data import DatasetWrapper
from dassl.data.data_manager import build_data_loader
from dassl.data.datasets import Datum
from dassl.images import NOTES, Reading
from tests.clip.counting import CountingBackbone, Plain
from tests.toolbox.pictures import stretched

DEEP = np.random.default_rng(0).integers(200, 3000, (8, 8)).astype(np.uint16)


@pytest.fixture
def deep(tmp_path) -> list[str]:
    """Grey images of 16 bits."""
    paths = [str(tmp_path / f"{i}.png") for i in range(6)]
    for i, path in enumerate(paths):
        Image.fromarray(np.roll(DEEP, i, axis=0)).save(path)
    return paths


@pytest.fixture
def stacks(tmp_path) -> list[str]:
    """TIFFs of three pages."""
    pages = [Image.fromarray(np.roll(DEEP, i, axis=1)) for i in range(3)]
    paths = [str(tmp_path / f"{i}.tif") for i in range(6)]
    for i, path in enumerate(paths):
        page = Image.fromarray(DEEP + i)  # no two files are the same
        page.save(path, save_all=True, append_images=pages[1:])
    return paths


@pytest.mark.parametrize("workers", [0, 2])
def test_the_store_reads_as_it_is_told_and_keeps_each_way_apart(deep, tmp_path, monkeypatch, workers):
    monkeypatch.setattr("clip.features.FEW", 0)
    backbone = CountingBackbone()
    ways = [Reading(), Reading(grey_range="type"), Reading(grey_range="500:900")]
    found = [
        FeatureStore(backbone, tmp_path / "store", workers=workers, reading=way).images(deep, Plain()) for way in ways
    ]
    assert not torch.allclose(found[0], found[1]) and not torch.allclose(found[0], found[2])
    count = backbone.images_seen
    for way, features in zip(ways, found, strict=True):  # from the disk
        again = FeatureStore(backbone, tmp_path / "store", reading=way).images(deep, Plain())
        assert torch.equal(again, features) and backbone.images_seen == count == 3 * len(deep)


def line(name: str) -> str:
    return f"{NOTES[name]}.\n"


@pytest.mark.parametrize("workers", [0, 2])
def test_several_pages_are_told_once_by_every_run(stacks, deep, tmp_path, monkeypatch, capfd, workers):
    monkeypatch.setattr("clip.features.FEW", 0)
    store = FeatureStore(CountingBackbone(), tmp_path / "store", workers=workers)
    store.images(deep, Plain())
    assert "pages" not in capfd.readouterr().out
    store.images(stacks[:4], Plain())
    store.images(stacks, Plain())
    assert capfd.readouterr().out.count(line("frames")) == 1
    store = FeatureStore(CountingBackbone(), tmp_path / "store")  # another run decodes nothing, and tells all the same
    store.images(deep, Plain())
    assert "pages" not in capfd.readouterr().out
    store.images(stacks, Plain())
    assert store.backbone.images_seen == 0 and capfd.readouterr().out == line("frames")


def test_values_that_are_not_finite_are_told(tmp_path, capsys):
    values = DEEP.astype(np.float32)
    values[3, 4] = np.nan
    Image.fromarray(values).save(tmp_path / "f.tif")
    FeatureStore(CountingBackbone(), tmp_path / "store").images([str(tmp_path / "f.tif")], Plain())
    assert capsys.readouterr().out == line("holes")


@pytest.fixture
def cfg(tmp_path):
    cfg = get_cfg_default()
    cfg.OUTPUT_DIR, cfg.DATALOADER.NUM_WORKERS = str(tmp_path / "run"), 0
    return cfg


def test_loaders_of_other_trainers_read_as_they_are_told(deep, cfg):
    for grey_range, limits in (("image", ()), ("type", (0, 65535)), ("500:900", (500, 900))):
        cfg.INPUT.GREY_RANGE = grey_range
        image = DatasetWrapper(cfg, [Datum(deep[0])])[0]["img"]
        np.testing.assert_array_equal(np.asarray(image)[..., 0], stretched(DEEP, *limits))


def test_loaders_choose_pages_and_may_allow_blank_images(stacks, cfg, tmp_path):
    cfg.INPUT.FRAME = "2"
    image = DatasetWrapper(cfg, [Datum(stacks[0])])[0]["img"]
    np.testing.assert_array_equal(np.asarray(image)[..., 0], stretched(np.roll(DEEP, 2, axis=1)))
    Image.fromarray(0 * DEEP).save(tmp_path / "blank.png")
    with pytest.raises(ValueError, match="one value everywhere"):
        DatasetWrapper(cfg, [Datum(str(tmp_path / "blank.png"))])[0]
    cfg.INPUT.ALLOW_CONSTANT = True
    assert not np.asarray(DatasetWrapper(cfg, [Datum(str(tmp_path / "blank.png"))])[0]["img"]).any()


def test_settings_that_are_none_are_refused_at_once(deep, cfg):
    cfg.INPUT.GREY_RANGE = "wide"
    with pytest.raises(ValueError, match=r"INPUT\.GREY_RANGE"):
        DatasetWrapper(cfg, [Datum(deep[0])])


@pytest.mark.parametrize("workers", [0, 2])
def test_loaders_tell_once_a_run_whichever_process_reads(stacks, cfg, capfd, workers):
    cfg.DATALOADER.NUM_WORKERS = workers
    for _ in range(2):  # of training and of test images
        loader = build_data_loader(
            cfg, data_source=[Datum(p) for p in stacks], batch_size=1, tfm=lambda _: torch.ones(1)
        )
        for _ in range(2):
            assert len(list(loader)) == 6
    assert capfd.readouterr().out.count(line("frames")) == 1


def test_the_key_covers_every_module_of_the_reader(tmp_path, monkeypatch):
    keys = []
    for name, value in (("one", 8), ("same", 8), ("edited", 16)):
        folder = tmp_path / name
        folder.mkdir()
        (folder / "__init__.py").write_text("")
        (folder / "reader.py").write_text("from .depth import DEPTH\n\n\ndef read(path, reading):\n    return DEPTH\n")
        (folder / "depth.py").write_text(f"DEPTH = {value}\n")
        monkeypatch.syspath_prepend(tmp_path)
        monkeypatch.setattr(views, "read_image", importlib.import_module(f"{name}.reader").read)
        keys.append(views.decoding_digest())
    assert keys[0] == keys[1] != keys[2]
    monkeypatch.undo()
    assert all(name in _modules(views.read_image) for name in ("read", "tiff", "dicom", "values", "pillow", "netpbm"))


def _modules(reader) -> set[str]:
    return {path.stem for path in Path(inspect.getfile(reader)).parent.glob("*.py")}


def test_notes_are_sentences_without_their_full_stop():
    assert all(re.fullmatch(r"[A-Z].*[a-z)]", words) for words in NOTES.values())
