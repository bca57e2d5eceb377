"""Learning-rate schedules in closed form: the rate is a function of the epoch.

Their state is plain numbers. PyTorch's schedulers keep objects in theirs, and their constructors change with versions.
"""

import math
from bisect import bisect_right
from collections.abc import Callable
from typing import Any

from torch.optim import Optimizer
from yacs.config import CfgNode

from dassl.errors import UserError
from dassl.utils import check_availability

AVAI_SCHEDS = ["single_step", "multi_step", "cosine"]


class EpochScheduler:
    """Base of the schedules: sets the learning rates at construction and in each `step()`, once an epoch.

    Args:
        optimizer: the learning rates of its groups are the base rates.
        last_epoch: the epoch before the first one; -1 starts at epoch 0.
    """

    def __init__(self, optimizer: Optimizer, last_epoch: int = -1) -> None:
        self.optimizer = optimizer
        self.base_lrs = [group.setdefault("initial_lr", group["lr"]) for group in optimizer.param_groups]
        self.last_epoch = last_epoch
        self.step()

    def get_lr(self) -> list[float]:
        """Return the rate of each parameter group at epoch `last_epoch`."""
        raise NotImplementedError

    def get_last_lr(self) -> list[float]:
        """Return the rates that the last step set."""
        return list(self._last_lr)

    def step(self) -> None:
        """Go to the next epoch."""
        self.last_epoch += 1
        self._set(self.get_lr())

    def state_dict(self) -> dict[str, Any]:
        """Return the epoch and the rates as plain numbers."""
        return {"last_epoch": self.last_epoch, "last_lr": self.get_last_lr()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore the epoch and the rates of `state`."""
        self.last_epoch = state["last_epoch"]
        self._set(state["last_lr"])

    def _set(self, lrs: list[float]) -> None:
        self._last_lr = list(lrs)
        for group, lr in zip(self.optimizer.param_groups, lrs, strict=True):
            group["lr"] = lr


class ClosedFormScheduler(EpochScheduler):
    """A schedule whose rate is the base rate x `factor(epoch)`."""

    def __init__(self, optimizer: Optimizer, factor: Callable[[int], float], last_epoch: int = -1) -> None:
        self.factor = factor
        super().__init__(optimizer, last_epoch)

    def get_lr(self) -> list[float]:
        return [lr * self.factor(self.last_epoch) for lr in self.base_lrs]


class WarmupScheduler(EpochScheduler):
    """Base of the warm-ups: own rates for `warmup_epoch` epochs, then those of `successor` from its first epoch on.

    Args:
        optimizer: the learning rates of its groups are the base rates.
        successor: any object with `step`, `get_last_lr`, `state_dict` and `load_state_dict`.
        warmup_epoch: number of epochs of the warm-up.
        last_epoch: the epoch before the first one; -1 starts at epoch 0.
    """

    def __init__(self, optimizer: Optimizer, successor: Any, warmup_epoch: int, last_epoch: int = -1) -> None:
        self.successor = successor
        self.warmup_epoch = warmup_epoch
        super().__init__(optimizer, last_epoch)

    def warmup_lr(self) -> list[float]:
        """Return the rate of each parameter group at epoch `last_epoch` < `warmup_epoch`."""
        raise NotImplementedError

    def get_lr(self) -> list[float]:
        return self.warmup_lr() if self.last_epoch < self.warmup_epoch else self.successor.get_last_lr()

    def step(self) -> None:
        if self.last_epoch >= self.warmup_epoch:
            self.successor.step()
        super().step()

    def state_dict(self) -> dict[str, Any]:
        return {**super().state_dict(), "successor": self.successor.state_dict()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.successor.load_state_dict(state["successor"])
        super().load_state_dict(state)


class ConstantWarmupScheduler(WarmupScheduler):
    """A warm-up with the constant rate `cons_lr`."""

    def __init__(
        self, optimizer: Optimizer, successor: Any, warmup_epoch: int, cons_lr: float, last_epoch: int = -1
    ) -> None:
        self.cons_lr = cons_lr
        super().__init__(optimizer, successor, warmup_epoch, last_epoch)

    def warmup_lr(self) -> list[float]:
        return [self.cons_lr for _ in self.base_lrs]


class LinearWarmupScheduler(WarmupScheduler):
    """A warm-up with the rate `min_lr` at epoch 0, then base rate x epoch / `warmup_epoch`."""

    def __init__(
        self, optimizer: Optimizer, successor: Any, warmup_epoch: int, min_lr: float, last_epoch: int = -1
    ) -> None:
        self.min_lr = min_lr
        super().__init__(optimizer, successor, warmup_epoch, last_epoch)

    def warmup_lr(self) -> list[float]:
        if self.last_epoch == 0:
            return [self.min_lr for _ in self.base_lrs]
        return [lr * self.last_epoch / self.warmup_epoch for lr in self.base_lrs]


def build_lr_scheduler(optimizer: Optimizer, optim_cfg: CfgNode) -> EpochScheduler:
    """Return the schedule that `optim_cfg.LR_SCHEDULER` names, after a warm-up if WARMUP_EPOCH > 0.

    With WARMUP_RECOUNT the schedule counts its epochs from the end of the warm-up, else from the start of training.

    Raises:
        UserError: the schedule or warm-up is unknown, or there are no epochs.
        TypeError: STEPSIZE has the wrong type.
    """
    warmup = max(optim_cfg.WARMUP_EPOCH, 0)
    first = 0 if optim_cfg.WARMUP_RECOUNT else warmup
    scheduler = ClosedFormScheduler(optimizer, _factor(optim_cfg), last_epoch=first - 1)
    if not warmup:
        return scheduler
    kinds = {
        "constant": (ConstantWarmupScheduler, optim_cfg.WARMUP_CONS_LR),
        "linear": (LinearWarmupScheduler, optim_cfg.WARMUP_MIN_LR),
    }
    check_availability(optim_cfg.WARMUP_TYPE, list(kinds), what="OPTIM.WARMUP_TYPE")
    cls, lr = kinds[optim_cfg.WARMUP_TYPE]
    return cls(optimizer, scheduler, warmup, lr)


def _factor(cfg: CfgNode) -> Callable[[int], float]:
    """Return the function from an epoch to the rate, as a multiple of the base rate."""
    check_availability(cfg.LR_SCHEDULER, AVAI_SCHEDS, what="scheduler")
    if cfg.MAX_EPOCH < 1:
        raise UserError(f"Expected OPTIM.MAX_EPOCH of 1 or more, but got {cfg.MAX_EPOCH}: give a number of epochs.")
    several = isinstance(cfg.STEPSIZE, (list, tuple))
    if cfg.LR_SCHEDULER == "cosine":
        return lambda epoch: (1 + math.cos(math.pi * epoch / cfg.MAX_EPOCH)) / 2
    if cfg.LR_SCHEDULER == "multi_step":
        if not several:
            raise TypeError(
                f"Expected OPTIM.STEPSIZE of a multi_step schedule to be a list of epochs, but got {cfg.STEPSIZE}: "
                f"write ({cfg.STEPSIZE},)."
            )
        milestones = sorted(epoch for epoch in cfg.STEPSIZE if epoch >= 0)
        return lambda epoch: cfg.GAMMA ** bisect_right(milestones, epoch)
    stepsize = cfg.STEPSIZE[-1] if several else cfg.STEPSIZE
    if not isinstance(stepsize, int):
        raise TypeError(
            f"Expected OPTIM.STEPSIZE of a single_step schedule to be a whole number of epochs, but got {stepsize}: "
            "correct it."
        )
    stepsize = stepsize if stepsize > 0 else cfg.MAX_EPOCH
    return lambda epoch: cfg.GAMMA ** (epoch // stepsize)
