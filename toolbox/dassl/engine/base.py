"""The base of all trainers: registered models, their checkpoints, and the loop over epochs."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from dassl.console import tell
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
    """Keep registered models and loop over epochs; a subclass defines `run_epoch`."""

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
        """Register a model with its optimiser and scheduler, so that the trainer saves, loads and steps them."""
        if name in self._models:
            raise UserError(
                f"Expected a new name for a model, but {name!r} is registered already: choose another name."
            )
        if model is None:
            raise ValueError(f"Expected a model to register as {name!r}, but got None: pass it as `model`.")
        self._models[name] = model
        self._optims[name] = optim
        self._scheds[name] = sched

    def get_model_names(self, names: str | list[str] | None = None) -> list[str]:
        """Return `names` as a list of registered names; all of them if None."""
        registered = list(self._models)
        if names is None:
            return registered
        for name in tolist_if_not(names):
            check_availability(name, registered, what="model")
        return tolist_if_not(names)

    def set_model_mode(self, mode: str = "train", names: str | list[str] | None = None) -> None:
        """Set models to mode "train", or to mode "test" or "eval", which are the same."""
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
            directory: the folder.
            is_best: also write `model-best.pth.tar`.
            val_result: result on the validation images, saved with the model.
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
        """Load the newest checkpoint of each model, its optimiser and its scheduler, if all models have one.

        Returns:
            The epoch to start with; 0 if there is nothing to resume.

        Raises:
            RuntimeError: the models' checkpoints are of different epochs.
        """
        folders = {name: Path(directory) / name for name in self.get_model_names()}
        if not folders or not all((folder / POINTER).is_file() for folder in folders.values()):
            print("No checkpoint found, train from scratch")
            return 0
        tell(f"Found checkpoint at {directory} (will resume training)")
        epochs = {
            name: resume_from_checkpoint(folder, self._models[name], self._optims[name], self._scheds[name])
            for name, folder in folders.items()
        }
        if len(set(epochs.values())) > 1:
            raise RuntimeError(
                f"Expected checkpoints of one epoch in {directory}, but got {epochs}: write the file name of an epoch "
                f"that all models have into each file {POINTER!r}, or delete the folder."
            )
        return next(iter(epochs.values()))

    def load_model(self, directory: str | Path, epoch: int | None = None) -> None:
        """Load the weights of each model: those of `epoch` if given, else the best, else the newest."""
        if not directory:
            tell("Note that load_model() is skipped as no pretrained model is given")
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
        """Check that a loss, or each term of a dictionary of losses, is finite.

        Raises:
            DivergedError: a term is infinite or NaN.
        """
        terms = loss if isinstance(loss, Mapping) else {"": loss}
        for name, value in terms.items():
            if not torch.isfinite(value).all():
                term = f"the loss term {name!r}" if name else "the loss"
                raise DivergedError(
                    f"Expected finite losses, but {term} is {value.detach().flatten()[:4].tolist()} in epoch "
                    f"{self.epoch + 1}, batch {self.batch_idx + 1}: lower OPTIM.LR, or use full precision."
                )

    def model_zero_grad(self, names: str | list[str] | None = None) -> None:
        """Clear the gradients of the optimisers' parameters."""
        for optim in self._chosen(self._optims, names):
            optim.zero_grad()

    def model_backward(self, loss: Tensor) -> None:
        """Back-propagate a loss; raise a DivergedError if it is not finite."""
        self.detect_anomaly(loss)
        loss.backward()

    def model_update(self, names: str | list[str] | None = None) -> None:
        """Step the optimisers."""
        for optim in self._chosen(self._optims, names):
            optim.step()

    def model_backward_and_update(self, loss: Tensor, names: str | list[str] | None = None) -> None:
        """Take one step of optimisation: clear gradients, back-propagate, update."""
        self.model_zero_grad(names)
        self.model_backward(loss)
        self.model_update(names)

    def update_lr(self, names: str | list[str] | None = None) -> None:
        """Step the schedulers; trainers call it once an epoch."""
        for sched in self._chosen(self._scheds, names):
            sched.step()

    def get_current_lr(self, names: str | list[str] | None = None) -> float:
        """Return the learning rate of the first parameter group of the first model."""
        name = self.get_model_names(names)[0]
        optim = self._optims[name]
        if optim is None:
            raise ValueError(f"Expected an optimiser of the model {name!r}, but it has none: name a model that learns.")
        return optim.param_groups[0]["lr"]

    def _chosen(self, table: dict[str, Any], names: str | list[str] | None) -> list[Any]:
        return [table[name] for name in self.get_model_names(names) if table[name] is not None]

    # Curves

    def init_writer(self, log_dir: str | Path) -> None:
        """Open a TensorBoard writer; raise a UserError if the package is not installed."""
        if self._writer is None:
            try:
                from torch.utils.tensorboard import SummaryWriter
            except ImportError as error:
                raise UserError(
                    "Expected the package tensorboard for TENSORBOARD True, but it is not installed: "
                    "pip install tensorboard, or set TENSORBOARD False."
                ) from error
            tell(f"Initialize tensorboard (log_dir={log_dir})")
            self._writer = SummaryWriter(log_dir=str(log_dir))

    def close_writer(self) -> None:
        """Close the writer, if there is one."""
        if self._writer is not None:
            self._writer.close()

    def write_scalar(self, tag: str, scalar_value: float, global_step: int | None = None) -> None:
        """Add a point to the curve `tag`, if there is a writer."""
        if self._writer is not None:
            self._writer.add_scalar(tag, scalar_value, global_step)

    # Loop

    def train(self, start_epoch: int, max_epoch: int) -> None:
        """Run the epochs from `start_epoch` to `max_epoch` - 1; `before_train` may change both."""
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
        """Seed the random generators; called first in each epoch."""

    def before_train(self) -> None:
        """Do what is needed before the first epoch."""

    def after_train(self) -> None:
        """Do what is needed after the last epoch."""

    def before_epoch(self) -> None:
        """Do what is needed before each epoch."""

    def after_epoch(self) -> None:
        """Do what is needed after each epoch."""

    def run_epoch(self) -> None:
        """Train on all batches of the training data once."""
        raise NotImplementedError

    def test(self) -> float:
        """Evaluate the model, and return the main result."""
        raise NotImplementedError

    def parse_batch_train(self, batch: dict[str, Any]) -> tuple:
        """Return the tensors of a training batch, on the device."""
        raise NotImplementedError

    def parse_batch_test(self, batch: dict[str, Any]) -> tuple:
        """Return the images and labels of a test batch, on the device."""
        raise NotImplementedError

    def forward_backward(self, batch: dict[str, Any]) -> dict[str, float]:
        """Take one training step, and return the figures for the log."""
        raise NotImplementedError

    def model_inference(self, input: Tensor) -> Tensor:
        """Return the scores [B, C] of a batch of images."""
        raise NotImplementedError
