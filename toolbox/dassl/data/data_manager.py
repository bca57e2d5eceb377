"""From a configuration to loaders of a data set's splits."""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from tabulate import tabulate
from torch.utils.data import DataLoader
from yacs.config import CfgNode

from dassl.errors import UserError
from dassl.utils import choose_device

from .dataset_wrapper import DatasetWrapper
from .datasets import Datum, build_dataset
from .samplers import build_sampler
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
    """A loader over a list of images.

    With `cfg.SEED` >= 0 it has a generator of its own: the order of images, and the seeds of Python's, NumPy's and
    PyTorch's generators in its workers, follow from the seed alone. A training loader drops an incomplete last batch.

    Raises:
        UserError: `data_source` is empty.
    """
    if not data_source:
        raise UserError(f"A split of {cfg.DATASET.NAME} is empty: there is nothing to load; check its split file.")
    # PyTorch seeds each worker (random, NumPy, torch) from one number that it draws from this generator per epoch.
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
    """The data set that a configuration names, with a loader for each split.

    Attributes: `dataset`, `train_loader_x`, `train_loader_u` and `val_loader` (None where the split is empty),
    `test_loader`, `num_classes`, `num_source_domains`, `lab2cname`.

    Args:
        cfg: the configuration.
        custom_tfm_train: replaces the training transform that the configuration describes.
        custom_tfm_test: replaces the test transform.
        dataset_wrapper: replaces `DatasetWrapper`.
    """

    def __init__(
        self,
        cfg: CfgNode,
        custom_tfm_train: Callable | Sequence[Callable] | None = None,
        custom_tfm_test: Callable | Sequence[Callable] | None = None,
        dataset_wrapper: type | None = None,
    ) -> None:
        self.dataset = dataset = build_dataset(cfg)
        self.num_classes = dataset.num_classes
        self.num_source_domains = len(cfg.DATASET.SOURCE_DOMAINS)
        self.lab2cname = dataset.lab2cname
        tfm_train = _transform(cfg, custom_tfm_train, is_train=True)
        tfm_test = _transform(cfg, custom_tfm_test, is_train=False)

        def loader(data_source: Sequence[Datum] | None, node: CfgNode, is_train: bool) -> DataLoader:
            return build_data_loader(
                cfg,
                sampler_type=node.SAMPLER,
                data_source=data_source,
                batch_size=node.BATCH_SIZE,
                n_domain=node.get("N_DOMAIN", 0),
                n_ins=node.get("N_INS", 2),
                tfm=tfm_train if is_train else tfm_test,
                is_train=is_train,
                dataset_wrapper=dataset_wrapper,
            )

        nodes = cfg.DATALOADER
        node_u = nodes.TRAIN_X if nodes.TRAIN_U.SAME_AS_X else nodes.TRAIN_U
        self.train_loader_x = loader(dataset.train_x, nodes.TRAIN_X, True)
        self.train_loader_u = loader(dataset.train_u, node_u, True) if dataset.train_u else None
        self.val_loader = loader(dataset.val, nodes.TEST, False) if dataset.val else None
        self.test_loader = loader(dataset.test, nodes.TEST, False)
        if cfg.VERBOSE:
            self.show_dataset_summary(cfg)

    def show_dataset_summary(self, cfg: CfgNode) -> None:
        """Print the sizes of the data set."""
        table: list[list[Any]] = [["Dataset", cfg.DATASET.NAME]]
        for name, domains in (("Source", cfg.DATASET.SOURCE_DOMAINS), ("Target", cfg.DATASET.TARGET_DOMAINS)):
            if domains:
                table.append([name, domains])
        table.append(["# classes", f"{self.num_classes:,}"])
        for split in ("train_x", "train_u", "val", "test"):
            items = getattr(self.dataset, split)
            if items:
                table.append([f"# {split}", f"{len(items):,}"])
        print(tabulate(table))


def _transform(cfg: CfgNode, custom: Any, is_train: bool) -> Any:
    if custom is None:
        return build_transform(cfg, is_train=is_train)
    print(f"* Using custom transform for {'training' if is_train else 'testing'}")
    return custom
