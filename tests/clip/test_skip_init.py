"""Parameters are not initialised, and buffers are."""

import torch
from torch import nn

from clip.speed.skip_init import SkipInit


def test_parameters_keep_what_they_hold_and_buffers_are_filled():
    with SkipInit():
        parameter, buffer = nn.Parameter(torch.zeros(8, 8)), torch.zeros(8, 8)
        for fill in (nn.init.normal_, nn.init.kaiming_uniform_, nn.init.trunc_normal_, nn.init.ones_):
            fill(parameter)
            fill(buffer)
        norm = nn.BatchNorm1d(4)
        parameter.requires_grad_(False)
    assert not parameter.any() and not parameter.requires_grad
    assert torch.equal(buffer, torch.ones(8, 8))
    assert torch.equal(norm.running_var, torch.ones(4)) and norm.num_batches_tracked == 0


def test_afterwards_parameters_are_filled_again():
    with SkipInit():
        nn.Linear(8, 8)
    assert nn.init.ones_(nn.Parameter(torch.zeros(8))).all()
