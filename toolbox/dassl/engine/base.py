"""The core of a trainer: registered models, their checkpoints, and the loop over epochs."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from dassl.errors import DivergedError, UserError
from dassl.utils import (
    check_availability,
    load_checkpoint,
    resume_from_checkpoint,
    save_checkpoint,
    tolist_if_not,
)
from dassl.utils.checkpoint import BEST, POINTER, newest_checkpoint


class TrainerBase:
    """Registered models and the loop over epochs; a subclass says what an epoch is."""

    def __init__(self) -> None:
        self._models: dict[str, nn.Module] = {}
        self._optims: dict[str, Optimizer | None] = {}
        self._scheds: dict[str, Any] = {}
        self._writer: Any = None
        self.start_epoch = self.epoch = self.max_epoch = 0
        self.batch_idx = self.num_batches = 0

    # Models

    def register_model(
        self, name: str = "model", model: nn.Module | None = None, optim: Optimizer | None = None, sched: Any = None
    ) -> None:
        """Put a model, with its optimiser and scheduler, in the trainer's care: it is saved, loaded and stepped."""
        if name in self._models:
            raise UserError(f"A model named {name!r} is registered already; give each model a name of its own.")
        self._models[name] = model
        self._optims[name] = optim
        self._scheds[name] = sched

    def get_model_names(self, names: str | list[str] | None = None) -> list[str]:
        """`names` as a list, checked; all names if None."""
        registered = list(self._models)
        if names is None:
            return registered
        for name in tolist_if_not(names):
            check_availability(name, registered, what="model")
        return tolist_if_not(names)

    def set_model_mode(self, mode: str = "train", names: str | list[str] | None = None) -> None:
        """Put models into mode "train", or "test" = "eval"."""
        check_availability(mode, ["train", "test", "eval"], what="mode")
        for name in self.get_model_names(names):
            self._models[name].train(mode == "train")

    # Checkpoints

    def save_model(
        self,
        epoch: int,
        directory: str | Path,
        is_best: bool = False,
        val_result: float | None = None,
        model_name: str = "",
    ) -> None:
        """Write each model, with the state of its optimiser and scheduler, to `<directory>/<name>/`.

        Args:
            epoch: the epoch that has just ended, from 0.
            is_best: also write `model-best.pth.tar`.
            val_result: kept with the model.
            model_name: file name; "" means `model.pth.tar-<epoch + 1>`.
        """
        for name in self.get_model_names():
            optim, sched = self._optims[name], self._scheds[name]
            state = {
                "state_dict": self._models[name].state_dict(),
                "epoch": epoch + 1,
                "optimizer": None if optim is None else optim.state_dict(),
                "scheduler": None if sched is None else sched.state_dict(),
                "val_result": val_result,
            }
            save_checkpoint(state, Path(directory) / name, is_best=is_best, model_name=model_name)

    def resume_model_if_exist(self, directory: str | Path) -> int:
        """Load the newest checkpoint of each model, with optimiser and scheduler, if all have one.

        Returns:
            The epoch to start with; 0 if there is nothing to resume.

        Raises:
            RuntimeError: the models' checkpoints are of different epochs.
        """
        folders = {name: Path(directory) / name for name in self.get_model_names()}
        if not folders or not all((folder / POINTER).is_file() for folder in folders.values()):
            print("No checkpoint found, train from scratch")
            return 0
        print(f"Found checkpoint at {directory} (will resume training)")
        epochs = {
            name: resume_from_checkpoint(folder, self._models[name], self._optims[name], self._scheds[name])
            for name, folder in folders.items()
        }
        if len(set(epochs.values())) > 1:
            raise RuntimeError(
                f"Checkpoints of one epoch were expected in {directory}, found {epochs}; "
                f"write the file name of an epoch that all have into each file {POINTER!r}, or delete the folder."
            )
        return next(iter(epochs.values()))

    def load_model(self, directory: str | Path, epoch: int | None = None) -> None:
        """Load each model's weights: those of `epoch`, else the best ones, else the newest."""
        if not directory:
            print("Note that load_model() is skipped as no pretrained model is given")
            return
        for name in self.get_model_names():
            folder = Path(directory) / name
            if epoch is not None:
                path = folder / f"model.pth.tar-{epoch}"
            elif not (folder / BEST).is_file() and (folder / POINTER).is_file():
                path = folder / newest_checkpoint(folder)
            else:
                path = folder / BEST
            checkpoint = load_checkpoint(path)
            print(f"Load {path} to {name} (epoch={checkpoint['epoch']}, val_result={checkpoint.get('val_result')})")
            self._models[name].load_state_dict(checkpoint["state_dict"])

    # Optimisation

    def detect_anomaly(self, loss: Tensor | Mapping[str, Tensor]) -> None:
        """Stop the run if a loss, or one term of a dictionary of losses, is not finite.

        Raises:
            DivergedError: names the term, epoch and batch.
        """
        terms = loss if isinstance(loss, Mapping) else {"": loss}
        for name, value in terms.items():
            if not torch.isfinite(value).all():
                term = f"Loss term {name!r}" if name else "Loss"
                raise DivergedError(
                    f"{term} is infinite or NaN ({value.detach().flatten()[:4].tolist()}) in epoch {self.epoch + 1}, "
                    f"batch {self.batch_idx + 1}; a lower OPTIM.LR or full precision may help."
                )

    def model_zero_grad(self, names: str | list[str] | None = None) -> None:
        """Clear the gradients that the optimisers hold."""
        for optim in self._chosen(self._optims, names):
            optim.zero_grad()

    def model_backward(self, loss: Tensor) -> None:
        """Back-propagate a finite loss."""
        self.detect_anomaly(loss)
        loss.backward()

    def model_update(self, names: str | list[str] | None = None) -> None:
        """Step the optimisers."""
        for optim in self._chosen(self._optims, names):
            optim.step()

    def model_backward_and_update(self, loss: Tensor, names: str | list[str] | None = None) -> None:
        """One step of optimisation: clear gradients, back-propagate, update."""
        self.model_zero_grad(names)
        self.model_backward(loss)
        self.model_update(names)

    def update_lr(self, names: str | list[str] | None = None) -> None:
        """Step the schedulers; trainers call it once an epoch."""
        for sched in self._chosen(self._scheds, names):
            sched.step()

    def get_current_lr(self, names: str | list[str] | None = None) -> float:
        """Learning rate of the first parameter group of the first model."""
        return self._optims[self.get_model_names(names)[0]].param_groups[0]["lr"]

    def _chosen(self, table: dict[str, Any], names: str | list[str] | None) -> list[Any]:
        return [table[name] for name in self.get_model_names(names) if table[name] is not None]

    # Curves

    def init_writer(self, log_dir: str | Path) -> None:
        """Open a TensorBoard writer; ImportError if the package is missing."""
        if self._writer is None:
            try:
                from torch.utils.tensorboard import SummaryWriter
            except ImportError as error:
                raise UserError(
                    "TENSORBOARD is on, but tensorboard is not installed; install or switch off."
                ) from error
            print(f"Initialize tensorboard (log_dir={log_dir})")
            self._writer = SummaryWriter(log_dir=str(log_dir))

    def close_writer(self) -> None:
        """Close the writer, if there is one."""
        if self._writer is not None:
            self._writer.close()

    def write_scalar(self, tag: str, scalar_value: float, global_step: int | None = None) -> None:
        """Add a point to a curve, if there is a writer."""
        if self._writer is not None:
            self._writer.add_scalar(tag, scalar_value, global_step)

    # Loop

    def train(self, start_epoch: int, max_epoch: int) -> None:
        """Run the epochs from `start_epoch` to `max_epoch` - 1, which `before_train` may change."""
        self.start_epoch = start_epoch
        self.max_epoch = max_epoch
        self.before_train()
        for self.epoch in range(self.start_epoch, self.max_epoch):  # noqa: B020 - hooks read self.epoch
            self.seed_epoch()
            self.before_epoch()
            self.run_epoch()
            self.after_epoch()
        self.after_train()

    def seed_epoch(self) -> None:
        """Called first in each epoch, to make its random numbers independent of those before."""

    def before_train(self) -> None:
        """Called before the first epoch."""

    def after_train(self) -> None:
        """Called after the last epoch."""

    def before_epoch(self) -> None:
        """Called before each epoch."""

    def after_epoch(self) -> None:
        """Called after each epoch."""

    def run_epoch(self) -> None:
        """Go through the training data once."""
        raise NotImplementedError

    def test(self) -> float:
        """Evaluate."""
        raise NotImplementedError

    def parse_batch_train(self, batch: dict[str, Any]) -> tuple:
        """Tensors of a training batch, on the device."""
        raise NotImplementedError

    def parse_batch_test(self, batch: dict[str, Any]) -> tuple:
        """Images and labels of a test batch, on the device."""
        raise NotImplementedError

    def forward_backward(self, batch: dict[str, Any]) -> dict[str, float]:
        """One training step; returns what the log shows."""
        raise NotImplementedError

    def model_inference(self, input: Tensor) -> Tensor:
        """Scores [B, C] of a batch of images."""
        raise NotImplementedError
