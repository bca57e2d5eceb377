"""The pretended GPU is as strict as a real one, and counts what happens on it."""

import pytest
import torch
from torch import nn

from tests.pretended_gpu import NAME, TO_CPU, TO_GPU, GpuTensor, pretended_gpu


def test_its_tensors_say_where_they_are_and_hold_numbers(gpu):
    x = torch.arange(6.0).view(2, 3).to("cuda")
    assert isinstance(x, GpuTensor) and x.is_cuda and not x.is_cpu and str(x.device) == "cuda:0"
    assert (x @ x.T).tolist() == [[5, 14], [14, 50]] and (x + x).device.type == "cuda" and x.cpu().device.type == "cpu"
    assert (
        f"{x.mean():.1f}" == "2.5" and torch.tensor([1], device="cuda").is_cuda and torch.cuda.get_device_name() == NAME
    )


@pytest.mark.parametrize(
    "mix",
    [
        lambda here, there: here + there,
        lambda here, there: torch.cat([here, there]),
        lambda here, there: here @ there,
        lambda here, there: torch.where(here > 0, there, here),
        lambda here, there: here.add_(there),
        lambda here, there: there[here.argsort()],
    ],
)
def test_tensors_of_two_devices_do_not_meet(gpu, mix):
    with pytest.raises(RuntimeError, match="device"):
        mix(torch.ones(3, device="cuda"), torch.ones(3))


def test_numbers_and_indices_of_the_cpu_may_meet_it(gpu):
    x = torch.arange(3.0, device="cuda")
    assert (x * torch.tensor(2.0) + 1).tolist() == [1, 3, 5]
    assert x[torch.tensor([2, 0])].tolist() == [2, 0]


def test_numpy_does_not_see_it(gpu):
    with pytest.raises(TypeError, match="convert cuda:0"):
        torch.ones(2, device="cuda").numpy()


def test_gradients_are_those_of_the_cpu(gpu):
    torch.manual_seed(0)
    layer, x = nn.Linear(4, 3), torch.randn(5, 4)
    layer(x).square().sum().backward()
    expected, layer.weight.grad = layer.weight.grad, None
    there = layer.to("cuda")
    optimizer = torch.optim.SGD(there.parameters(), lr=0.1, momentum=0.9)
    before = there.weight.detach().clone()
    there(x.cuda()).square().sum().backward()
    optimizer.step()
    torch.testing.assert_close(there.weight.grad.cpu(), expected)
    torch.testing.assert_close(there.weight.detach().cpu(), (before - 0.1 * there.weight.grad).cpu())


def test_kernels_copies_and_waits_are_counted(gpu):
    x = torch.ones(4).cuda()
    assert (gpu.kernels.total(), gpu.copies, gpu.waits.total()) == (0, {TO_GPU: 16}, 1)
    gpu.forget()
    y = (x.view(2, 2) + 1) * 2
    assert dict(gpu.kernels) == {"aten::add": 1, "aten::mul": 1} and not gpu.waits
    assert y.sum().item() == 16
    y.cpu()
    y[y > 0]
    assert gpu.copies == {TO_CPU: 16}
    assert [reason.split(", ")[0] for reason in gpu.waits] == [
        "aten::_local_scalar_dense",
        f"a copy {TO_CPU}",
        "a mask as index",
    ]
    assert {reason.split(", ")[1].split(":")[0] for reason in gpu.waits} == {"tests/gpu/test_pretended_gpu.py"}


def test_its_random_state_is_seeded_kept_and_brought_back(gpu):
    torch.manual_seed(7)
    state, states = torch.cuda.get_rng_state(), torch.cuda.get_rng_state_all()
    torch.cuda.manual_seed_all(8)
    assert gpu.seeds == [7, 8] and not torch.equal(torch.cuda.get_rng_state(), state)
    torch.cuda.set_rng_state(state)
    assert torch.equal(torch.cuda.get_rng_state(), state) and torch.equal(states[0], state)
    torch.cuda.manual_seed(9)
    torch.cuda.set_rng_state_all(states)
    assert torch.equal(torch.cuda.get_rng_state("cuda"), state)
    with pytest.raises(TypeError, match="ByteTensor of 16 bytes"):
        torch.cuda.set_rng_state(torch.zeros(16))


def test_nothing_of_it_is_left():
    before = torch.cuda.is_available(), torch.__future__.get_overwrite_module_params_on_conversion()
    with pytest.raises(ZeroDivisionError), pretended_gpu(count=2):
        assert torch.cuda.device_count() == 2
        1 / 0  # noqa: B018
    assert (torch.cuda.is_available(), torch.__future__.get_overwrite_module_params_on_conversion()) == before
    assert type(torch.ones(1) + 1) is torch.Tensor
