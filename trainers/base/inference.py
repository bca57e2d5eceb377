"""A method that only predicts: it is built from the names of the classes and a checkpoint, and learns nothing."""

import contextlib
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import torch
from torch import Tensor, nn
from yacs.config import CfgNode

from dassl.data.datasets import Datum
from dassl.data.transforms import build_transform
from trainers.base.feature_trainer import FeatureTrainer


class NeedsImages(Exception):
    """Raised where a trainer looks at images of a data set that has not been read."""


class Unread(Sequence[Datum]):
    """The images of a data set that has not been read. There may be some; to look at them raises `NeedsImages`."""

    def __bool__(self) -> bool:
        return True

    def __len__(self) -> int:
        raise NeedsImages

    def __getitem__(self, place: Any) -> Any:
        raise NeedsImages


class ClassesOnly:
    """What is known of a data set without its images.

    Args:
        key: its name, by which banks of sentences are found.
        classnames: C names in the order of labels.
        prompt_bank: file of sentences that lies beside the images, or None.
    """

    def __init__(self, key: str, classnames: Sequence[str], prompt_bank: Path | None = None):
        self.key, self.classnames, self.prompt_bank = key, list(classnames), prompt_bank
        self.num_classes, self.lab2cname = len(classnames), dict(enumerate(classnames))
        self.train_x = self.val = self.test = Unread()


class Predicting(FeatureTrainer):
    """A method without loader, optimizer and digests: `build_method` and `load_model` are all of it."""

    given: Any  # the data set, or `ClassesOnly` in its place

    def build_data_manager(self) -> Any:
        with Path(os.devnull).open("w") as silence, contextlib.redirect_stdout(silence):
            train, test = (build_transform(self.cfg, is_train=is_train) for is_train in (True, False))
        known = {name: getattr(self.given, name) for name in ("num_classes", "lab2cname")}
        return SimpleNamespace(dataset=self.given, train_transform=train, test_transform=test, **known)

    def build_train_loader(self) -> None:
        """Build none."""

    def build_model(self) -> None:
        self.read, self.hashes = {}, {}
        with torch.random.fork_rng(devices=[]):  # what is drawn is loaded over
            self.build_method(self.given.classnames)

    def learn(self, name: str, module: nn.Module, **optim: Any) -> None:
        """Register a module, as it will not be optimised."""
        self.register_model(name, module.to(self.device))

    def load_model(self, directory: str | Path, epoch: int | None = None) -> None:
        if self.get_model_names():
            super().load_model(directory, epoch)
        for name in self.get_model_names():
            self._models[name].requires_grad_(False)
        self.set_model_mode("eval")

    def fill(self, name: str, state: dict[str, Any], folder: Path) -> None:
        """Load the tensors that a test needs, in as many `rows` as were learned."""
        module = self._models[name]
        needed = {key: state["state_dict"][key] for key in module.state_dict() if key in state["state_dict"]}
        set_rows(module, needed)
        super().fill(name, state | {"state_dict": needed}, folder)

    def _check_backbone(self, state: dict, folder: Path) -> None:
        """Check nothing: its place may have another name, and who loads the run compares its fingerprint."""


def predicting(method: type[FeatureTrainer], cfg: CfgNode, given: Any) -> Predicting:
    """Return a method that only predicts, without what it has learned, which `load_model` brings.

    Args:
        method: its class.
        cfg: settings of the run.
        given: the data set, or `ClassesOnly` in its place.

    Raises:
        NeedsImages: the method looks at images, and there are none.
    """
    trainer: Predicting = type(method.__name__, (Predicting, method), {"given": given})(cfg)
    return trainer


def set_rows(module: nn.Module, tensors: Mapping[str, Tensor]) -> None:
    """Give those tensors of a module that its `rows` names as many rows as `tensors` have, if the number is one.

    >>> class Keys(nn.Module):
    ...     rows = ("keys",)
    ...     def __init__(self):
    ...         super().__init__()
    ...         self.keys, self.alpha = nn.Parameter(torch.zeros(0, 2)), nn.Parameter(torch.zeros(1))
    >>> module = Keys()
    >>> set_rows(module, {"keys": torch.ones(3, 2), "alpha": torch.ones(3)})
    >>> {name: tuple(tensor.shape) for name, tensor in module.state_dict().items()}
    {'keys': (3, 2), 'alpha': (1,)}
    """
    names: Sequence[str] = getattr(module, "rows", ())
    counts = {len(tensors[name]) if name in tensors and tensors[name].ndim else -1 for name in names}
    if len(counts) != 1 or -1 in counts:
        return
    (count,) = counts
    for name in names:
        old = getattr(module, name)
        new = old.new_zeros(count, *old.shape[1:])
        setattr(module, name, nn.Parameter(new) if isinstance(old, nn.Parameter) else new)
