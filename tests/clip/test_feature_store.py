"""Stored features equal computed ones, whoever asks, in whatever order, and whatever died before."""

import errno
import os
import random
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from clip import Backbone, FeatureStore, Tokens
from dassl.errors import UserError


class Tiny(Backbone):
    """Counts what it encodes."""

    name, embed_dim, token_dim, context_length, image_size = "Tiny", 4, 4, 8, 8
    mean = std = (0.5, 0.5, 0.5)
    logit_scale = 10.0

    def __init__(self, seed: int = 0):
        super().__init__()
        torch.manual_seed(seed)
        self.image, self.word = nn.Linear(8 * 8 * 3, 4), nn.Embedding(128, 4)
        self.images_seen = self.texts_seen = 0
        self.freeze()

    def tokenize(self, texts):
        rows = [[1, *(ord(c) for c in text[:6]), 2] for text in texts]
        length = max(map(len, rows))
        ids = torch.tensor([row + [0] * (length - len(row)) for row in rows])
        return Tokens(ids, ids != 0)

    def embed(self, ids):
        return self.word(ids)

    def pool_tokens(self, embeddings, tokens):
        self.texts_seen += len(embeddings)
        return (embeddings * tokens.mask[..., None]).sum(1)

    def pool_image(self, images):
        self.images_seen += len(images)
        return self.image(images.flatten(1))

    def project(self, embeddings):
        return embeddings

    def vocabulary_ids(self):
        return torch.arange(3, 128)


class Crop:
    """A random transform that uses every generator there is."""

    def __init__(self, name: str = "crop"):
        self.name = name

    def __repr__(self) -> str:
        return self.name

    def __call__(self, image):
        pixels = torch.tensor(np.asarray(image), dtype=torch.float32).permute(2, 0, 1) / 255
        return pixels * torch.rand(1) + random.random() + np.random.rand()


class Plain(Crop):
    def __call__(self, image):
        return torch.tensor(np.asarray(image), dtype=torch.float32).permute(2, 0, 1) / 255


@pytest.fixture
def files(tmp_path) -> list[str]:
    rng = np.random.default_rng(0)
    paths = []
    for i in range(12):
        path = tmp_path / "images" / f"{i}.png"
        path.parent.mkdir(exist_ok=True)
        Image.fromarray(rng.integers(0, 255, (8, 8, 3), dtype=np.uint8)).save(path)
        paths.append(str(path))
    return paths


def test_stored_equals_computed_and_is_computed_once(files, tmp_path):
    backbone = Tiny()
    expected = torch.cat([backbone.encode_image(Plain()(Image.open(p))[None]) for p in files])
    backbone.images_seen = 0
    store = FeatureStore(backbone, tmp_path / "store", batch_size=5)
    assert torch.allclose(store.images(files, Plain()), expected, atol=1e-6)
    assert backbone.images_seen == 12
    again = FeatureStore(backbone, tmp_path / "store").images([*files[::-1], files[3]], Plain())
    assert torch.equal(again, store.images(files, Plain())[[*range(11, -1, -1), 3]])
    assert backbone.images_seen == 12


def test_views_follow_from_content_and_number_alone(files, tmp_path):
    first = FeatureStore(Tiny(), tmp_path / "a", batch_size=3).images(files, Crop(), 5)
    random.seed(9), np.random.seed(9), torch.manual_seed(9)
    other = FeatureStore(Tiny(), tmp_path / "b", batch_size=12)
    assert torch.allclose(other.images(files[::-1], Crop(), 5).flip(0), first, atol=1e-6)
    assert not torch.allclose(other.images(files, Crop(), 6), first, atol=1e-3)
    mixed = other.images([files[0]] * 3, Crop(), [5, 6, 5])
    assert torch.equal(mixed[0], mixed[2]) and not torch.equal(mixed[0], mixed[1])
    copy = tmp_path / "renamed.png"
    copy.write_bytes(Path(files[0]).read_bytes())
    assert torch.allclose(other.images([str(copy)], Crop(), 5)[0], first[0], atol=1e-6)


def test_views_leave_the_callers_random_numbers_alone(files, tmp_path):
    store = FeatureStore(Tiny(), tmp_path / "store")
    random.seed(1), np.random.seed(1), torch.manual_seed(1)
    expected = (random.random(), np.random.rand(), torch.rand(1).item())
    random.seed(1), np.random.seed(1), torch.manual_seed(1)
    store.images(files, Crop(), 0)
    assert (random.random(), np.random.rand(), torch.rand(1).item()) == expected


def test_worker_processes_see_the_same_views(files, tmp_path, monkeypatch):
    monkeypatch.setattr("clip.features.FEW", 0)
    alone = FeatureStore(Tiny(), tmp_path / "a").images(files, Crop(), 2)
    assert torch.allclose(FeatureStore(Tiny(), tmp_path / "b", workers=2).images(files, Crop(), 2), alone, atol=1e-6)


