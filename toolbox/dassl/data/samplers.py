"""Samplers: the order in which a loader visits a data set."""

from collections.abc import Sized
from typing import Any

import torch
from torch.utils.data import RandomSampler, Sampler, SequentialSampler

from dassl.utils import check_availability

SAMPLERS = ["RandomSampler", "SequentialSampler"]


def build_sampler(
    sampler_type: str,
    cfg: Any = None,
    data_source: Sized = (),
    batch_size: int = 32,
    n_domain: int = 0,
    n_ins: int = 16,
    generator: torch.Generator | None = None,
) -> Sampler:
    """Return a sampler over `data_source`.

    Args:
        sampler_type: "RandomSampler" or "SequentialSampler".
        cfg, batch_size, n_domain, n_ins: accepted as in Dassl, whose further samplers use them; ignored here.
        data_source: the images.
        generator: the random generator; None is PyTorch's global one.

    Raises:
        UserError: `sampler_type` has another name.
    """
    check_availability(sampler_type, SAMPLERS, what="sampler")
    if sampler_type == "RandomSampler":
        return RandomSampler(data_source, generator=generator)
    return SequentialSampler(data_source)
