"""Trainers whose data, epochs and evaluation come from a configuration."""

import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from yacs.config import CfgNode

from dassl.data import DataManager
from dassl.evaluation import build_evaluator
from dassl.progress import bar
from dassl.utils import (
    AverageMeter,
    MetricMeter,
    choose_device,
    derive_seed,
    load_checkpoint,
    set_deterministic,
    set_random_seed,
)
from dassl.utils.checkpoint import BEST

from .base import TrainerBase


class SimpleTrainer(TrainerBase):
    """A trainer whose data, epochs and evaluation come from a configuration; a subclass defines `build_model`.

    With `cfg.SEED` >= 0 the random generators are seeded from (seed, epoch) in each epoch, so that a resumed run equals
    an uninterrupted one.
    """

    model: Any  # set by `build_model`

    def __init__(self, cfg: CfgNode) -> None:
        super().__init__()
        self.check_cfg(cfg)
        if cfg.DETERMINISTIC:
            set_deterministic(True)
        self.device = choose_device(cfg.USE_CUDA)
        self.max_epoch = cfg.OPTIM.MAX_EPOCH
        self.output_dir = cfg.OUTPUT_DIR
        self.cfg = cfg
        self.build_data_loader()
        self.build_model()
        self.evaluator = build_evaluator(cfg, lab2cname=self.lab2cname)
        self.best_result = float("-inf")

    def check_cfg(self, cfg: CfgNode) -> None:
        """Raise an error if the configuration does not fit this trainer."""

    def build_data_loader(self) -> None:
        """Set the data manager, its loaders and its class names; a subclass may set the same attributes otherwise."""
        self.dm = dm = DataManager(self.cfg)
        self.train_loader_x = dm.train_loader_x
        self.train_loader_u = dm.train_loader_u
        self.val_loader = dm.val_loader
        self.test_loader = dm.test_loader
        self.num_classes = dm.num_classes
        self.num_source_domains = dm.num_source_domains
        self.lab2cname = dm.lab2cname

    def build_model(self) -> None:
        """Build and register the model, its optimiser and its scheduler."""
        raise NotImplementedError(
            f"Expected {type(self).__name__} to have build_model(), but it has none: define it, and register a model "
            "there."
        )

    def train(self) -> None:  # type: ignore[override] # Dassl's interface: the epochs come from the configuration
        """Train from the newest checkpoint, or from scratch, to `max_epoch`."""
        super().train(self.start_epoch, self.max_epoch)

    def seed_epoch(self) -> None:
        if self.cfg.SEED < 0:
            return
        seed = derive_seed(self.cfg.SEED, self.epoch)
        set_random_seed(seed)
        for loader in ("train_loader_x", "train_loader_u"):
            generator = getattr(getattr(self, loader, None), "generator", None)
            if generator is not None:
                generator.manual_seed(seed)

    def before_train(self) -> None:
        self.start_epoch = self.resume_model_if_exist(self.cfg.RESUME or self.cfg.OUTPUT_DIR)
        if self.start_epoch > 0 and self._keeps_best():
            best = Path(self.output_dir) / self.get_model_names()[0] / BEST
            self.best_result = load_checkpoint(best)["val_result"] if best.is_file() else self.best_result
        if self.cfg.TENSORBOARD:
            self.init_writer(Path(self.output_dir) / "tensorboard")
        self.time_start = time.time()

    def after_train(self) -> None:
        print("Finish training")
        if not self.cfg.TEST.NO_TEST:
            if self._keeps_best():
                print("Deploy the model with the best val performance")
                self.load_model(self.output_dir)
            else:
                print("Deploy the last-epoch model")
            self.test()
        self.tell_elapsed()
        self.close_writer()

    def tell_elapsed(self) -> None:
        """Print the time since training began."""
        print(f"Elapsed: {timedelta(seconds=round(time.time() - self.time_start))}")

    def after_epoch(self) -> None:
        done = self.epoch + 1
        if self._keeps_best():
            result = self.test(split="val")
            if result > self.best_result:
                self.best_result = result
                self.save_model(self.epoch, self.output_dir, val_result=result, model_name=BEST)
        every = self.cfg.TRAIN.CHECKPOINT_FREQ
        if done == self.max_epoch or (every > 0 and done % every == 0):
            self.save_model(self.epoch, self.output_dir)

    def _keeps_best(self) -> bool:
        return self.cfg.TEST.FINAL_MODEL == "best_val" and not self.cfg.TEST.NO_TEST

    @torch.no_grad()
    def test(self, split: str | None = None) -> float:
        """Evaluate on a split.

        Args:
            split: "val" or "test"; None is TEST.SPLIT. Without validation images, "val" is replaced by "test".

        Returns:
            The first result of the evaluator: accuracy in percent.
        """
        self.set_model_mode("eval")
        self.evaluator.reset()
        split = split or self.cfg.TEST.SPLIT
        if split != "val" or self.val_loader is None:
            split = "test"
        print(f"Evaluate on the *{split}* set")
        for batch in bar(self.val_loader if split == "val" else self.test_loader):
            images, labels = self.parse_batch_test(batch)
            self.evaluator.process(self.model_inference(images), labels)
        results = self.evaluator.evaluate()
        for name, value in results.items():
            self.write_scalar(f"{split}/{name}", value, self.epoch)
        return next(iter(results.values()))

    def model_inference(self, input: Tensor) -> Tensor:
        return self.model(input)

    def parse_batch_test(self, batch: dict[str, Any]) -> tuple[Tensor, Tensor]:
        return batch["img"].to(self.device), batch["label"].to(self.device)


