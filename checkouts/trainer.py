"""A trainer of another checkout, unchanged, between our data sets and our results."""

import contextlib
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from yacs.config import CfgNode

from checkouts.compat import cpu_only, older_transformers, one_gpu
from checkouts.hub import standing_in
from clip.build import is_phantom
from clip.digests import Digests
from dassl.engine import SimpleTrainer
from dassl.errors import UserError
from dassl.names import shared_name
from dassl.utils import choose_device, read_json, write_json
from datasets.base import PHANTOM_NOTICE, PHANTOMS
from trainers.base import checkpoints
from trainers.base.digests import config_digest, differing, of_images, of_training, tell_copies
from trainers.base.gradients import projected
from trainers.base.results import Results, device_facts, evaluate

PATHS = (("", "OUTPUT_DIR"), ("", "RESUME"), ("DATASET", "ROOT"), ("MODEL", "INIT_WEIGHTS"))
MARK = "settings.json"  # beside the checkpoints' folders: the settings that they were learned with


class Collector:
    """An evaluator that keeps what it is fed with: pairs of logits [B, C] and labels [B]."""

    def __init__(self, evaluator):
        self.evaluator, self.batches = evaluator, []

    def reset(self) -> None:
        self.batches = []
        self.evaluator.reset()

    def process(self, mo: Tensor, gt: Tensor) -> None:
        self.batches.append((mo.detach().float().cpu(), gt.cpu()))
        self.evaluator.process(mo, gt)

    def evaluate(self) -> dict[str, float]:
        return self.evaluator.evaluate()


