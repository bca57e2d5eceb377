"""Code that expects a GPU or older libraries runs without them."""

import pytest
import torch
from torch import nn

from checkouts.compat import cpu_only, older_transformers, one_gpu


def test_tensors_that_are_moved_to_a_gpu_stay_on_the_cpu():
    with cpu_only():
        assert not torch.cuda.is_available() and torch.cuda.device_count() == 0
        weight = nn.Parameter(torch.ones(2))
        found = [weight.cuda(), weight.to("cuda"), torch.zeros(2, device="cuda:0"), weight.to(torch.device("cuda"))]
        found += [next(module.parameters()) for module in (nn.Linear(2, 2).cuda(), nn.Linear(2, 2).to("cuda"))]
        assert {tensor.device.type for tensor in found} == {"cpu"}
        (weight.cuda() * 3).sum().backward()
    assert weight.grad.tolist() == [3, 3]


def test_after_the_context_a_gpu_is_a_gpu_again():
    with cpu_only():
        pass
    if torch.cuda.is_available():
        assert torch.ones(1).cuda().is_cuda
    else:
        with pytest.raises((AssertionError, RuntimeError)):
            torch.ones(1).cuda()


def test_tokenizers_have_the_method_that_older_open_clip_calls(backbone):
    tokenizer = backbone.tokenizer.tokenizer
    had = hasattr(tokenizer, "batch_encode_plus")
    with older_transformers():
        ids = tokenizer.batch_encode_plus(["a bright mass"], return_tensors="pt").input_ids
    assert torch.equal(ids, tokenizer(["a bright mass"], return_tensors="pt").input_ids)
    assert hasattr(tokenizer, "batch_encode_plus") is had


def test_one_gpu_is_found_of_several(monkeypatch):
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 4)
    with one_gpu():
        assert torch.cuda.device_count() == 1
    assert torch.cuda.device_count() == 4
