"""Trainers of another checkout, whose unchanged code runs on our data sets and reports our results."""

import contextlib
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from yacs.config import CfgNode

from checkouts.compat import cpu_only, older_transformers, one_gpu
from checkouts.stand_in import stand_in
from checkouts.workplace import copy_code
from clip.build import is_phantom
from clip.digests import Digests
from dassl.console import shown, tell
from dassl.data.datasets import Datum
from dassl.engine import SimpleTrainer
from dassl.errors import UserError
from dassl.names import shared_name
from dassl.utils import choose_device, read_json, write_json
from datasets.base import PHANTOM_NOTICE, PHANTOMS
from trainers.base import checkpoints
from trainers.base.digests import check_copies, config_digest, differing, images_digest, training_digests
from trainers.base.gradients import projected
from trainers.base.labels import labels_of
from trainers.base.results import Results, device_facts, evaluate

if TYPE_CHECKING:
    from checkouts.checkout import Checkout

# Settings that are paths.
PATHS = (("", "OUTPUT_DIR"), ("", "RESUME"), ("DATASET", "ROOT"), ("MODEL", "INIT_WEIGHTS"), ("FEATURES", "ROOT"))
HASHES_FILE = "settings.json"  # beside the folders of checkpoints: the digests of the run that learned them


class Collector:
    """An evaluator that also keeps the batches that it gets: logits [B, C] and labels [B], on the CPU."""

    def __init__(self, evaluator: Any):
        self.evaluator = evaluator
        self.batches: list[tuple[Tensor, Tensor]] = []

    def reset(self) -> None:
        self.batches = []
        self.evaluator.reset()

    def process(self, mo: Tensor, gt: Tensor) -> None:
        self.batches.append((mo.detach().float().cpu(), gt.cpu()))
        self.evaluator.process(mo, gt)

    def evaluate(self) -> dict[str, float]:
        return self.evaluator.evaluate()