class Foreign(SimpleTrainer):
    """What stands in front of a checkout's trainer: its own code runs among its own modules, and relative to its own
    folder; what its evaluator was fed with becomes our `predictions.csv` and `metrics.json`.

    The scores that it feeds are taken for logits. Without `cfg.USE_CUDA` and a GPU, what it puts on the GPU stays on
    the CPU.
    """

    checkout = None  # `foreign` sets it
    working = False
    learned: str | None = None  # digest of the checkpoint that was loaded
    on_test: Callable[[Results], None] | None = None  # called with the results of the last test

    def __init__(self, cfg: CfgNode):
        began = time.time()
        self.given, self.tested = cfg, []
        with self.at_work(), standing_in(cfg.MODEL.BACKBONE.NAME):
            super().__init__(_absolute(cfg))
        if getattr(self.dm.dataset, "phantom", False):
            print(PHANTOM_NOTICE)
        tell_copies(cfg, self.dm.dataset)
        self.evaluator = Collector(self.evaluator)
        self.seconds = {"start": time.time() - began}

    @contextlib.contextmanager
    def at_work(self) -> Iterator[None]:
        """The surroundings of the checkout's code; its methods call each other within them."""
        if self.working:
            yield
            return
        self.working = True
        gpu = choose_device(self.given.USE_CUDA).type == "cuda"
        try:
            with self.checkout.at_home(), older_transformers(), one_gpu() if gpu else cpu_only():
                yield
        finally:
            self.working = False

    def train(self) -> None:
        began = time.time()
        with self.at_work():
            super().train()
        self.seconds["train"] = time.time() - began - self.seconds.get("test", 0.0)
        if not self.given.TEST.NO_TEST:
            self.tell_results()

    def test(self, split: str | None = None) -> float:
        began = time.time()
        with self.at_work():
            accuracy = super().test(split)
        if split is None:  # not one of the tests on the way that choose an epoch
            self.tested = self.evaluator.batches
            self.seconds["test"] = time.time() - began
        if not self.working:
            self.tell_results()
        return accuracy

    def tell_results(self) -> None:
        """Hand over the results of the last test.

        Raises:
            UserError: the evaluator was not given the images of the split in their order.
        """
        dataset = self.dm.dataset
        items = dataset.val if self.given.TEST.SPLIT == "val" and dataset.val else dataset.test
        found = [label for _, labels in self.tested for label in labels.tolist()]
        if found != [item.label for item in items]:
            raise UserError(
                f"Expected {self.given.TRAINER.NAME} to give its evaluator the {len(items)} images of the split in "
                f"their order, but it gave {len(found)}, or other ones: its results are in log.txt alone."
            )
        logits, labels = map(torch.cat, zip(*self.tested, strict=True))
        results = evaluate(dataset, items, logits, labels, {})
        if self.on_test:
            self.on_test(results)

    def facts(self, items: list) -> dict[str, Any]:
        """Return what a run's record says of this trainer, tested on `items`."""
        name = self.given.MODEL.BACKBONE.NAME
        return {
            "phantom": getattr(self.dm.dataset, "phantom", False),
            "phantom_backbone": is_phantom(name),
            "backbone": shared_name(name),
            "backbone_revision": None,
            "sentences_per_class": 0,  # what it reads belongs to its code, whose digest is among the settings
            "loaded": self.learned is not None,
            "hashes": {
                **self.hashes(),
                "settings": config_digest(self.given, without=("SEED",)),
                "test": of_images(items, Digests(self.given.FEATURES.ROOT or None)),
                "learned": self.learned or checkpoints.digest(self._checkpoint(self.output_dir)),
                "backbone": None,
            },
            "device": device_facts(self.device, None),
            "seconds": {part: round(value, 2) for part, value in self.seconds.items()},
        }

    def prograd_backward_and_update(self, loss_a: Tensor, loss_b: Tensor, lambda_: float = 1, names=None) -> None:
        """The step that ProGrad's and BiomedCoOp's own Dassl has beside `model_backward_and_update`."""
        self.detect_anomaly({"a": loss_a, "b": loss_b})
        modules = [self._models[name] for name in self.get_model_names(names)]
        learned = [p for module in modules for p in module.parameters() if p.requires_grad]
        guides = torch.autograd.grad(loss_b, learned, retain_graph=True)
        for parameter, gradient, guide in zip(learned, torch.autograd.grad(loss_a, learned), guides, strict=True):
            parameter.grad = projected(gradient, guide, lambda_)
        self.model_update(names)

    # ------------------------------------------------------------------------------------------------- checkpoints

    def hashes(self) -> dict[str, str | None]:
        return {"config": config_digest(self.given), **of_training(self.given, self.dm.dataset)}

    def save_model(self, epoch: int, directory: str | Path, *args, **kwargs) -> None:
        write_json(self.hashes(), Path(directory) / MARK)
        super().save_model(epoch, directory, *args, **kwargs)

    def resume_model_if_exist(self, directory: str | Path) -> int:
        """As the toolbox does, which unpickles nothing; but not what was learned with other settings."""
        mark = Path(directory) / MARK
        if mark.is_file() and (different := differing(read_json(mark), self.hashes())):
            raise UserError(
                f"Expected {directory} to hold an unfinished run of this kind, but it has other {different}: "
                "choose another --output-dir (OUTPUT=...), or remove the folder to begin again."
            )
        return super().resume_model_if_exist(directory)

    def load_model(self, directory: str | Path, epoch: int | None = None) -> None:
        """Load the best epoch, where one was kept, or else the last one, unless `epoch` is given."""
        directory = Path(directory).absolute()
        folders = [directory / name for name in self.get_model_names()]
        if epoch is None and not any((folder / "model-best.pth.tar").is_file() for folder in folders):
            epoch = checkpoints.last_common_epoch(folders) or None
        self.learned = checkpoints.digest(self._checkpoint(directory, epoch))
        with self.at_work():
            super().load_model(str(directory), epoch=epoch)

    def _checkpoint(self, directory: str | Path, epoch: int | None = None) -> Path | None:
        """The first model's file in a run's folder."""
        return next((checkpoints.newest(Path(directory) / name, epoch) for name in self.get_model_names()), None)


def foreign(trainer: type, checkout) -> type[Foreign]:
    """`trainer` of `checkout` behind `Foreign`, under its own name."""
    return type(trainer.__name__, (Foreign, trainer), {"checkout": checkout})


def _absolute(cfg: CfgNode) -> CfgNode:
    """A copy whose paths mean the same in another folder."""
    cfg = cfg.clone()
    cfg.defrost()
    for section, key in PATHS:
        node = cfg[section] if section else cfg
        if node[key] and node[key] != PHANTOMS:
            node[key] = str(Path(node[key]).expanduser().absolute())
    cfg.freeze()
    return cfg
