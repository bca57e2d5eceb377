"""Stored features equal computed ones, whoever asks, in whatever order, and whatever died before."""

import random
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from clip import Backbone, FeatureStore, Tokens
from clip.row_store import MERGE_ABOVE, RowStore
from dassl.errors import UserError

ROOT = Path(__file__).parents[2]


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

    def slow(path):
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
    monkeypatch.setattr("clip.features.time.monotonic", lambda: clock[0])
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


WRITER = """
import sys, time, numpy as np
from clip.row_store import RowStore
first, folder = int(sys.argv[1]), sys.argv[2]
table = RowStore(folder)
for i in range(first, first + 100):
    table.put([i.to_bytes(4, "little")], np.full((1, 3), i, np.float32))
    print(i, flush=True)
"""


def start(first: int, folder: Path) -> subprocess.Popen:
    command = [sys.executable, "-c", WRITER, str(first), str(folder)]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)


def held(folder: Path, numbers: range) -> list[bool]:
    rows = RowStore(folder).get([i.to_bytes(4, "little") for i in numbers])
    assert all(row is None or row.tolist() == [i] * 3 for i, row in zip(numbers, rows, strict=True))
    return [row is not None for row in rows]


def test_two_processes_writing_at_once_lose_nothing(tmp_path):
    writers = [start(0, tmp_path), start(100, tmp_path)]
    assert [writer.wait() for writer in writers if writer.communicate()] == [0, 0]
    assert all(held(tmp_path, range(200)))
    assert len(list(tmp_path.glob("*.rows"))) <= 2 * MERGE_ABOVE  # 200 were written: some were merged


def test_a_killed_writer_leaves_what_it_wrote(tmp_path):
    writer = start(0, tmp_path)
    for line in writer.stdout:
        if int(line) == 80:  # a merge has happened
            break
    writer.kill()
    writer.communicate()
    assert all(held(tmp_path, range(81)))
