"""TF32: float32 products that NVIDIA GPUs from Ampere on round to 10 bits of mantissa before they multiply."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch


@contextmanager
def tf32_products(allowed: bool) -> Iterator[None]:
    """Allow or forbid TF32 in matrix products and convolutions; PyTorch's own default has it in convolutions alone.

    Features that are kept in one store are to be the same, but for rounding, whichever device made them.
    """
    switches = (torch.backends.cudnn, torch.backends.cuda.matmul)
    before = [switch.allow_tf32 for switch in switches]
    try:
        for switch in switches:
            switch.allow_tf32 = allowed
        yield
    finally:
        for switch, value in zip(switches, before, strict=True):
            switch.allow_tf32 = value
