"""The optimiser, the schedule, the checkpoints and the log that both stages of the training share."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from pathlib import Path

import torch
from torch import nn
from torch.optim import AdamW
from torch.optim.lr_scheduler import LambdaLR
from tqdm import tqdm

from dassl.writing import atomic_write, open_to_append

WARM_UP = 100  # steps


class StageTrainer:
    """Trains one stage: AdamW with a cosine schedule over its epochs, a checkpoint after each, and lines of the log."""

    def __init__(self, stage: str, folder: Path, log: Path, model: nn.Module, lr: float, epochs: int, steps: int):
        """Make the optimiser and the schedule; weight decay is for matrices only.

        Args:
            stage: name of the stage, in the log and of the checkpoint.
            folder: where the checkpoint lies.
            log: file that lines are appended to.
            model: what is trained.
            lr: highest learning rate.
            epochs: number of epochs.
            steps: steps per epoch.
        """
        self.stage, self.log, self.epochs, self.started = stage, log, epochs, time.time()
        self.checkpoint = folder / f"{stage}.pt"
        matrices = [p for p in model.parameters() if p.requires_grad and p.ndim > 1]
        vectors = [p for p in model.parameters() if p.requires_grad and p.ndim <= 1]
        groups = [{"params": matrices, "weight_decay": 0.05}, {"params": vectors, "weight_decay": 0.0}]
        self.optimizer, total = AdamW(groups, lr=lr, betas=(0.9, 0.98)), epochs * steps

        def factor(step: int) -> float:
            return min(1, (step + 1) / WARM_UP) * 0.5 * (1 + math.cos(math.pi * min(step, total) / total))

        self.schedule = LambdaLR(self.optimizer, factor)
        self.parts = {"model": model, "optimizer": self.optimizer, "schedule": self.schedule}

    def step(self, loss: torch.Tensor) -> float:
        """Take one step down the gradient of a loss and return its value."""
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        self.optimizer.step()
        self.schedule.step()
        return loss.item()

    def run(self, train_epoch: Callable[[int], float]) -> None:
        """Train the epochs that are not done yet; `train_epoch(epoch)` returns the mean loss of an epoch."""
        first = 0
        if self.checkpoint.is_file():
            state = torch.load(self.checkpoint, weights_only=True)
            first = state.pop("epoch") + 1
            for name, part in self.parts.items():
                part.load_state_dict(state[name])
        for epoch in range(first, self.epochs):
            loss = train_epoch(epoch)
            with atomic_write(self.checkpoint, "wb") as file:
                torch.save({"epoch": epoch, **{name: part.state_dict() for name, part in self.parts.items()}}, file)
            log_line(self.log, f"{self.stage}, epoch {epoch}: loss {loss:.4f}, {time.time() - self.started:.0f} s")


def log_line(log: Path, line: str) -> None:
    """Print one line and append it to the log."""
    tqdm.write(line)
    with open_to_append(log) as file:
        file.write(f"{line}\n".encode())