@pytest.mark.parametrize("share", [0.9, 0.1])
def test_a_file_is_decoded_once_for_many_views_and_waiting_is_told(files, tmp_path, monkeypatch, capsys, share):
    decoded = []

    def slow(path, _):
        decoded.append(path)
        clock[0] += share
        return Image.open(path)

    class Encoding(Tiny):
        def pool_image(self, images):
            clock[0] += (1 - share) * len(files)
            return super().pool_image(images)

    clock = [0.0]
    monkeypatch.setattr("clip.views.read_image", slow)
    monkeypatch.setattr("clip.features.WORTH_A_LINE", 0)
    monkeypatch.setattr("clip.encoding.time.monotonic", lambda: clock[0])
    store = FeatureStore(Encoding(), tmp_path / "store", batch_size=1000)
    store.images(files * 30, Crop(), [view for view in range(30) for _ in files])
    assert sorted(decoded) == sorted(files)
    line = capsys.readouterr().out
    assert f"Encoded 360 images of 12 files in 12 s, {share:.0%} waiting" in line
    assert ("a faster disk" in line) == (share > 0.5)


def test_weights_transform_and_content_are_part_of_the_key(files, tmp_path):
    store = FeatureStore(Tiny(), tmp_path / "store")
    before = store.images(files[:1], Plain("one"))
    assert store.backbone.images_seen == 1
    store.images(files[:1], Plain("two"))
    assert store.backbone.images_seen == 2
    other = FeatureStore(Tiny(seed=1), tmp_path / "store")
    assert not torch.allclose(other.images(files[:1], Plain("one")), before)
    time.sleep(0.01)
    Path(files[0]).write_bytes(Path(files[1]).read_bytes())  # changed on disk
    assert torch.equal(store.images(files[:1], Plain("one")), store.images(files[1:2], Plain("one")))


def test_texts_and_vocabulary(tmp_path):
    backbone = Tiny()
    store = FeatureStore(backbone, tmp_path / "store")
    texts = ["ab", "a longer", "ab", "z"]
    assert torch.allclose(store.texts(texts), backbone.encode_text(texts), atol=1e-6)
    backbone.texts_seen = 0
    assert torch.equal(FeatureStore(backbone, tmp_path / "store").texts(texts[:2]), store.texts(texts)[:2])
    assert backbone.texts_seen == 0
    assert torch.allclose(store.vocabulary(), backbone.encode_vocabulary(), atol=1e-6)
    backbone.texts_seen = 0
    assert FeatureStore(backbone, tmp_path / "store").vocabulary().shape == (125, 4) and backbone.texts_seen == 0


def test_a_damaged_file_is_left_out_and_made_good(files, tmp_path):
    store = FeatureStore(Tiny(), tmp_path / "store")
    expected = store.images(files, Plain())
    (shard,) = (tmp_path / "store").glob("*/images-*/*.rows")
    shard.write_bytes(shard.read_bytes()[:40])
    with pytest.warns(UserWarning, match="is damaged"):
        assert torch.allclose(FeatureStore(Tiny(), tmp_path / "store").images(files, Plain()), expected, atol=1e-6)


def test_an_unreadable_image_is_named(files, tmp_path):
    Path(files[4]).write_bytes(Path(files[4]).read_bytes()[:60])
    with pytest.raises(UserError, match=r"readable image, but .*4\.png is not"):
        FeatureStore(Tiny(), tmp_path / "store").images(files, Plain())
    with pytest.raises(UserError, match=r"none\.png"):
        FeatureStore(Tiny(), tmp_path / "store").images([str(tmp_path / "none.png")], Plain())


def test_features_of_another_decoding_are_not_served(files, tmp_path, monkeypatch):
    store = FeatureStore(Tiny(), tmp_path / "store")
    upright = store.images(files, Plain())
    with monkeypatch.context() as patch:
        patch.setattr("clip.views.read_image", turned)
        lying = store.images(files, Plain())
        assert torch.equal(FeatureStore(Tiny(), tmp_path / "store").images(files, Plain()), lying)
    assert not torch.allclose(lying, upright, atol=1e-3)
    assert torch.equal(store.images(files, Plain()), upright)
    assert store.backbone.images_seen == 2 * len(files)


def turned(path, _):
    return Image.open(path).transpose(Image.Transpose.ROTATE_90)


def test_batches_are_full_whatever_the_views_of_a_file_are(files, tmp_path):
    sizes = []

    class Recording(Tiny):
        def pool_image(self, images):
            sizes.append(len(images))
            return super().pool_image(images)

    store = FeatureStore(Recording(), tmp_path / "store", batch_size=5)
    views = [0, 1, 2, 3, 0, 1, 0, 0, 0, 0, 1, 2]
    store.images([files[i] for i in (0, 0, 0, 0, 1, 1, 2, 3, 4, 5, 5, 5)], Crop(), views)
    assert sizes == [5, 5, 2]


def test_a_full_disk_is_named(files, tmp_path, monkeypatch):
    def full(_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(UserError, match=rf"Expected to write {tmp_path}/store/.*, but got: No space left on device"):
        FeatureStore(Tiny(), tmp_path / "store").images(files, Plain())
