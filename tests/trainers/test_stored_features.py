"""Features of a trainer's images: views of the epochs, and images without augmentation."""

import pytest
import torch

from tests.trainers.helpers import Store
from trainers.base import stored_features

pytestmark = pytest.mark.usefixtures("tiny")


def test_every_epoch_has_a_view_of_its_own_and_blocks_of_views_are_encoded_at_once(build, monkeypatch):
    trainer = build("CoOp", "TRAINER.COOP.VIEWS", "many", "OPTIM.MAX_EPOCH", 5)
    trainer.store = Store()
    monkeypatch.setattr(stored_features, "VIEWS_AT_ONCE", 23)  # 2 views of 8 images
    for epoch in range(5):
        assert trainer.train_features(epoch)[:, 1].tolist() == [float(epoch)] * 8
        assert trainer.train_features(epoch)[:, 0].tolist() == [len(item.impath) for item in trainer.train_items]
    paths = [item.impath for item in trainer.train_items]
    assert trainer.store.asked == [
        (paths * 2, trainer.train_transform, [0] * 8 + [1] * 8),
        (paths * 2, trainer.train_transform, [2] * 8 + [3] * 8),
        (paths, trainer.train_transform, [4] * 8),  # no more epochs
    ]


def test_views_are_used_in_turn_where_their_number_is_set(build):
    trainer = build("CoOp", "TRAINER.COOP.VIEWS", "many", "OPTIM.MAX_EPOCH", 7, "FEATURES.VIEWS", 3)
    trainer.store = Store()
    assert [trainer.train_features(epoch)[0, 1].item() for epoch in range(7)] == [0, 1, 2, 0, 1, 2, 0]
    assert [view for _, _, view in trainer.store.asked] == [[0] * 8 + [1] * 8 + [2] * 8]


def test_a_view_is_there_even_where_no_epoch_or_little_memory_is(build, monkeypatch):
    trainer = build("TipAdapter", "OPTIM.MAX_EPOCH", 0, "TRAINER.TIPADAPTER.VIEWS", "many")
    trainer.store, trainer._views = Store(), {}
    monkeypatch.setattr(stored_features, "VIEWS_AT_ONCE", 3)  # fewer than there are images
    assert trainer.train_features(1)[:, 1].tolist() == [1.0] * 8
    trainer = build("CoOp", "TRAINER.COOP.VIEWS", "many")
    trainer.store = Store()
    trainer.train_features(0)
    assert [view for _, _, view in trainer.store.asked] == [[0] * 8]


def test_features_of_a_test_have_no_view(build):
    trainer = build("CoOp")
    trainer.store = Store()
    items = trainer.dm.dataset.val[:3]
    assert trainer.plain_features(items)[:, 1].tolist() == [-1.0] * 3
    assert trainer.store.asked == [([item.impath for item in items], trainer.test_transform, None)]


def test_images_are_seen_as_they_are_where_no_views_are_wanted(build):
    trainer = build("CoOp")
    trainer.store = Store()
    first, second = trainer.train_features(0), trainer.train_features(4)
    assert torch.equal(first, second) and first[:, 1].tolist() == [-1.0] * 8
    assert len(trainer.store.asked) == 1  # in all epochs together


def test_what_the_store_encodes_is_a_part_of_its_own(build, monkeypatch):
    trainer = build("CoOp")
    now = [1000.0]
    monkeypatch.setattr(stored_features.time, "time", lambda: now[0])
    encoded = trainer.seconds["encode"]
    trainer.begin_part()
    now[0] += 60.0
    trainer.store.seconds += 45.0
    trainer.end_part("train", share=3)
    assert trainer.seconds["train"] == pytest.approx(5.0)
    assert trainer.seconds["encode"] - encoded == pytest.approx(15.0)
    now[0] += 30.0  # the test of another run
    trainer.end_part("train", share=3)
    assert trainer.seconds["train"] == pytest.approx(5.0)
