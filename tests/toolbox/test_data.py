"""Data sets, samplers, loaders."""

import random
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest
import torch
from torch.utils.data import RandomSampler, SequentialSampler

from dassl.data import DataManager, DatasetWrapper
from dassl.data.data_manager import build_data_loader
from dassl.data.datasets import DatasetBase, Datum, build_dataset
from dassl.data.samplers import build_sampler
from dassl.errors import UserError


@pytest.fixture
def items(tmp_path):
    """Return 12 entries with labels 0 (seven), 1 (three) and 2 (two); their file is no image."""
    (tmp_path / "x.png").touch()
    labels = [0] * 7 + [1] * 3 + [2] * 2
    return [Datum(str(tmp_path / "x.png"), label, i % 2, f"class {label}") for i, label in enumerate(labels)]


def test_datum(tmp_path):
    (tmp_path / "a.png").touch()
    item = Datum(impath=str(tmp_path / "a.png"), label=2, classname="cyst")
    assert (item.label, item.domain, item.classname, Path(item.impath).name) == (2, 0, "cyst", "a.png")
    with pytest.raises(AttributeError):
        item.label = 3
    with pytest.raises(UserError, match=r"class 'cyst' at .*b\.png.*: check DATASET\.ROOT"):
        Datum(str(tmp_path / "b.png"), 0, 0, "cyst")


def test_classes_are_those_of_the_training_split(items):
    dataset = DatasetBase(train_x=items[::-1], test=items[:1])
    assert dataset.num_classes == 3
    assert dataset.lab2cname == {0: "class 0", 1: "class 1", 2: "class 2"}
    assert dataset.classnames == ["class 0", "class 1", "class 2"]
    assert (dataset.val, dataset.train_u, len(dataset.test)) == (None, None, 1)


def test_wrong_training_splits_are_named(items):
    with pytest.raises(ValueError, match="training images of DatasetBase, but there are none"):
        DatasetBase(train_x=[])
    with pytest.raises(ValueError, match=r"from 0 to 2, but there are none of 1: correct the split"):
        DatasetBase(train_x=items[:7] + items[10:])
    twice = [*items, Datum(items[0].impath, 0, 0, "another")]
    with pytest.raises(ValueError, match="one name for label 0, but got 'class 0' and 'another'"):
        DatasetBase(train_x=twice)


def test_few_shot_draws(items, capsys):
    dataset = DatasetBase(train_x=items)
    random.seed(0)
    draw = dataset.generate_fewshot_dataset(items, num_shots=3)
    assert capsys.readouterr().out == "Creating a 3-shot dataset\n"
    assert [item.label for item in draw] == [0, 0, 0, 1, 1, 1, 2, 2]
    random.seed(0)
    # The very numbers of Dassl: one random.sample per class in order of appearance.
    assert draw[:3] == random.sample(items[:7], 3)
    random.seed(0)
    repeated = dataset.generate_fewshot_dataset(items, num_shots=3, repeat=True)
    assert [item.label for item in repeated] == [0, 0, 0, 1, 1, 1, 2, 2, 2]
    first, second, nothing = dataset.generate_fewshot_dataset(items, items[:8], None, num_shots=1)
    assert ([len(first), len(second)], nothing) == ([3, 2], None)
    assert dataset.generate_fewshot_dataset(items, num_shots=0) is items
    assert dataset.generate_fewshot_dataset(items, items[:2]) == [items, items[:2]]
    assert dataset.generate_fewshot_dataset([], num_shots=2) == []


def test_grouping(items):
    dataset = DatasetBase(train_x=items)
    assert {label: len(group) for label, group in dataset.split_dataset_by_label(items).items()} == {0: 7, 1: 3, 2: 2}
    assert {domain: len(group) for domain, group in dataset.split_dataset_by_domain(items).items()} == {0: 6, 1: 6}


def test_build_dataset(cfg, capsys):
    dataset = build_dataset(cfg)
    assert "Loading dataset: ToySquares" in capsys.readouterr().out
    assert dataset.classnames == ["red_square", "green_square", "blue_square", "grey_square"]
    assert (len(dataset.train_x), len(dataset.val), len(dataset.test)) == (16, 12, 20)


