"""The part of a trainer that loads its data set and backbone, and returns features of images from the store.

The frozen image tower runs once per image and view (`clip.FeatureStore`).
"""

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from torch import Tensor
from yacs.config import CfgNode

from clip import Backbone, FeatureStore
from dassl.data import DataManager
from dassl.data.datasets import DATASET_REGISTRY, Datum
from dassl.engine import TrainerX
from dassl.errors import UserError
from datasets.prompts import DEFAULT_LLM, bank_path, require_bank
from trainers.base.backbones import set_input, shared_backbone, with_input
from trainers.base.digests import method_settings, reads_sentences
from trainers.base.feature_loader import FeatureLoader
from trainers.base.labels import labels_of

VIEWS_AT_ONCE = 50_000  # image views in memory: 100 MB at D = 512
VIEWS = ("none", "one", "many")


class StoredFeatures(TrainerX):
    """A trainer whose batches are stored features of images, in place of images.

    Attributes:
        backbone: the frozen towers.
        store: the feature store.
        train_items: the N images of the support set; on novel classes it is that of the base classes, whose labels do
            not count the classes of this run.
        train_transform: random augmentation of training images.
        test_transform: transform without augmentation.
        seconds: duration of the parts of a run, by name; "encode" is what the store spent on images and texts that it
            did not have, which counts for no other part.
        seen: what the method sees of a training image: "none", "one" or "many" random views.
    """

    backbone: Backbone
    store: FeatureStore
    train_items: list[Datum]
    train_transform: Callable
    test_transform: Callable
    seconds: dict[str, float]
    _began: tuple[float, float] | None  # time, and seconds of the store, at which a part began
    seen: str
    train_loader_x: Any  # a FeatureLoader in place of Dassl's loader of images

    @classmethod
    def complete_cfg(cls, cfg: CfgNode) -> None:
        """Set the size, pixel statistics and interpolation of images, which follow from the backbone; loads it.

        Raises:
            UserError: the method reads sentences, and there are none; this is told before the backbone is loaded.
        """
        check_bank(cfg)
        set_input(cfg, shared_backbone(cfg)[0])

    def build_data_loader(self) -> None:
        began = time.time()
        self.backbone, self.store = shared_backbone(self.cfg)
        self.seconds, self._began = {"encode": 0.0}, (began, self.store.seconds)
        self.cfg = with_input(self.cfg, self.backbone)
        self.store.said.clear()  # each run prints the notes about its images
        self.dm = self.build_data_manager()
        self.num_classes, self.lab2cname = self.dm.num_classes, self.dm.lab2cname
        self.train_items = self.dm.dataset.train_x
        self.train_transform, self.test_transform = self.dm.train_transform, self.dm.test_transform
        self.seen = views_of(self.cfg)
        self._views: dict[int, Tensor] = {}
        self.build_train_loader()

    def begin_part(self) -> None:
        """Note that a part of the run begins."""
        self._began = time.time(), self.store.seconds

    def end_part(self, name: str, share: int = 1) -> None:
        """Set the duration of the part that began last, divided by the number of runs that shared it.

        Nothing is done if that part has ended already.
        """
        if self._began is None:
            return
        (began, encoded), self._began = self._began, None
        encoding = self.store.seconds - encoded
        self.seconds["encode"] += encoding / share
        self.seconds[name] = max(0.0, time.time() - began - encoding) / share

    def build_train_loader(self) -> None:
        """Set the loader of the support set."""
        loader = self.cfg.DATALOADER.TRAIN_X
        labels = labels_of(self.train_items, self.device)
        self.train_loader_x = FeatureLoader(self.train_features, labels, loader.BATCH_SIZE, loader.DROP_LAST)

    @property
    def on_novel_classes(self) -> bool:
        """Whether this run tests novel classes, with a support set of others."""
        return self.cfg.DATASET.SUBSAMPLE_CLASSES == "new"

    def build_data_manager(self) -> DataManager:
        """Return the data set and its transforms. Dassl's loaders are built only if they are asked for."""
        return DataManager(self.cfg)

    def train_features(self, epoch: int) -> Tensor:
        """Return the features [N, D] of the support set in an epoch, as the method's setting VIEWS says.

        "none": without augmentation; "one": view 0 in every epoch; "many": view `epoch`, or one of FEATURES.VIEWS in
        turn. They lie on the device, so that a step copies nothing to it.
        """
        if self.seen == "none":
            self._views = self._views or {0: self.plain_features(self.train_items)}
            return self._views[0]
        views = 1 if self.seen == "one" else self.cfg.FEATURES.VIEWS
        wanted = epoch % views if views else epoch
        if wanted not in self._views:  # encode the views of many epochs in one call
            block = max(1, VIEWS_AT_ONCE // len(self.train_items))
            last = min(wanted + block, views or self.max_epoch)
            numbers = range(wanted, max(last, wanted + 1))
            self._views = dict(zip(numbers, self.views(numbers), strict=True))
        return self._views[wanted]

    def views(self, numbers: Sequence[int]) -> Tensor:
        """Return the features [V, N, D] of V random views of the support set."""
        paths = [item.impath for item in self.train_items]
        features = self.store.images(paths * len(numbers), self.train_transform, [v for v in numbers for _ in paths])
        return features.to(self.device).view(len(numbers), len(paths), -1)

    def plain_features(self, items: Sequence[Datum]) -> Tensor:
        """Return the features [N, D] of data items without augmentation."""
        return self.store.images([item.impath for item in items], self.test_transform).to(self.device)


def check_bank(cfg: CfgNode) -> None:
    """Raise a UserError if the method reads sentences about the classes and there is no file of them."""
    dataset = DATASET_REGISTRY.get(cfg.DATASET.NAME)
    if reads_sentences(method_settings(cfg)) and hasattr(dataset, "find_bank"):  # not a data set written for Dassl
        key, beside = dataset.find_bank(cfg)
        lies_beside = getattr(dataset, "own", False) and cfg.PROMPTS.LLM == DEFAULT_LLM
        own = Path(cfg.DATASET.ROOT).expanduser() / "prompts.json" if lies_beside else None
        require_bank(beside or bank_path(cfg.PROMPTS.LLM, key), cfg.PROMPTS.LLM, key, own)


def views_of(cfg: CfgNode) -> str:
    """Return what a method sees of a training image: its setting VIEWS, "many" if it has none.

    Raises:
        UserError: it is none of `VIEWS`.
    """
    name, found = cfg.TRAINER.NAME, method_settings(cfg).get("VIEWS", "many")
    if found not in VIEWS:
        raise UserError(f"Expected TRAINER.{name.upper()}.VIEWS to be one of {', '.join(VIEWS)}, but got {found!r}.")
    return found
