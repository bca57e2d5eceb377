"""Stored features equal computed ones, in any order, from any process, and after any failure."""

import errno
import os
import random
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from clip import FeatureStore, features
from dassl.errors import UserError
from tests.clip.counting import CountingBackbone, Noise, Plain


def test_stored_equals_computed_and_is_computed_once(files, tmp_path):
    backbone = CountingBackbone()
    expected = torch.cat([backbone.encode_image(Plain()(Image.open(p))[None]) for p in files])
    backbone.images.clear()
    store = FeatureStore(backbone, tmp_path / "store", batch_size=5)
    assert torch.allclose(store.images(files, Plain()), expected, atol=1e-6)
    assert backbone.images_seen == 9
    again = FeatureStore(backbone, tmp_path / "store").images([*files[::-1], files[3]], Plain())
    assert torch.equal(again, store.images(files, Plain())[[*range(8, -1, -1), 3]])
    assert backbone.images_seen == 9


def test_time_is_counted_for_what_is_not_in_the_store_alone(files, tmp_path, monkeypatch):
    now = [0.0]
    monkeypatch.setattr(features.time, "monotonic", lambda: now[0])
    store = FeatureStore(backbone := CountingBackbone(), tmp_path / "store")

    def slow(encode):
        def wrapped(*args):
            now[0] += 2.0
            return encode(*args)

        return wrapped

    for name in ("encode_image", "encode_text", "encode_vocabulary"):
        monkeypatch.setattr(backbone, name, slow(getattr(backbone, name)))
    spent = []
    for _ in range(2):
        for ask in (lambda: store.images(files[:1], Plain()), lambda: store.texts(["a"]), store.vocabulary):
            ask()
            spent.append(store.seconds)
    assert spent == [2.0, 4.0, 6.0, 6.0, 6.0, 6.0]


def test_views_follow_from_content_and_number_alone(files, tmp_path):
    first = FeatureStore(CountingBackbone(), tmp_path / "a", batch_size=3).images(files, Noise(), 5)
    random.seed(9), np.random.seed(9), torch.manual_seed(9)
    other = FeatureStore(CountingBackbone(), tmp_path / "b", batch_size=9)
    assert torch.allclose(other.images(files[::-1], Noise(), 5).flip(0), first, atol=1e-6)
    assert not torch.allclose(other.images(files, Noise(), 6), first, atol=1e-3)
    mixed = other.images([files[0]] * 3, Noise(), [5, 6, 5])
    assert torch.equal(mixed[0], mixed[2]) and not torch.equal(mixed[0], mixed[1])
    copy = tmp_path / "renamed.png"
    copy.write_bytes(Path(files[0]).read_bytes())
    assert torch.allclose(other.images([str(copy)], Noise(), 5)[0], first[0], atol=1e-6)


def test_views_leave_the_callers_random_numbers_alone(files, tmp_path):
    store = FeatureStore(CountingBackbone(), tmp_path / "store")
    random.seed(1), np.random.seed(1), torch.manual_seed(1)
    expected = (random.random(), np.random.rand(), torch.rand(1).item())
    random.seed(1), np.random.seed(1), torch.manual_seed(1)
    store.images(files, Noise(), 0)
    assert (random.random(), np.random.rand(), torch.rand(1).item()) == expected


def test_worker_processes_see_the_same_views(files, tmp_path, monkeypatch):
    monkeypatch.setattr("clip.features.FEW", 0)
    alone = FeatureStore(CountingBackbone(), tmp_path / "a").images(files, Noise(), 2)
    assert torch.allclose(
        FeatureStore(CountingBackbone(), tmp_path / "b", workers=2).images(files, Noise(), 2), alone, atol=1e-6
    )