class TrainerX(SimpleTrainer):
    """A trainer that calls `forward_backward` on each batch of labelled images in `train_loader_x`.

    Attributes:
        on_step: called after each batch with the trainer and the figures of the batch.
    """

    on_step: Callable[["TrainerX", dict[str, float]], None] | None = None

    def run_epoch(self) -> None:
        self.begin_steps()
        for self.batch_idx, batch in enumerate(self.train_loader_x):  # noqa: B020 - trainers read it
            self.data_time.update(time.time() - self.step_end)
            self.end_step(self.forward_backward(batch))

    @property
    def print_freq(self) -> int:
        """Number of batches from one line of the log to the next."""
        return self.cfg.TRAIN.PRINT_FREQ

    def begin_steps(self) -> None:
        """Set the training mode and new meters before the first batch of an epoch."""
        self.set_model_mode("train")
        self.loss_meters, self.batch_time, self.data_time = MetricMeter(), AverageMeter(), AverageMeter()
        self.num_batches = len(self.train_loader_x)
        self.step_end = time.time()

    def end_step(self, loss_summary: dict[str, float]) -> None:
        """Add the figures of a batch to the meters, the log and the curves."""
        self.batch_time.update(time.time() - self.step_end)
        self.loss_meters.update(loss_summary)
        if (self.batch_idx + 1) % self.print_freq == 0 or self.num_batches < self.print_freq:
            left = (self.max_epoch - self.epoch) * self.num_batches - self.batch_idx - 1
            print(
                f"epoch [{self.epoch + 1}/{self.max_epoch}] "
                f"batch [{self.batch_idx + 1}/{self.num_batches}] "
                f"time {self.batch_time.val:.3f} ({self.batch_time.avg:.3f}) "
                f"data {self.data_time.val:.3f} ({self.data_time.avg:.3f}) "
                f"{self.loss_meters} "
                f"lr {self.get_current_lr():.4e} "
                f"eta {timedelta(seconds=int(self.batch_time.avg * left))}"
            )
        step = self.epoch * self.num_batches + self.batch_idx
        for name, meter in self.loss_meters.meters.items():
            self.write_scalar(f"train/{name}", meter.avg, step)
        self.write_scalar("train/lr", self.get_current_lr(), step)
        if self.on_step:
            self.on_step(self, loss_summary)
        self.step_end = time.time()

    def parse_batch_train(self, batch: dict[str, Any]) -> tuple[Tensor, ...]:
        """Return the images, labels and domains of a batch, on the device."""
        return batch["img"].to(self.device), batch["label"].to(self.device), batch["domain"].to(self.device)
