"""The order in which a loader visits a data set."""

from collections.abc import Sized
from typing import Any

import torch
from torch.utils.data import RandomSampler, Sampler, SequentialSampler

from dassl.utils import check_availability


def build_sampler(
    sampler_type: str,
    cfg: Any = None,
    data_source: Sized | None = None,
    batch_size: int = 32,
    n_domain: int = 0,
    n_ins: int = 16,
    generator: torch.Generator | None = None,
) -> Sampler:
    """A sampler over `data_source`: "RandomSampler" or "SequentialSampler".

    `cfg`, `batch_size`, `n_domain` and `n_ins` are for samplers that other toolboxes have; these two ignore them.

    Raises:
        UserError: another name.
    """
    check_availability(sampler_type, ["RandomSampler", "SequentialSampler"], what="sampler")
    if sampler_type == "RandomSampler":
        return RandomSampler(data_source, generator=generator)
    return SequentialSampler(data_source)