@pytest.mark.parametrize("share", [0.9, 0.1])
def test_a_file_is_decoded_once_for_many_views_and_waiting_is_told(files, tmp_path, monkeypatch, capsys, share):
    decoded = []

    def slow(path, _):
        decoded.append(path)
        clock[0] += share
        return Image.open(path)

    class Encoding(CountingBackbone):
        def pool_image(self, images):
            clock[0] += (1 - share) * len(files)
            return super().pool_image(images)

    clock = [0.0]
    monkeypatch.setattr("clip.views.read_image", slow)
    monkeypatch.setattr("clip.features.WORTH_A_LINE", 0)
    monkeypatch.setattr("clip.encoding.time.monotonic", lambda: clock[0])
    store = FeatureStore(Encoding(), tmp_path / "store", batch_size=1000)
    store.images(files * 30, Noise(), [view for view in range(30) for _ in files])
    assert sorted(decoded) == sorted(files)
    line = capsys.readouterr().out
    assert f"Encoded 270 images of 9 files in 9 s, {share:.0%} waiting" in line
    assert ("a faster disk" in line) == (share > 0.5)


def test_weights_transform_and_content_are_part_of_the_key(files, tmp_path):
    store = FeatureStore(CountingBackbone(), tmp_path / "store")
    before = store.images(files[:1], Plain("one"))
    assert store.backbone.images_seen == 1
    store.images(files[:1], Plain("two"))
    assert store.backbone.images_seen == 2
    other = FeatureStore(CountingBackbone(seed=1), tmp_path / "store")
    assert not torch.allclose(other.images(files[:1], Plain("one")), before)
    time.sleep(0.01)
    Path(files[0]).write_bytes(Path(files[1]).read_bytes())  # changed on disk
    assert torch.equal(store.images(files[:1], Plain("one")), store.images(files[1:2], Plain("one")))


def test_a_damaged_file_is_left_out_and_made_good(files, tmp_path):
    store = FeatureStore(CountingBackbone(), tmp_path / "store")
    expected = store.images(files, Plain())
    (shard,) = (tmp_path / "store").glob("*/images-*/*.rows")
    shard.write_bytes(shard.read_bytes()[:40])
    with pytest.warns(UserWarning, match="is damaged"):
        assert torch.allclose(
            FeatureStore(CountingBackbone(), tmp_path / "store").images(files, Plain()), expected, atol=1e-6
        )


def test_an_unreadable_image_is_named(files, tmp_path):
    Path(files[4]).write_bytes(Path(files[4]).read_bytes()[:60])
    with pytest.raises(UserError, match=r"readable image, but .*4\.png is not"):
        FeatureStore(CountingBackbone(), tmp_path / "store").images(files, Plain())
    with pytest.raises(UserError, match=r"none\.png"):
        FeatureStore(CountingBackbone(), tmp_path / "store").images([str(tmp_path / "none.png")], Plain())


def test_features_of_another_decoding_are_not_served(files, tmp_path, monkeypatch):
    store = FeatureStore(CountingBackbone(), tmp_path / "store")
    upright = store.images(files, Plain())
    with monkeypatch.context() as patch:
        patch.setattr("clip.views.read_image", turned)
        lying = store.images(files, Plain())
        assert torch.equal(FeatureStore(CountingBackbone(), tmp_path / "store").images(files, Plain()), lying)
    assert not torch.allclose(lying, upright, atol=1e-3)
    assert torch.equal(store.images(files, Plain()), upright)
    assert store.backbone.images_seen == 2 * len(files)


def turned(path, _):
    return Image.open(path).transpose(Image.Transpose.ROTATE_90)


def test_batches_are_full_whatever_the_views_of_a_file_are(files, tmp_path):
    store = FeatureStore(CountingBackbone(), tmp_path / "store", batch_size=5)
    views = [0, 1, 2, 3, 0, 1, 0, 0, 0, 0, 1, 2]
    store.images([files[i] for i in (0, 0, 0, 0, 1, 1, 2, 3, 4, 5, 5, 5)], Noise(), views)
    assert store.backbone.images == [5, 5, 2]


def test_a_full_disk_is_named(files, tmp_path, monkeypatch):
    def full(_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(UserError, match=rf"Expected to write {tmp_path}/store/.*, but got: No space left on device"):
        FeatureStore(CountingBackbone(), tmp_path / "store").images(files, Plain())