class CheckoutTrainer(SimpleTrainer):
    """Wraps a trainer of another checkout: `wrap_trainer` puts this class before it in the order of inheritance.

    It runs the trainer's code with the modules of the checkout, in a copy of the checkout, and reports the scores that
    the trainer gives its evaluator, which are taken as logits. Without `cfg.USE_CUDA` and a GPU, tensors that the
    code moves to a GPU stay on the CPU.

    Attributes:
        checkout: the checkout.
        run_cfg: configuration of the run, with paths as the user gave them.
        workplace: the copy in which the code works; no other trainer's code does.
        tested: batches of the last test.
        seconds: duration of the parts of a run, by name.
        hashes: digests of the settings, the images and the backbone of the run.
        learned: digest of the checkpoint that was loaded, None if none was.
        loaded_hashes: `hashes` of the run that learned it.
        on_test: called with the results of the last test.
    """

    checkout: "Checkout"
    learned: str | None = None
    loaded_hashes: dict[str, str | None] = {}  # noqa: RUF012 - replaced, never changed
    on_test: Callable[[Results], None] | None = None
    _inside = False  # whether its code runs just now
    _elapsed_waits = False  # whether its code would have printed how long training took

    def __init__(self, cfg: CfgNode):
        began = time.time()
        self.run_cfg = cfg
        self.workplace = copy_code(self.checkout.code, self)
        self.tested: list[tuple[Tensor, Tensor]] = []
        given = _with_absolute_paths(cfg)  # here, where relative paths are the user's
        # The stand-in comes first: it imports modules of our clip/, which are not found inside the checkout.
        with stand_in(cfg.MODEL.BACKBONE.NAME) as files, self.inside_checkout(), files.in_place():
            super().__init__(given)
        if getattr(self.dm.dataset, "phantom", False):
            tell(PHANTOM_NOTICE)
        if cfg.DATASET.SUBSAMPLE_CLASSES != "new":  # of novel classes no image may be opened before the test
            check_copies(cfg, self.dm.dataset)
        # Computed here, outside the checkout: the backbone's folder may be given relative to the working directory.
        self.hashes = {"config": config_digest(cfg), **training_digests(cfg, self.dm.dataset)}
        self.evaluator = Collector(self.evaluator)
        self.seconds = {"start": time.time() - began}

    @contextlib.contextmanager
    def inside_checkout(self) -> Iterator[None]:
        """Give code the modules, working directory, libraries and GPU that the checkout expects; may be nested."""
        if self._inside:
            yield
            return
        self._inside = True
        gpu = choose_device(self.run_cfg.USE_CUDA).type == "cuda"
        try:
            with (
                self.checkout.checkout_modules(workplace=self.workplace),
                older_transformers(),
                one_gpu() if gpu else cpu_only(),
            ):
                yield
        finally:
            self._inside = False

    def train(self) -> None:  # type: ignore[override] # as SimpleTrainer: the epochs come from the configuration
        began = time.time()
        with self.inside_checkout():
            super().train()
        self.seconds["train"] = time.time() - began - self.seconds.get("test", 0.0)
        if not self.run_cfg.TEST.NO_TEST:
            self.report_results()
        if self._elapsed_waits:
            super().tell_elapsed()

    def tell_elapsed(self) -> None:
        """Print nothing yet: the duration is the last line, and most results are computed outside the checkout."""
        self._elapsed_waits = True

    def test(self, split: str | None = None) -> float:
        began = time.time()
        with self.inside_checkout():
            accuracy = super().test(split)
        if split is None:  # a split is named by tests during training, which choose an epoch
            self.tested = self.evaluator.batches
            self.seconds["test"] = time.time() - began
        if not self._inside:
            self.report_results()
        return accuracy

    def report_results(self) -> None:
        """Pass the results of the last test to `on_test`.

        Raises:
            UserError: the trainer did not give its evaluator the images of the split in their order.
        """
        dataset = self.dm.dataset
        items = dataset.val if self.run_cfg.TEST.SPLIT == "val" and dataset.val else dataset.test
        found = [label for _, labels in self.tested for label in labels.tolist()]
        if found != labels_of(items).tolist():
            raise UserError(
                f"Expected {self.run_cfg.TRAINER.NAME} to give its evaluator the {len(items)} images of the split in "
                f"their order, but it gave {len(found)}, or other ones: its results are in log.txt alone."
            )
        if self.run_cfg.DATASET.SUBSAMPLE_CLASSES == "new":
            check_copies(self.run_cfg, dataset)
        logits, labels = map(torch.cat, zip(*self.tested, strict=True))
        results = evaluate(dataset, items, logits, labels, {})
        if self.on_test:
            self.on_test(results)

    def facts(self, items: Sequence[Datum]) -> dict[str, Any]:
        """Return the fields of a run's record that this trainer knows, after a test on `items`."""
        name = self.run_cfg.MODEL.BACKBONE.NAME
        return {
            "phantom": getattr(self.dm.dataset, "phantom", False),
            "phantom_backbone": is_phantom(name),
            "backbone": shared_name(name),
            "backbone_revision": None,
            "sentences_per_class": 0,  # its sentences belong to its code, whose digest is among the settings
            "prompts": None,
            "loaded": self.learned is not None,
            "hashes": {
                **self.hashes,
                "settings": config_digest(self.run_cfg, without=("SEED",)),
                "test": images_digest(items, Digests(self.run_cfg.FEATURES.ROOT or None)),
                "learned": self.learned or checkpoints.digest(self._checkpoint(self.output_dir)),
                "backbone": None,
            },
            "device": device_facts(self.device, None),
            "seconds": {part: round(value, 2) for part, value in self.seconds.items()},
        }

    def prograd_backward_and_update(self, loss_a: Tensor, loss_b: Tensor, lambda_: float = 1, names=None) -> None:
        """Take a ProGrad step; the Dassl of ProGrad and of BiomedCoOp has this method.

        Theirs scales a guide that is nothing but rounding to unit length, and projects it out; here it counts as zero
        (see `trainers.base.gradients`).

        Args:
            loss_a: the loss that is minimised.
            loss_b: the loss whose gradient guides.
            lambda_: share of the conflicting component that is removed.
            names: of the models; None is all.
        """
        self.detect_anomaly({"a": loss_a, "b": loss_b})
        modules = [self._models[name] for name in self.get_model_names(names)]
        learned = [p for module in modules for p in module.parameters() if p.requires_grad]
        guides = torch.autograd.grad(loss_b, learned, retain_graph=True)
        for parameter, gradient, guide in zip(learned, torch.autograd.grad(loss_a, learned), guides, strict=True):
            parameter.grad = projected(gradient, guide, lambda_)
        self.model_update(names)

    # ------------------------------------------------------------------------------------------------- checkpoints

    def save_model(self, epoch: int, directory: str | Path, *args: Any, **kwargs: Any) -> None:
        """Write the digests of the run, and then the checkpoints as the checkout's trainer does."""
        write_json(self.hashes, Path(directory) / HASHES_FILE)
        super().save_model(epoch, directory, *args, **kwargs)

    def resume_model_if_exist(self, directory: str | Path) -> int:
        """Resume as the toolbox does, without unpickling objects, and return the number of finished epochs.

        Raises:
            UserError: the run in `directory` has other settings, images or weights.
        """
        found = _read_hashes(directory)
        if found is not None and (different := differing(found, self.hashes)):
            raise UserError(
                f"Expected {directory} to hold an unfinished run of this kind, but it has other {different}: "
                "choose another --output-dir (OUTPUT=...), or remove the folder to begin again."
            )
        return super().resume_model_if_exist(directory)

    def load_model(self, directory: str | Path, epoch: int | None = None) -> None:
        """Load the checkpoint of `epoch` if given, else the best if there is one, else the last."""
        directory = Path(directory).absolute()
        folders = [directory / name for name in self.get_model_names()]
        if epoch is None and not any((folder / "model-best.pth.tar").is_file() for folder in folders):
            epoch = checkpoints.last_common_epoch(folders) or None
        self.learned = checkpoints.digest(self._checkpoint(directory, epoch))
        self.loaded_hashes = _read_hashes(directory) or {}
        with self.inside_checkout():
            super().load_model(str(directory), epoch=epoch)

    def _checkpoint(self, directory: str | Path, epoch: int | None = None) -> Path | None:
        """Return the checkpoint of the first model in the folder of a run, None if there is none."""
        return next((checkpoints.newest(Path(directory) / name, epoch) for name in self.get_model_names()), None)


def wrap_trainer(trainer: type, checkout: "Checkout") -> type[CheckoutTrainer]:
    """Return a subclass of a trainer of `checkout`, with the same name, that is a `CheckoutTrainer`."""
    return type(trainer.__name__, (CheckoutTrainer, trainer), {"checkout": checkout})


def _read_hashes(directory: str | Path) -> dict[str, str | None] | None:
    """Return the digests of the run whose checkpoints lie in `directory`; None if it left none."""
    file = Path(directory) / HASHES_FILE
    if not file.is_file():
        return None
    found = read_json(file)
    if not isinstance(found, dict):
        raise UserError(f"Expected digests by name in {file}, but got {shown(found)}: train again.")
    return found


def _with_absolute_paths(cfg: CfgNode) -> CfgNode:
    """Return a frozen copy whose paths are absolute, and so valid in every working directory."""
    cfg = cfg.clone()
    cfg.defrost()
    for section, key in PATHS:
        node = cfg[section] if section else cfg
        if node[key] and node[key] != PHANTOMS:
            node[key] = str(Path(node[key]).expanduser().absolute())
    cfg.freeze()
    return cfg
