"""The adapters of BiomedCoOp's own code, run on the batches, the class directions and the validation images of ours.

Ours see features that NumPy draws, so that the numbers that were recorded from BiomedCoOp's code stand on all machines.
"""

import contextlib
import importlib
import math
import os
import types
from collections.abc import Iterator
from pathlib import Path
from unittest.mock import patch
from zlib import crc32

import numpy as np
import torch
import yaml
from torch import Tensor, nn
from torch.nn.functional import normalize
from torch.optim.lr_scheduler import LRScheduler
from torch.optim.optimizer import register_optimizer_step_pre_hook

from checkouts.checkout import checkout_at
from checkouts.compat import cpu_only
from trainers.base.labels import labels_of
from trainers.base.stored_features import StoredFeatures

CHECKOUT = os.environ.get("BIOMEDCOOP_CHECKOUT", "")
SCALE = 85.2323  # of BiomedCLIP's logits, as the code of Tip-Adapter writes it
DIM = 16


def drawn(*seed: int, rows: int) -> Tensor:
    """Return normal numbers [rows, DIM]."""
    return torch.from_numpy(np.random.default_rng(seed).standard_normal((rows, DIM))).float()


def features(labels: Tensor, noise: Tensor) -> Tensor:
    """Return unit features [N, DIM] that scatter about the direction of their class."""
    return normalize(drawn(0, rows=8)[labels] + 1.3 * noise, dim=1)


def views(trainer: StoredFeatures, numbers) -> Tensor:
    """Stands for `StoredFeatures.views`."""
    labels = labels_of(trainer.train_items)
    return torch.stack([features(labels, drawn(1, number, rows=len(labels))) for number in numbers])


def plain_features(trainer: StoredFeatures, items) -> Tensor:
    """Stands for `StoredFeatures.plain_features`."""
    names = ["/".join(Path(item.impath).parts[-2:]) for item in items]
    return features(labels_of(items), torch.cat([drawn(2, crc32(name.encode()), rows=1) for name in names]))


def directions(trainer: StoredFeatures, classnames: list[str], template: str) -> Tensor:
    """Stands for `template_features`: directions [C, DIM] that tell something of the classes."""
    return normalize(drawn(0, rows=8)[: len(classnames)] + 2.5 * drawn(3, rows=len(classnames)), dim=1)


def epochs_of(trainer) -> list[list[tuple[Tensor, Tensor]]]:
    """Return the batches of all epochs, which follow from the seed."""
    found = []
    for epoch in range(trainer.max_epoch):
        trainer.epoch = epoch
        trainer.seed_epoch()
        trainer.before_epoch()
        found.append([(batch["features"], batch["label"]) for batch in trainer.train_loader_x])
    return found


class Loader:
    """Yields the batches of one epoch after the other; the last epoch comes again when they are used up."""

    def __init__(self, epochs: list, length: int):
        self.epochs, self.length = list(epochs), length

    def __len__(self) -> int:
        return self.length

    def __iter__(self) -> Iterator:
        yield from self.epochs.pop(0) if len(self.epochs) > 1 else self.epochs[0]


class Model(nn.Module):
    """Stands for BiomedCLIP: its images are features already."""

    def __init__(self):
        super().__init__()
        self.visual, self.logit_scale = nn.Identity(), nn.Parameter(torch.tensor(math.log(SCALE)))
        self.text = types.SimpleNamespace(transformer=types.SimpleNamespace(dtype=torch.float32))

    def encode_image(self, images: Tensor) -> Tensor:
        return images.clone()  # the code divides them in place


@contextlib.contextmanager
def rates() -> Iterator[list[float]]:
    """Yield a list that gets the learning rate of each step of an optimizer."""
    found: list[float] = []
    handle = register_optimizer_step_pre_hook(
        lambda optimizer, *_: found.append(float(optimizer.param_groups[0]["lr"]))
    )
    try:
        yield found
    finally:
        handle.remove()


