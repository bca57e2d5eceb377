"""The feature store computes each feature once, in full batches, and writes them in blocks."""

import re
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image

from clip import FeatureStore, encoding, features
from tests.clip.counting import CountingBackbone
from tests.tiny_backbone import TinyBackbone


class Pixels:
    """The pixels of an image plus one random number of at most `noise`."""

    def __init__(self, noise: float = 0.0):
        self.noise = noise

    def __repr__(self) -> str:
        return f"Pixels({self.noise})"

    def __call__(self, image):
        pixels = torch.tensor(np.asarray(image.convert("RGB")), dtype=torch.float32).permute(2, 0, 1) / 255
        return pixels + self.noise * torch.rand(1)


def test_a_cpu_encodes_few_images_at_once_and_a_gpu_many(tmp_path):
    store = FeatureStore(CountingBackbone(), tmp_path)
    assert (store.batch_size, store.workers, store.root) == (4, 0, tmp_path)
    gpu = SimpleNamespace(name="a model", device=torch.device("cuda"), fingerprint=lambda: "0123")
    assert FeatureStore(gpu, tmp_path).batch_size == 64
    assert FeatureStore(gpu, tmp_path, batch_size=3).batch_size == 3
    assert FeatureStore(gpu, tmp_path, workers=5).workers == 5
    assert FeatureStore(gpu, tmp_path).folder == tmp_path / "0123"


def test_the_folder_is_the_one_named_or_the_environments(tmp_path, monkeypatch):
    monkeypatch.setenv("VMFCOOP_CACHE", str(tmp_path / "cache"))
    assert FeatureStore(CountingBackbone()).root == tmp_path / "cache"
    monkeypatch.setenv("HOME", str(tmp_path))
    assert FeatureStore(CountingBackbone(), "~/mine").root == tmp_path / "mine"


def test_features_are_float32_rows_in_the_order_of_the_paths(store, files):
    found = store.images([files[3], files[1], files[3]], Pixels())
    pixels = torch.stack([Pixels()(Image.open(path)) for path in (files[3], files[1], files[3])])
    assert found.shape == (3, 16) and found.dtype == torch.float32 and found.device.type == "cpu"
    assert torch.allclose(found, TinyBackbone().encode_image(pixels), atol=1e-6)
    assert store.backbone.images_seen == 2  # one of them came twice


def test_images_are_encoded_in_full_batches_and_equal_contents_once(store, files):
    twin = Path(files[0]).with_name("twin.png")
    twin.write_bytes(Path(files[0]).read_bytes())
    store.images([*files, str(twin)], Pixels())
    assert store.backbone.images == [4, 4, 1]
    store.images([*files, str(twin)], Pixels())
    assert store.backbone.images == [4, 4, 1]


def test_views_are_told_apart_from_each_other_and_from_none(store, files):
    crop = Pixels(noise=0.5)
    keys = [None, 0, 1, 2, 255, 256, 257, 65536, 16777216]
    each = {view: store.images(files[:1], crop, view) for view in keys if view is not None}
    assert store.backbone.images_seen == 8 == len({tuple(row[0].tolist()) for row in each.values()})
    store.images(files[:1], crop)
    assert store.backbone.images_seen == 9
    again = store.images(files[:1] * 8, crop, list(each))
    assert store.backbone.images_seen == 9 and torch.equal(again, torch.cat(list(each.values())))


def test_one_view_for_all_or_one_for_each(store, files):
    crop = Pixels(noise=0.5)
    same = store.images(files[:2], crop, 3)
    assert torch.equal(store.images(files[:2], crop, (3, 3)), same)
    mixed = store.images([files[0], files[1], files[0]], crop, [3, 4, 5])
    assert torch.equal(mixed[0], same[0]) and not torch.allclose(mixed[1], same[1], atol=1e-4)
    assert store.backbone.images_seen == 4
    with pytest.raises(ValueError, match="zip"):
        store.images(files[:2], crop, [1])
    with pytest.raises(ValueError, match="zip"):
        store.images(files[:2], crop, [1, 2, 3])


def test_another_transform_is_another_feature(store, files):
    plain = store.images(files[:2], Pixels(0.0), 1)
    assert not torch.allclose(store.images(files[:2], Pixels(2.0), 1), plain, atol=1e-3)
    assert torch.equal(store.images(files[:2], Pixels(0.0), 1), plain)


def test_what_was_encoded_before_a_failure_is_kept(store, files, monkeypatch):
    monkeypatch.setattr(features, "KEEP_EVERY", 4)
    real = store.backbone.encode_image

    def fails(images):
        if store.backbone.images_seen >= 8:
            raise RuntimeError("out of memory")
        return real(images)

    monkeypatch.setattr(store.backbone, "encode_image", fails)
    with pytest.raises(RuntimeError, match="out of memory"):
        store.images(files, Pixels())
    monkeypatch.undo()
    found = FeatureStore(store.backbone, store.root, batch_size=4).images(files, Pixels())
    assert store.backbone.images == [4, 4, 1]
    assert torch.allclose(found, FeatureStore(CountingBackbone(), store.root / "b").images(files, Pixels()), atol=1e-6)


