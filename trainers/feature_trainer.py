"""The base of every method: stored image features in, logits out, a checkpoint of what was learned.

The frozen image tower runs once per image and view (`clip.FeatureStore`); what reaches a method are mini-batches of
features. The loop, its log lines and the checkpoint files are Dassl's.
"""

import contextlib
import math
import time
from collections.abc import Iterator, Sequence
from datetime import timedelta
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from yacs.config import CfgNode

from clip import Backbone, FeatureStore, build_backbone
from clip.revisions import note_revision
from dassl.engine import TrainerX
from dassl.errors import DivergedError, UserError
from dassl.images import Reading, reading_of
from dassl.metrics import compute_accuracy
from dassl.names import check_name, shared_name
from dassl.optim import build_lr_scheduler, build_optimizer
from dassl.utils import get_random_state, set_random_seed, set_random_state
from datasets.base import PHANTOM_NOTICE
from trainers import checkpoints
from trainers.digests import differing, of_training, tell_copies
from trainers.feature_loader import FeatureLoader
from trainers.results import config_digest, method_settings, write_results

VIEWS_AT_ONCE = 50_000  # image views held in memory: 100 MB at D = 512
Step = tuple[Tensor, dict[str, Tensor]]  # logits [B, C], and the weighted loss terms by name


@lru_cache(maxsize=1)
def frozen(
    name: str, device: str, precision: str, root: str, workers: int, reading: Reading
) -> tuple[Backbone, FeatureStore]:
    """Backbone and feature store: runs of one process share them."""
    backbone = build_backbone(name, device, precision)
    note_revision(backbone, root or None)
    return backbone, FeatureStore(backbone, root or None, workers=workers, reading=reading)


def set_input(cfg: CfgNode, backbone: Backbone) -> None:
    """Set the size, pixel statistics and interpolation of images: a frozen backbone knows them better than a yaml."""
    cfg.INPUT.SIZE = (backbone.image_size, backbone.image_size)
    cfg.INPUT.PIXEL_MEAN, cfg.INPUT.PIXEL_STD = list(backbone.mean), list(backbone.std)
    cfg.INPUT.INTERPOLATION = backbone.interpolation


