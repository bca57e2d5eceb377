"""Meters, seeds, accuracy and counting."""

import os
import random

import numpy as np
import pytest
import torch
from torch import nn

from dassl.metrics import compute_accuracy
from dassl.utils import (
    AverageMeter,
    MetricMeter,
    count_num_param,
    derive_seed,
    set_deterministic,
    set_random_seed,
    tolist_if_not,
)


def test_average_meter():
    meter = AverageMeter()
    meter.update(2.0)
    meter.update(torch.tensor(5.0), n=2)
    assert (meter.val, meter.sum, meter.count, meter.avg) == (5.0, 12.0, 3, 4.0)
    meter.reset()
    assert (meter.val, meter.avg, meter.count) == (0, 0, 0)
    ema = AverageMeter(ema=True)
    ema.update(10.0)
    ema.update(20.0)
    assert ema.avg == pytest.approx(0.9 * 1.0 + 0.1 * 20.0)


def test_metric_meter_prints_value_and_average():
    meter = MetricMeter()
    meter.update({"loss": torch.tensor(1.0), "acc": 50})
    meter.update(None)
    meter.update({"loss": 0.5})
    assert str(meter) == "loss 0.5000 (0.7500) acc 50.0000 (50.0000)"
    with pytest.raises(TypeError, match="dictionary of metrics, but got float"):
        meter.update(0.5)


def test_seed_fixes_all_generators():
    def draw():
        return random.random(), float(np.random.rand()), float(torch.rand(()))

    set_random_seed(3)
    first = draw()
    set_random_seed(3)
    assert draw() == first
    set_random_seed(2**32 + 3)  # NumPy takes 32 bits only
    assert draw()[0] != first[0]


def test_derived_seeds_differ():
    seeds = {derive_seed(seed, epoch) for seed in range(5) for epoch in range(50)}
    assert len(seeds) == 250
    assert all(0 <= seed < 2**32 for seed in seeds)
    assert derive_seed(1, 2) == derive_seed(1, 2) != derive_seed(2, 1)


def test_deterministic_switch(monkeypatch):
    monkeypatch.delenv("CUBLAS_WORKSPACE_CONFIG", raising=False)
    monkeypatch.setattr(torch.backends.cudnn, "benchmark", True)
    try:
        set_deterministic(True)
        assert torch.are_deterministic_algorithms_enabled()
        assert torch.is_deterministic_algorithms_warn_only_enabled()
        assert (torch.backends.cudnn.benchmark, torch.backends.cudnn.deterministic) == (False, True)
        assert os.environ["CUBLAS_WORKSPACE_CONFIG"] == ":4096:8"
    finally:
        set_deterministic(False)
    assert not torch.are_deterministic_algorithms_enabled()
    assert not torch.backends.cudnn.deterministic


def test_accuracy_at_k():
    output = torch.tensor([[0.1, 0.9, 0.0], [0.8, 0.15, 0.05], [0.2, 0.3, 0.5], [0.3, 0.6, 0.1]])
    target = torch.tensor([1, 1, 0, 2])
    top1, top2, top3 = compute_accuracy(output, target, topk=(1, 2, 3))
    assert (top1.item(), top2.item(), top3.item()) == (25.0, 50.0, 100.0)
    assert top1.shape == (1,)
    assert compute_accuracy((output, None), target)[0].item() == 25.0


def test_count_parameters():
    layer = nn.Linear(3, 4)
    assert count_num_param(layer) == 16
    assert count_num_param(params=[layer.weight, {"params": [layer.bias]}, {"params": layer.bias}]) == 20
    with pytest.raises(ValueError, match="got neither"):
        count_num_param()


def test_tolist():
    assert tolist_if_not("a") == ["a"]
    assert tolist_if_not(["a", "b"]) == ["a", "b"]
