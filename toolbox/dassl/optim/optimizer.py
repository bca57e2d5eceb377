"""Build optimisers from the section OPTIM of the configuration."""

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import nn
from torch.optim import Optimizer
from yacs.config import CfgNode

from dassl.utils import check_availability


def build_optimizer(
    model: nn.Module | Iterable[Any], optim_cfg: CfgNode, param_groups: Iterable[Any] | None = None
) -> Optimizer:
    """Return the optimiser that `optim_cfg.NAME` names.

    Args:
        model: a module, its parameters, or parameter groups.
        optim_cfg: the section `cfg.OPTIM`.
        param_groups: used instead of `model` if given.

    Raises:
        UserError: the optimiser is unknown, or the model lacks one of NEW_LAYERS.
        TypeError: STAGED_LR is set, and `model` is no module.
    """
    kinds = _kinds(optim_cfg)
    check_availability(optim_cfg.NAME, list(kinds), what="optimizer")
    params = model if param_groups is None else param_groups
    if optim_cfg.STAGED_LR and param_groups is None:
        params = _staged(model, optim_cfg)
    elif isinstance(params, nn.Module):
        params = params.parameters()
    cls, settings = kinds[optim_cfg.NAME]
    return cls(params, lr=optim_cfg.LR, weight_decay=optim_cfg.WEIGHT_DECAY, **settings)


def _kinds(cfg: CfgNode) -> dict[str, tuple[Callable[..., Optimizer], dict[str, Any]]]:
    """Return all optimisers by name, each with its own settings."""
    betas = {"betas": (cfg.ADAM_BETA1, cfg.ADAM_BETA2)}
    sgd = {"momentum": cfg.MOMENTUM, "dampening": cfg.SGD_DAMPNING, "nesterov": cfg.SGD_NESTEROV}
    return {
        "adam": (torch.optim.Adam, betas),
        "amsgrad": (torch.optim.Adam, {**betas, "amsgrad": True}),
        "sgd": (torch.optim.SGD, sgd),
        "rmsprop": (torch.optim.RMSprop, {"momentum": cfg.MOMENTUM, "alpha": cfg.RMSPROP_ALPHA}),
        "radam": (torch.optim.RAdam, betas),
        "adamw": (torch.optim.AdamW, betas),
    }


def _staged(model: Any, cfg: CfgNode) -> list[dict[str, Any]]:
    """Return two parameter groups: new layers with the full learning rate, all others with a fraction of it."""
    if not isinstance(model, nn.Module):
        raise TypeError(
            f"Expected a module for OPTIM.STAGED_LR, but got {type(model).__name__}: pass the groups as param_groups."
        )
    model = model.module if isinstance(model, nn.DataParallel) else model
    new_layers = {cfg.NEW_LAYERS} if isinstance(cfg.NEW_LAYERS, str) else set(cfg.NEW_LAYERS)
    own = [name for name, _ in model.named_parameters()]
    for layer in sorted(new_layers):
        check_availability(layer, sorted({name.split(".")[0] for name in own}), what="layer in OPTIM.NEW_LAYERS")
    new: list[nn.Parameter] = []
    base: list[nn.Parameter] = []
    for name, parameter in model.named_parameters():
        (new if name.split(".")[0] in new_layers else base).append(parameter)
    groups = [{"params": base, "lr": cfg.LR * cfg.BASE_LR_MULT}, {"params": new}]
    return [group for group in groups if group["params"]]