class FeatureTrainer(TrainerX):
    """What all methods share. A method overrides `build_method`, `logits` and, where it learns, `loss`.

    It is found by being in trainers/ and registering itself. In its own body its class may set `short`, its name on
    command lines (else the class's name in lower case), and `seedless = True` if one run stands for every seed.
    """

    together = 1  # runs whose steps are taken together, and which share the time that these take
    random_state: dict[str, Any] | None = None  # of the run's own random numbers, while several runs take turns
    sentences: tuple[int, str | None] = (0, None)  # that were read of each class: their number and digest
    learned: str | None = None  # digest of the checkpoint that is tested
    loaded = False  # whether it is that of an earlier run
    loaded_hashes: dict[str, str | None] = {}  # noqa: RUF012 - replaced, never changed; what it was learned from

    @staticmethod
    def defaults() -> CfgNode:
        """The method's settings: the node of `cfg.TRAINER` that bears its name in capitals."""
        return CfgNode({"PREC": "fp32"})  # of the frozen towers: "fp32", "tf32" or "bf16"

    # ------------------------------------------------------------------------------------- what a method supplies

    def build_method(self, classnames: list[str]) -> None:
        """Make what the method needs, and `learn()` each module that has parameters."""

    def logits(self, features: Tensor) -> Tensor:
        """Logits [B, C] of unit image features [B, D]."""
        raise NotImplementedError

    def loss(self, features: Tensor, labels: Tensor) -> Step:
        """Logits [B, C] and the weighted loss terms, by name, whose sum is minimised."""
        raise NotImplementedError

    @staticmethod
    def losses(trainers: Sequence["FeatureTrainer"], batches: Sequence[tuple[Tensor, Tensor]]) -> list[Step]:
        """`loss` of several trainers of this class, which a method may compute together: the same but for rounding."""
        steps = []
        for trainer, batch in zip(trainers, batches, strict=True):
            with trainer.drawing():
                steps.append(trainer.loss(*batch))
        return steps

    @staticmethod
    def backward(trainers: Sequence["FeatureTrainer"], steps: Sequence[Step]) -> None:
        """Gradients of several trainers of this class; each one's terms reach its own parameters alone."""
        sum(sum(terms.values()) for _, terms in steps).backward()

    def extra_metrics(self, features: Tensor, labels: Tensor) -> dict[str, float]:
        """Further figures (percent) of the features [N, D] and labels [N] that were tested."""
        return {}

    @property
    def class_bound(self) -> bool:
        """Whether what is learned belongs to these classes and cannot meet others."""
        return False

    @contextlib.contextmanager
    def drawing(self) -> Iterator[None]:
        """Draw the random numbers that this run draws alone, although others draw in between."""
        if self.random_state is None:
            yield
            return
        set_random_state(self.random_state)
        yield
        self.random_state = get_random_state(cuda=self.device.type == "cuda")

    # ------------------------------------------------------------------------------------------------ construction

    @property
    def settings(self) -> CfgNode:
        return method_settings(self.cfg)

    def build_data_loader(self) -> None:
        cfg = self.cfg
        self.started = time.time()
        self.backbone, self.store = frozen(
            cfg.MODEL.BACKBONE.NAME,
            str(self.device),
            self.settings.PREC,
            cfg.FEATURES.ROOT,
            cfg.DATALOADER.NUM_WORKERS,
            reading_of(cfg),
        )
        self.store.said.clear()  # each run says what is assumed about its images
        cfg.defrost()
        set_input(cfg, self.backbone)
        cfg.freeze()
        super().build_data_loader()
        self.train_items = self.dm.dataset.train_x
        self.train_transform = self.train_loader_x.dataset.transform
        self.test_transform = self.test_loader.dataset.transform
        self.train_loader_x = FeatureLoader(
            self.train_features,
            torch.tensor([item.label for item in self.train_items], device=self.device),
            cfg.DATALOADER.TRAIN_X.BATCH_SIZE,
            cfg.SEED,
        )
        self._views: dict[int, Tensor] = {}

    def build_model(self) -> None:
        cfg = self.cfg
        classnames = self.dm.dataset.classnames
        if "phantom" in vars(self.dm.dataset) and self.dm.dataset.phantom:
            print(PHANTOM_NOTICE)
        b = self.backbone
        print(f"Backbone: {b.name} (D = {b.embed_dim}, {b.image_size} px), {len(classnames)} classes")
        if cfg.SEED >= 0:  # a method's first values follow from the seed alone, whoever has loaded the backbone
            set_random_seed(cfg.SEED)
        self.build_method(classnames)
        self.hashes = {"config": config_digest(cfg), "sentences": self.sentences[1]}
        self.hashes |= of_training(cfg, self.dm.dataset)
        tell_copies(cfg, self.dm.dataset)
        learned = [p for name in self.get_model_names() for p in self._models[name].parameters()]
        print(f"Learned parameters: {sum(p.numel() for p in learned):,} in {self.get_model_names() or 'none'}")
        print_freq = min(cfg.TRAIN.PRINT_FREQ, len(self.train_loader_x))  # at least one line an epoch, not one a batch
        cfg.defrost()
        cfg.TRAIN.PRINT_FREQ = print_freq
        cfg.freeze()
        self.built_state = get_random_state(cuda=self.device.type == "cuda")
        self.seconds = {"start": time.time() - self.started}

    def learn(self, name: str, module: nn.Module, **optim) -> None:
        """Register a module to be optimised and kept as `<run>/<name>/`; `optim` overrides keys of cfg.OPTIM."""
        optim_cfg = self.cfg.OPTIM.clone()
        optim_cfg.merge_from_list([x for pair in optim.items() for x in pair])
        module.to(self.device)
        optimizer = build_optimizer(module, optim_cfg)
        self.register_model(name, module, optimizer, build_lr_scheduler(optimizer, optim_cfg))

    # ---------------------------------------------------------------------------------------------------- features

    def train_features(self, epoch: int) -> Tensor:
        """Features [N, D] of the support set as epoch `epoch` sees it: view `epoch`, or one of FEATURES.VIEWS.

        They lie on the device, so that a step copies nothing to it."""
        views = self.cfg.FEATURES.VIEWS
        wanted = epoch % views if views else epoch
        if wanted not in self._views:  # encode many epochs' views in one go
            block = max(1, VIEWS_AT_ONCE // len(self.train_items))
            last = min(wanted + block, views or self.max_epoch)
            numbers = list(range(wanted, max(last, wanted + 1)))
            paths = [item.impath for item in self.train_items]
            features = self.store.images(
                paths * len(numbers), self.train_transform, [v for v in numbers for _ in paths]
            ).to(self.device)
            self._views = dict(zip(numbers, features.view(len(numbers), len(paths), -1), strict=True))
        return self._views[wanted]

    def plain_features(self, items: list) -> Tensor:
        """Features [N, D] of data items under the test transform (no augmentation)."""
        return self.store.images([item.impath for item in items], self.test_transform).to(self.device)

    # ---------------------------------------------------------------------------------------------------- training

    @property
    def iteration(self) -> int:
        """Number of steps taken before this one."""
        return self.epoch * len(self.train_loader_x) + self.batch_idx

    @property
    def total_iterations(self) -> int:
        return self.max_epoch * len(self.train_loader_x)

    def before_train(self) -> None:
        if self.max_epoch and type(self).loss is FeatureTrainer.loss:
            raise UserError(
                f"Expected OPTIM.MAX_EPOCH to be 0, but got {self.max_epoch}: {self.cfg.TRAINER.NAME} does not learn "
                "in epochs."
            )
        self.start_epoch = self.resume_model_if_exist(self.cfg.RESUME or self.output_dir)
        self.time_start = time.time()

    def before_epoch(self) -> None:
        self.train_loader_x.epoch = self.epoch

    def parse_batch_train(self, batch: dict[str, Tensor]) -> tuple[Tensor, Tensor]:
        return batch["img"].to(self.device), batch["label"].to(self.device)

    def forward_backward(self, batch: dict[str, Tensor]) -> dict[str, float]:
        batch = self.parse_batch_train(batch)
        (step,) = self.losses([self], [batch])
        summary = self.summary(step, batch[1])
        self.model_zero_grad()
        self.backward([self], [step])
        self.update()
        return summary

    def summary(self, step: Step, labels: Tensor) -> dict[str, float]:
        """Figures for the log, brought to the CPU in one go.

        Raises:
            DivergedError: a term is not finite; names it.
        """
        logits, terms = step
        *values, accuracy = torch.stack([*terms.values(), compute_accuracy(logits, labels)[0].squeeze()]).tolist()
        for name, value in zip(terms, values, strict=True):
            if not math.isfinite(value):
                raise DivergedError(
                    f"Expected finite loss terms, but {name} is {value} at epoch {self.epoch + 1}, batch "
                    f"{self.batch_idx + 1}: lower OPTIM.LR or the weight of {name}; the last good epoch is kept."
                )
        shown = dict(zip(terms, values, strict=True)) if len(terms) > 1 else {}
        return {"loss": sum(values), "acc": accuracy} | shown

    def update(self) -> None:
        """Step the optimizers, and the schedulers after an epoch's last batch."""
        self.model_update()
        if self.batch_idx + 1 == self.num_batches:
            self.update_lr()

    def after_epoch(self) -> None:
        self.save_model(self.epoch, self.output_dir)

    def after_train(self) -> None:
        print("Finish training")
        self.seconds["train"] = (time.time() - self.time_start) / self.together
        for name in self.get_model_names()[:1]:
            self.learned = checkpoints.digest(checkpoints.newest(Path(self.output_dir) / name))
        if not self.cfg.TEST.NO_TEST:
            self.test()
        print(f"Elapsed: {timedelta(seconds=round(time.time() - self.time_start))}")

    # ------------------------------------------------------------------------------------------------- checkpoints

    def save_model(self, epoch: int, directory: str, is_best=False, val_result=None, model_name="") -> None:
        """Keep the learned tensors of this epoch, with the optimizer's state while there are epochs to come."""
        unfinished = epoch + 1 < self.max_epoch
        for name in self.get_model_names():
            state = {
                "state_dict": self._models[name].state_dict(),
                "epoch": epoch + 1,
                "classnames": self.dm.dataset.classnames,
                "backbone": shared_name(self.backbone.name),
                "hashes": self.hashes,
            }
            if unfinished:
                state["optimizer"] = self._optims[name].state_dict()
                state["scheduler"] = self._scheds[name].state_dict()
            checkpoints.save(state, Path(directory) / name, quiet=unfinished)
        for name in self.get_model_names():  # only now, so that one epoch is always there in full
            checkpoints.keep_only(Path(directory) / name, epoch + 1)

    def resume_model_if_exist(self, directory: str) -> int:
        """Number of epochs found done in `directory`; their state is loaded."""
        names = self.get_model_names()
        epoch = checkpoints.last_common_epoch([Path(directory) / name for name in names])
        if not epoch:
            return 0
        for name in names:
            state = checkpoints.load(Path(directory) / name, epoch)
            if different := differing(state.get("hashes", {}), self.hashes):
                raise UserError(
                    f"Expected {directory} to hold an unfinished run of this kind, but it has other {different}: "
                    "choose another --output-dir (OUTPUT=...), or remove the folder to begin again."
                )
            with checkpoints.fitting(Path(directory) / name):
                self._models[name].load_state_dict(state["state_dict"])
                if "optimizer" in state:
                    self._optims[name].load_state_dict(state["optimizer"])
                    self._scheds[name].load_state_dict(state["scheduler"])
        print(f"Resuming from epoch {epoch} of {self.max_epoch} in {directory}")
        return epoch

    def load_model(self, directory: str, epoch: int | None = None) -> None:
        """Load what a run in `directory` learned (its last epoch by default) to test it, maybe on other classes.

        Raises:
            UserError: no such checkpoint.
            UserError: learned with another backbone, or with one context per class for other classes.
        """
        for name in self.get_model_names()[:1]:  # the others serve training only
            folder = Path(directory) / name
            epoch = epoch or checkpoints.last_common_epoch([folder])
            state = checkpoints.load(folder, epoch)
            self.loaded, self.learned = True, checkpoints.digest(checkpoints.newest(folder, epoch))
            self.loaded_hashes = state.get("hashes", {})
            found, mine = state.get("backbone"), shared_name(self.backbone.name)
            found = check_name(shared_name(found) if isinstance(found, str) else found, "backbone", str(folder))
            if found != mine:
                raise UserError(
                    f"Expected a checkpoint learned with {mine}, but {folder} was learned with {found}: give that one "
                    "by --backbone."
                )
            backbone = {key: value for key, value in self.hashes.items() if key == "backbone_files"}
            if different := differing(self.loaded_hashes, backbone):
                raise UserError(
                    f"Expected a checkpoint learned with this {mine}, but {folder} was learned with "
                    f"other {different}: train again."
                )
            expected = {k: tuple(v.shape) for k, v in self._models[name].state_dict().items()}
            found = {k: tuple(v.shape) for k, v in state["state_dict"].items()}
            other = self.class_bound and state["classnames"] != self.dm.dataset.classnames
            if other or expected != found:
                raise UserError(
                    f"Expected tensors {expected}, but {folder} holds {found}, learned for the classes "
                    f"{state['classnames']}: test with the same settings (CSC True cannot meet other classes)."
                )
            self._models[name].load_state_dict(state["state_dict"])
            print(f"Loaded {name} of epoch {state['epoch']} from {directory}")

    # --------------------------------------------------------------------------------------------------------- test

    @torch.no_grad()
    def test(self, split: str | None = None) -> float:
        """Accuracy (percent) on the test split (or cfg.TEST.SPLIT), printed, and written with the predictions."""
        self.set_model_mode("eval")
        began = time.time()
        split = split or self.cfg.TEST.SPLIT
        items = self.dm.dataset.val if split == "val" else self.dm.dataset.test
        if not items:
            raise UserError(f"Expected images in the {split} split of {self.cfg.DATASET.NAME}, but it has none.")
        print(f"Evaluate on the *{split}* set")
        features = self.plain_features(items)
        labels = torch.tensor([item.label for item in items])
        logits = self.logits(features).float().cpu()
        self.evaluator.reset()
        self.evaluator.process(logits, labels)
        accuracy = self.evaluator.evaluate()["accuracy"]
        self.seconds["test"] = time.time() - began
        write_results(self, items, logits, labels, self.extra_metrics(features, labels))
        return accuracy