def test_samplers(items):
    assert isinstance(build_sampler("RandomSampler", data_source=items), RandomSampler)
    assert isinstance(build_sampler("SequentialSampler", data_source=items), SequentialSampler)
    assert list(build_sampler("SequentialSampler", data_source=items)) == list(range(12))
    with pytest.raises(ValueError, match="one of RandomSampler, SequentialSampler, but got 'RandomDomainSampler'"):
        build_sampler("RandomDomainSampler", data_source=items)


def test_wrapper_items(cfg):
    dataset = build_dataset(cfg)
    item = DatasetWrapper(cfg, dataset.test, transform=lambda image: torch.tensor(image.size))[7]
    assert sorted(item) == ["domain", "img", "impath", "index", "label"]
    assert (item["label"], item["domain"], item["index"]) == (1, 0, 7)
    assert item["impath"] == dataset.test[7].impath
    assert item["img"].tolist() == [24, 20]
    assert DatasetWrapper(cfg, dataset.test)[0]["img"].mode == "RGB"


def test_wrapper_of_several_views(cfg):
    dataset = build_dataset(cfg)
    cfg.DATALOADER.K_TRANSFORMS = 3
    cfg.DATALOADER.RETURN_IMG0 = True
    train = DatasetWrapper(cfg, dataset.train_x, transform=(lambda _: 1, lambda _: 2), is_train=True)[0]
    assert (train["img"], train["img2"]) == ([1, 1, 1], [2, 2, 2])
    assert train["img0"].shape == (3, 16, 16)
    assert train["img0"].min() < 0  # normalised
    assert DatasetWrapper(cfg, dataset.train_x, transform=lambda _: 1)[0]["img"] == 1
    with pytest.raises(ValueError, match="K_TRANSFORMS 3, but there is none"):
        DatasetWrapper(cfg, dataset.train_x, is_train=True)


@pytest.mark.parametrize("workers", [0, 1])
def test_a_damaged_image_is_named(cfg, items, workers):
    cfg.DATALOADER.NUM_WORKERS = workers
    loader = build_data_loader(cfg, data_source=items, tfm=lambda image: image, is_train=False)
    with pytest.raises(UserError, match=r"^Expected a readable image, but .*x\.png is not .* split\.$"):
        next(iter(loader))


def test_manager(cfg, capsys):
    dm = DataManager(cfg)
    out = capsys.readouterr().out
    for line in (
        "Building transform_train",
        "Building transform_test",
        "# classes  4",
        "# train_x  16",
        "# val      12",
    ):
        assert line in out
    assert (dm.num_classes, dm.num_source_domains, dm.lab2cname[3]) == (4, 0, "grey_square")
    assert (len(dm.train_loader_x), len(dm.val_loader), len(dm.test_loader)) == (4, 1, 1)
    assert dm.train_loader_u is None
    batch = next(iter(dm.train_loader_x))
    assert batch["img"].shape == (4, 3, 16, 16)
    assert batch["label"].dtype == batch["index"].dtype == torch.int64
    assert next(iter(dm.test_loader))["label"].tolist() == [0] * 5 + [1] * 5 + [2] * 5 + [3] * 5


@pytest.mark.parametrize("val", [None, []])
def test_manager_without_validation_images(cfg, monkeypatch, val, capsys):
    dataset = build_dataset(cfg)
    dataset.val = val
    dataset.train_u = dataset.test
    cfg.DATASET.SOURCE_DOMAINS = ("scanner A",)
    monkeypatch.setattr("dassl.data.data_manager.build_dataset", lambda _: dataset)
    dm = DataManager(cfg)
    assert dm.val_loader is None
    assert len(dm.train_loader_u) == 5
    assert dm.num_source_domains == 1
    out = capsys.readouterr().out
    assert "# val" not in out
    assert "scanner A" in out
    dataset.test = []
    with pytest.raises(UserError, match="the split test of ToySquares, but there are none"):
        DataManager(cfg)