def percent_right(logits: Tensor, labels: Tensor) -> float:
    """Stands for `cls_acc`, which makes a number of an array of one, as NumPy does no more."""
    return 100 * int((logits.topk(1, dim=1).indices[:, 0] == labels).sum()) / len(labels)


@contextlib.contextmanager
def module_of(name: str) -> Iterator[types.ModuleType]:
    """Yield a module of the checkout, which finds no GPU, and PyTorch and NumPy as they were when it was written."""
    real = LRScheduler.__init__

    def with_verbose(self, optimizer, last_epoch=-1, verbose=False):  # an argument that PyTorch has removed
        real(self, optimizer, last_epoch)

    with checkout_at(CHECKOUT).checkout_modules(), cpu_only(), patch.object(LRScheduler, "__init__", with_verbose):
        module, utils = (importlib.import_module(each) for each in (name, "trainers.utils"))
        with patch.object(module, "cls_acc", percent_right), patch.object(utils, "cls_acc", percent_right):
            yield module


def their_settings(name: str) -> dict:
    """Return the content of the checkout's configs/trainers/<name>/few_shot.yaml."""
    return yaml.safe_load(Path(CHECKOUT, "configs", "trainers", name, "few_shot.yaml").read_text())


def call(method, trainer, epochs: list, length: int) -> float:
    """Run a method of BiomedCoOp; return its accuracy on the test images."""
    data = trainer.dm.dataset
    val, test = ((plain_features(trainer, items), labels_of(items)) for items in (data.val, data.test))
    loader, validation = Loader(epochs, length), [val]
    return method(loader, validation, *test, trainer.directions.T, Model(), data.classnames)[1]


def their_clip_adapter(trainer, start: tuple[Tensor, Tensor], folder: Path) -> dict:
    """Train their CLIP-Adapter from the weights `start` on the batches of ours."""
    epochs, made = epochs_of(trainer), []
    with module_of("trainers.ClipAdapter.clip_adapter_biomedclip") as module, rates() as seen:
        real = module.CustomCLIP

        def custom(model):
            made.append(real(model))
            made[0].adapter = module.Adapter(DIM, 4)  # theirs is for D = 512
            for layer, weight in zip((0, 2), start, strict=True):
                made[0].adapter.fc[layer].weight.data.copy_(weight.T)
            return made[0]

        with patch.object(module, "CustomCLIP", custom):
            method = module.ClipAdapter_BiomedCLIP(their_settings("CLIP_Adapter") | {"cache_dir": str(folder)})
            accuracy = call(method, trainer, epochs, len(epochs[0]))
    down, up = (made[0].adapter.fc[layer].weight.detach().T for layer in (0, 2))
    return {"rates": seen, "down": down, "up": up, "accuracy": accuracy}


def their_tip_adapter(trainer, keys: Tensor, folder: Path, **changes) -> dict:
    """Run their Tip-Adapter from `keys`, or with `finetune` their Tip-Adapter-F, on the batches of ours."""
    epochs, chosen = epochs_of(trainer), []
    settings = their_settings("TiP_Adapter") | {"cache_dir": str(folder)} | changes
    build = [(keys, labels_of(trainer.train_items))]
    with module_of("trainers.TipAdapter.tip_adapter_biomedclip") as module, rates() as seen:
        real = module.search_hp_tip_biomedclip

        def search(*args, **kwargs):
            chosen.extend(real(*args, **kwargs))
            return chosen

        with patch.object(module, "search_hp_tip_biomedclip", search):
            method = module.TIPAdapter_BiomedCLIP(settings)
            accuracy = call(method, trainer, [build, *epochs], len(epochs[0]) if epochs else 1)
    learned = torch.load(folder / "best_F_1shots.pt", weights_only=True).detach() if settings["finetune"] else keys
    beta, alpha = chosen
    return {"rates": seen, "keys": learned, "alpha": alpha, "beta": beta, "accuracy": accuracy}
