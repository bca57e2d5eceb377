"""Random seeds and deterministic kernels."""

import os
import random
from typing import Any

import numpy as np
import torch


def set_random_seed(seed: int) -> None:
    """Seed the generators of Python, NumPy and PyTorch (on all devices)."""
    random.seed(seed)
    np.random.seed(seed % 2**32)
    torch.manual_seed(seed)


def get_random_state(cuda: bool = False) -> dict[str, Any]:
    """Return the states of Python's, NumPy's and PyTorch's generators; with `cuda`, also that of the current GPU's."""
    state = {"python": random.getstate(), "numpy": np.random.get_state(), "torch": torch.get_rng_state()}
    return state | ({"cuda": torch.cuda.get_rng_state()} if cuda else {})


def set_random_state(state: dict[str, Any]) -> None:
    """Restore a state of `get_random_state`, so that the same random numbers follow."""
    random.setstate(state["python"])
    np.random.set_state(state["numpy"])
    torch.set_rng_state(state["torch"])
    if "cuda" in state:
        torch.cuda.set_rng_state(state["cuda"])


def derive_seed(seed: int, epoch: int) -> int:
    """Return the seed of an epoch of a run: another one for each pair, up to a million epochs.

    >>> derive_seed(1, 0), derive_seed(1, 1)
    (1000003, 1000004)
    """
    return seed * 1_000_003 + epoch


def set_deterministic(on: bool) -> None:
    """Make PyTorch use deterministic kernels and warn where it has none, or let it use any kernels again."""
    if on:
        # cuBLAS reads this variable when its first handle is made.
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
        torch.backends.cudnn.benchmark = False
    torch.backends.cudnn.deterministic = on
    torch.use_deterministic_algorithms(on, warn_only=True)
