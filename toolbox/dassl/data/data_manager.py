"""Build the loaders of a data set from a configuration."""

from collections.abc import Callable, Sequence
from functools import cached_property
from typing import Any

import torch
from tabulate import tabulate
from torch.utils.data import DataLoader
from yacs.config import CfgNode

from dassl.console import tell
from dassl.errors import UserError
from dassl.utils import check_availability, choose_device, print_detail

from .dataset_wrapper import DatasetWrapper
from .datasets import Datum, build_dataset
from .samplers import SAMPLERS, build_sampler
from .transforms import build_transform


def build_data_loader(
    cfg: CfgNode,
    sampler_type: str = "SequentialSampler",
    data_source: Sequence[Datum] | None = None,
    batch_size: int = 64,
    n_domain: int = 0,
    n_ins: int = 2,
    tfm: Callable | Sequence[Callable] | None = None,
    is_train: bool = True,
    dataset_wrapper: type | None = None,
) -> DataLoader:
    """Return a loader over a list of images.

    With `cfg.SEED` >= 0 the loader has its own random generator: the order of images, and the seeds of Python's,
    NumPy's and PyTorch's generators in its workers, depend on the seed alone. A training loader drops an incomplete
    last batch.

    Args:
        cfg: the configuration.
        sampler_type: name of the sampler.
        data_source: the images.
        batch_size: images per batch.
        n_domain, n_ins: as for `build_sampler`.
        tfm: transform from PIL image to tensor, or several of them.
        is_train: whether it is a training loader.
        dataset_wrapper: replaces `DatasetWrapper`.

    Raises:
        UserError: `data_source` is empty.
    """
    if not data_source:
        raise _empty(cfg, "every split that is loaded")
    # PyTorch seeds each worker (random, NumPy, torch) with a number that it draws from this generator in each epoch.
    generator = torch.Generator().manual_seed(cfg.SEED) if cfg.SEED >= 0 else None
    sampler = build_sampler(
        sampler_type,
        cfg=cfg,
        data_source=data_source,
        batch_size=batch_size,
        n_domain=n_domain,
        n_ins=n_ins,
        generator=generator,
    )
    return DataLoader(
        (dataset_wrapper or DatasetWrapper)(cfg, data_source, transform=tfm, is_train=is_train),
        batch_size=batch_size,
        sampler=sampler,
        num_workers=cfg.DATALOADER.NUM_WORKERS,
        drop_last=is_train and len(data_source) >= batch_size,
        pin_memory=choose_device(cfg.USE_CUDA).type == "cuda",
        generator=generator,
    )


class DataManager:
    """The data set that a configuration names, its transforms, and a loader for each split.

    A loader is built when it is first asked for. Building one draws no random numbers.

    Attributes:
        dataset: the data set.
        train_transform, test_transform: from PIL image to tensor; None with INPUT.NO_TRANSFORM.
        num_classes: number of classes.
        num_source_domains: number of DATASET.SOURCE_DOMAINS.
        lab2cname: class name of each label.

    Args:
        cfg: the configuration.
        custom_tfm_train: replaces the training transform of the configuration.
        custom_tfm_test: replaces the test transform.
        dataset_wrapper: replaces `DatasetWrapper`.

    Raises:
        UserError: there are no training or no test images, or a sampler is unknown.
    """

    def __init__(
        self,
        cfg: CfgNode,
        custom_tfm_train: Callable | Sequence[Callable] | None = None,
        custom_tfm_test: Callable | Sequence[Callable] | None = None,
        dataset_wrapper: type | None = None,
    ) -> None:
        self.cfg = cfg
        self.dataset_wrapper = dataset_wrapper
        self.dataset = dataset = build_dataset(cfg)
        self.num_classes = dataset.num_classes
        self.num_source_domains = len(cfg.DATASET.SOURCE_DOMAINS)
        self.lab2cname = dataset.lab2cname
        self.train_transform = _transform(cfg, custom_tfm_train, is_train=True)
        self.test_transform = _transform(cfg, custom_tfm_test, is_train=False)
        for split, node in (("train_x", cfg.DATALOADER.TRAIN_X), ("test", cfg.DATALOADER.TEST)):
            check_availability(node.SAMPLER, SAMPLERS, what="sampler")
            if not getattr(dataset, split):
                raise _empty(cfg, f"the split {split}")
        self.show_dataset_summary(cfg)

    @cached_property
    def train_loader_x(self) -> DataLoader:
        """Return the loader of the labelled training images."""
        return self._loader(self.dataset.train_x, self.cfg.DATALOADER.TRAIN_X, is_train=True)

    @cached_property
    def train_loader_u(self) -> DataLoader | None:
        """Return the loader of the unlabelled training images; None if there are none."""
        nodes = self.cfg.DATALOADER
        node = nodes.TRAIN_X if nodes.TRAIN_U.SAME_AS_X else nodes.TRAIN_U
        return self._loader(self.dataset.train_u, node, is_train=True) if self.dataset.train_u else None

    @cached_property
    def val_loader(self) -> DataLoader | None:
        """Return the loader of the validation images; None if there are none."""
        node = self.cfg.DATALOADER.TEST
        return self._loader(self.dataset.val, node, is_train=False) if self.dataset.val else None

    @cached_property
    def test_loader(self) -> DataLoader:
        """Return the loader of the test images."""
        return self._loader(self.dataset.test, self.cfg.DATALOADER.TEST, is_train=False)

    def _loader(self, items: Sequence[Datum], node: CfgNode, is_train: bool) -> DataLoader:
        return build_data_loader(
            self.cfg,
            sampler_type=node.SAMPLER,
            data_source=items,
            batch_size=node.BATCH_SIZE,
            n_domain=node.get("N_DOMAIN", 0),
            n_ins=node.get("N_INS", 2),
            tfm=self.train_transform if is_train else self.test_transform,
            is_train=is_train,
            dataset_wrapper=self.dataset_wrapper,
        )

    def show_dataset_summary(self, cfg: CfgNode) -> None:
        """Print the sizes of the data set, without VERBOSE into the log alone."""
        table: list[list[Any]] = [["Dataset", cfg.DATASET.NAME]]
        for name, domains in (("Source", cfg.DATASET.SOURCE_DOMAINS), ("Target", cfg.DATASET.TARGET_DOMAINS)):
            if domains:
                table.append([name, domains])
        table.append(["# classes", f"{self.num_classes:,}"])
        for split in ("train_x", "train_u", "val", "test"):
            items = getattr(self.dataset, split)
            if items:
                table.append([f"# {split}", f"{len(items):,}"])
        print_detail(tabulate(table), cfg.VERBOSE)


def _empty(cfg: CfgNode, where: str) -> UserError:
    return UserError(f"Expected images in {where} of {cfg.DATASET.NAME}, but there are none: check its split file.")


def _transform(cfg: CfgNode, custom: Any, is_train: bool) -> Any:
    if custom is None:
        return build_transform(cfg, is_train=is_train)
    tell(f"* Using custom transform for {'training' if is_train else 'testing'}")
    return custom