@pytest.mark.parametrize(("keep", "writes"), [(4, [4, 4, 1]), (5, [8, 1]), (8, [8, 1]), (512, [9])])
def test_rows_are_written_when_there_are_enough_and_at_the_end(store, files, monkeypatch, keep, writes):
    monkeypatch.setattr(features, "KEEP_EVERY", keep)
    store.images(files[:1], Pixels(1.0), 0)  # so that the table of these is another
    table = store._table("spied")
    put, sizes = type(table).put, []
    monkeypatch.setattr(type(table), "put", lambda self, keys, rows: sizes.append(len(keys)) or put(self, keys, rows))
    store.images(files, Pixels())
    assert sizes == writes


def test_many_images_are_decoded_by_workers_and_few_are_not(store, files, monkeypatch):
    real = torch.utils.data.DataLoader.__init__

    def refused(self, *args, **kwargs):
        if kwargs.get("num_workers"):
            raise RuntimeError(f"asked for {kwargs['num_workers']} processes")
        real(self, *args, **kwargs)

    monkeypatch.setattr(torch.utils.data.DataLoader, "__init__", refused)
    monkeypatch.setattr(features, "FEW", 4)
    store.workers = 2
    store.images(files[:4], Pixels())
    with pytest.raises(RuntimeError, match="asked for 2 processes"):
        store.images(files[:3] * 2, Pixels(0.1), [0] * 3 + [1] * 3)  # six images of three files


def test_what_a_worker_decodes_is_encoded_in_full_batches(store, files, monkeypatch):
    monkeypatch.setattr(features, "FEW", 0)
    store.workers = 1
    found = store.images(files, Pixels())
    assert store.backbone.images == [4, 4, 1]
    assert torch.allclose(found, FeatureStore(CountingBackbone(), store.root / "b").images(files, Pixels()), atol=1e-6)


@pytest.mark.parametrize(("worth", "seconds", "told"), [(5, 4.0, False), (5, 6.0, True), (9, 9.0, False)])
def test_long_encoding_is_worth_a_line(store, files, monkeypatch, capsys, worth, seconds, told):
    assert features.WORTH_A_LINE == 5
    clock, real = [100.0], store.backbone.encode_image

    def slow(images):
        clock[0] += seconds * len(images) / 9
        return real(images)

    monkeypatch.setattr(features, "WORTH_A_LINE", worth)
    monkeypatch.setattr(store.backbone, "encode_image", slow)
    monkeypatch.setattr(encoding.time, "monotonic", lambda: clock[0])
    store.images(files, Pixels())
    line = "Encoded 9 images of 9 files in 6 s, 0% waiting\n" if told else ""
    assert capsys.readouterr().out == line


def test_texts_are_encoded_once_in_the_order_they_are_asked_for(store):
    first = store.texts(["a lung", "a brain", "a lung"])
    assert store.backbone.texts == [["a lung", "a brain"]]
    assert torch.equal(first[0], first[2]) and not torch.allclose(first[0], first[1], atol=1e-3)
    assert torch.allclose(first, TinyBackbone().encode_text(["a lung", "a brain", "a lung"]), atol=1e-6)
    again = FeatureStore(store.backbone, store.root).texts(["a kidney", "a brain"])
    assert store.backbone.texts[1:] == [["a kidney"]]
    assert torch.equal(again[1], first[1]) and again.dtype == torch.float32 and again.shape == (2, 16)
    store.texts(["a lung"])
    assert len(store.backbone.texts) == 2


def test_the_vocabulary_is_encoded_once_and_not_kept_in_memory(store, monkeypatch):
    expected = TinyBackbone().encode_vocabulary()
    assert torch.allclose(store.vocabulary(), expected, atol=1e-6) and not store.tables
    monkeypatch.setattr(store.backbone, "encode_vocabulary", None)  # not called again
    again = FeatureStore(store.backbone, store.root).vocabulary()
    assert torch.allclose(again, expected, atol=1e-6) and again.dtype == torch.float32


def test_a_vocabulary_of_which_a_part_is_there_is_made_anew(store, monkeypatch):
    monkeypatch.setattr(store.backbone, "vocabulary_ids", lambda: torch.arange(4, 40))
    store.vocabulary()
    monkeypatch.undo()
    assert torch.allclose(store.vocabulary(), TinyBackbone().encode_vocabulary(), atol=1e-6)


def test_a_table_is_opened_once(store, files):
    store.images(files[:1], Pixels())
    (table,) = store.tables.values()
    store.images(files[1:2], Pixels())
    assert list(store.tables.values()) == [table]
    store.texts(["a lung"])
    assert len(store.tables) == 2
    store.vocabulary()
    note, images, *others = sorted(path.name for path in store.folder.iterdir())
    assert note == "backbone.txt" and re.fullmatch("images-[0-9a-f]{16}", images) and others == ["texts", "vocabulary"]
