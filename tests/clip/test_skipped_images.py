"""Images that cannot be read are skipped where that is asked for; what is wrong with the machine still raises."""

import errno

import numpy as np
import pytest
import torch
from PIL import Image

from clip import FeatureStore, features
from clip.memo import Memo
from clip.row_store import RowStore
from dassl.errors import UserError
from tests.clip.counting import CountingBackbone, Plain

pytestmark = pytest.mark.filterwarnings("ignore:This DataLoader will create")  # more workers than processors


@pytest.fixture
def files(tmp_path) -> list[str]:
    """Nine files, of which the second is missing, the fourth a folder, the sixth damaged, and two hold no picture."""
    rng = np.random.default_rng(0)
    paths = [tmp_path / "images" / f"{i}.png" for i in range(9)]
    paths[0].parent.mkdir()
    for path in paths:
        Image.fromarray(rng.integers(0, 255, (8, 8, 3), dtype=np.uint8)).save(path)
    paths[1].unlink()
    paths[3].unlink()
    paths[3].mkdir()
    paths[5].write_bytes(paths[5].read_bytes()[:60])
    for path in paths[6:8]:  # of one content
        path.write_bytes(b"")
    return [str(path) for path in paths]


GOOD = [0, 2, 4, 8]


@pytest.fixture
def store(tmp_path):
    return FeatureStore(CountingBackbone(), tmp_path / "store", batch_size=3)


@pytest.mark.parametrize("workers", [0, 1, 3])
def test_the_others_are_encoded_and_each_bad_one_has_its_reason(store, files, monkeypatch, workers):
    monkeypatch.setattr(features, "FEW", 0)
    store.workers = workers
    bad: dict[str, str] = {}
    found = store.images(files, Plain(), skip=bad)
    expected = FeatureStore(CountingBackbone(), store.root / "b").images([files[i] for i in GOOD], Plain())
    assert torch.allclose(found, expected, atol=1e-6)
    assert sorted(bad) == [files[i] for i in (1, 3, 5, 6, 7)]
    for path, reason in bad.items():
        assert path in reason and "\n" not in reason
    assert sum(store.backbone.images) == 4


@pytest.mark.parametrize("workers", [0, 2])
def test_only_bad_images_give_no_features(store, files, monkeypatch, workers):
    monkeypatch.setattr(features, "FEW", 0)
    store.workers = workers
    bad: dict[str, str] = {}
    assert store.images([files[5], files[1], files[6]], Plain(), skip=bad).shape == (0, 16)
    assert len(bad) == 3 and not store.backbone.images


def test_what_the_store_has_is_no_failure_of_this_call(store, files):
    bad: dict[str, str] = {}
    store.images([files[0]], Plain(), skip=bad)
    assert store.images([files[0], files[5], files[0]], Plain(), skip=bad).shape == (2, 16)
    assert list(bad) == [files[5]]


@pytest.mark.parametrize("number", [1, 3, 5, 6])
def test_without_being_asked_nothing_is_skipped(store, files, number):
    with pytest.raises(UserError, match=files[number]):
        store.images([files[0], files[number]], Plain())


@pytest.mark.parametrize("writer", [RowStore, Memo])
def test_a_full_disk_is_no_bad_image(store, files, monkeypatch, writer):
    def full(self, *args):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(writer, {RowStore: "put", Memo: "append"}[writer], full)
    with pytest.raises(OSError, match="No space left"):
        store.images(files, Plain(), skip={})


def test_no_images_have_no_features(store):
    assert store.images([], Plain()).shape == (0, 16)
