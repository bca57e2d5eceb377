"""TF32: NVIDIA GPUs since Ampere can round the factors of float32 products to 10 bits of mantissa."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch


@contextmanager
def tf32_products(allowed: bool) -> Iterator[None]:
    """Allow or forbid TF32 in matrix products and convolutions; by default PyTorch allows it in convolutions alone.

    Features in one store have to be the same, but for rounding, whichever device computed them.
    """
    cudnn, matmul = torch.backends.cudnn, torch.backends.cuda.matmul
    before = cudnn.allow_tf32, matmul.allow_tf32
    try:
        cudnn.allow_tf32 = matmul.allow_tf32 = allowed
        yield
    finally:
        cudnn.allow_tf32, matmul.allow_tf32 = before