def test_manager_refuses_an_unknown_sampler_before_a_loader_is_asked_for(cfg):
    cfg.DATALOADER.TRAIN_X.SAMPLER = "RandomDomainSampler"
    with pytest.raises(UserError, match="RandomDomainSampler"):
        DataManager(cfg)


def generator_states() -> tuple:
    return random.getstate(), np.random.get_state()[2], torch.get_rng_state().tolist()


@pytest.mark.parametrize("seed", [1, -1])
def test_manager_builds_each_loader_when_it_is_asked_for_and_draws_nothing(cfg, seed):
    class Counted(DatasetWrapper):
        sources: ClassVar[list] = []

        def __init__(self, cfg, data_source, **settings):
            self.sources.append(data_source)
            super().__init__(cfg, data_source, **settings)

    cfg.SEED = seed
    dm = DataManager(cfg, dataset_wrapper=Counted)
    assert "RandomResizedCrop" in repr(dm.train_transform) and "Random" not in repr(dm.test_transform)
    assert Counted.sources == []
    before = generator_states()
    loaders = [dm.test_loader, dm.train_loader_x, dm.val_loader]
    assert [dm.test_loader, dm.train_loader_x, dm.val_loader] == loaders
    assert generator_states() == before
    assert Counted.sources == [dm.dataset.test, dm.dataset.train_x, dm.dataset.val]
    assert [loader.dataset.transform for loader in loaders] == [
        dm.test_transform,
        dm.train_transform,
        dm.test_transform,
    ]


def test_manager_takes_transforms_and_wrapper(cfg, capsys):
    class Wrapper(DatasetWrapper):
        def __getitem__(self, idx):
            return {"number": self.transform(idx)}

    dm = DataManager(cfg, lambda idx: idx, lambda idx: -idx, dataset_wrapper=Wrapper)
    out = capsys.readouterr().out
    assert "* Using custom transform for training" in out
    assert "* Using custom transform for testing" in out
    assert next(iter(dm.test_loader))["number"].tolist() == [-i for i in range(20)]


def test_incomplete_training_batches_are_dropped(cfg, items):
    def length(batch_size, is_train):
        return len(build_data_loader(cfg, data_source=items, batch_size=batch_size, is_train=is_train))

    assert (length(5, True), length(5, False), length(100, True)) == (2, 3, 1)


class Draws:
    """A data set that yields a number of each random generator instead of an image."""

    def __init__(self, cfg, data_source, transform=None, is_train=False):
        self.data_source = data_source

    def __len__(self):
        return len(self.data_source)

    def __getitem__(self, idx):
        return idx, random.random(), float(np.random.rand()), float(torch.rand(()))


def draws(cfg, items, epochs=2):
    loader = build_data_loader(
        cfg, sampler_type="RandomSampler", data_source=items, batch_size=3, dataset_wrapper=Draws
    )
    return [[tuple(column.tolist() for column in batch) for batch in loader] for _ in range(epochs)]


def test_workers_follow_the_seed(cfg, items):
    cfg.DATALOADER.NUM_WORKERS = 2
    torch.manual_seed(0)
    first = draws(cfg, items)
    torch.manual_seed(99)  # what a method draws elsewhere does not matter
    random.seed(99)
    np.random.seed(99)
    assert draws(cfg, items) == first
    assert first[0] != first[1]  # epochs differ
    for number in range(1, 4):  # so do workers, in each of the three generators
        values = [value for batch in first[0] for value in batch[number]]
        assert len(set(values)) == len(values)
    cfg.SEED = 2
    assert draws(cfg, items) != first


def test_order_without_workers_follows_the_seed(cfg, items):
    def order():
        return [[batch[0] for batch in epoch] for epoch in draws(cfg, items)]

    first = order()
    torch.manual_seed(123)
    assert order() == first
    assert sorted(i for batch in first[0] for i in batch) == list(range(12))
    cfg.SEED = -1
    assert build_data_loader(cfg, data_source=items).generator is None
