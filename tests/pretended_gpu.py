"""A pretended GPU, for machines without one: tensors that say `cuda:0`, hold real numbers, and meet no CPU tensor.

    with pretended_gpu() as gpu:
        train.main([...])  # torch.cuda.is_available() is true
    gpu.kernels, gpu.copies, gpu.waits  # what was launched, moved, and waited for

The numbers lie in a CPU tensor within, so that a run can be compared with one on the CPU. Outwardly PyTorch's C++ sees
a tensor on the device "meta": its autograd engine needs no driver for that, and tells it from the CPU.
"""

import contextlib
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, ClassVar
from unittest.mock import patch

import pytest
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

ROOT = Path(__file__).parents[1]
NAME, CAPABILITY, MEMORY = "Pretended GPU", (8, 0), 80 << 30
DEVICE = torch.device("cuda", 0)
TO_GPU, TO_CPU = "to the GPU", "to the CPU"

# Operators whose result is a number on the CPU, or has a size that only the GPU knows: the CPU waits for it.
READ = {"aten::_local_scalar_dense", "aten::equal", "aten::is_nonzero"}
SIZED = {"aten::nonzero", "aten::masked_select", "aten::_unique2", "aten::unique_dim", "aten::bincount"}
INDEXED = {"aten::index", "aten::index_put", "aten::index_put_", "aten::_index_put_impl_"}
NO_KERNEL = {"aten::detach", "aten::alias", "aten::lift_fresh", "aten::_unsafe_view"} | {
    f"aten::{name}" for name in ("empty", "empty_strided", "empty_like", "new_empty", "new_empty_strided")
}


class GpuTensor(Tensor):
    """A tensor of the pretended GPU; `numbers` is the CPU tensor that holds its values."""

    numbers: Tensor

    @staticmethod
    def __new__(cls, numbers: Tensor) -> "GpuTensor":
        self = Tensor._make_wrapper_subclass(
            cls,
            numbers.size(),
            strides=numbers.stride(),
            storage_offset=numbers.storage_offset(),
            dtype=numbers.dtype,
            layout=numbers.layout,
            device="meta",
        )
        self.numbers = numbers
        return self

    __torch_function__ = torch._C._disabled_torch_function_impl

    @classmethod
    def __torch_dispatch__(cls, func: Callable, types: Any, args: tuple = (), kwargs: dict | None = None) -> Any:
        return PretendedGpu.present[-1].run(func, args, kwargs or {})

    device = property(lambda self: DEVICE)
    is_cuda = property(lambda self: True)
    is_cpu = is_meta = property(lambda self: False)

    def tolist(self) -> Any:
        return self.detach().cpu().tolist()

    def numpy(self, *args: Any, **kwargs: Any) -> Any:
        raise TypeError("can't convert cuda:0 device type tensor to numpy. Use Tensor.cpu() first.")

    __array__ = numpy

    def __format__(self, spec: str) -> str:
        return format(self.item(), spec) if self.dim() == 0 else repr(self)

    def __repr__(self) -> str:
        return f"{self.numbers!r} on {DEVICE}"


def with_tensors(tree: Any, change: Callable[[Tensor], Tensor]) -> Any:
    """The tree of arguments or results with every tensor changed (PyTorch's own walk takes ten times as long)."""
    if isinstance(tree, Tensor):
        return change(tree)
    if isinstance(tree, (list, tuple)):
        return type(tree)([with_tensors(each, change) for each in tree])
    if isinstance(tree, dict):
        return {key: with_tensors(each, change) for key, each in tree.items()}
    return tree


def inside(tree: Any) -> Any:
    """The tree with the CPU tensors within in place of the GPU's."""
    return with_tensors(tree, lambda tensor: tensor.numbers if isinstance(tensor, GpuTensor) else tensor)


def tensors_of(tree: Any) -> list[Tensor]:
    found: list[Tensor] = []
    with_tensors(tree, lambda tensor: found.append(tensor) or tensor)
    return found


class PretendedGpu(TorchDispatchMode):
    """Carries out every operator while it is entered.

    Attributes:
        kernels: how often each operator was launched.
        copies: bytes that were moved, by direction.
        waits: how often the CPU waited for the GPU, by reason and place in this code base.
        seeds: what the GPU's generators were seeded with, one after the other.
    """

    present: ClassVar[list["PretendedGpu"]] = []

    def __init__(self) -> None:
        super().__init__()
        self.seeds: list[int] = []
        self.random_state = torch.zeros(16, dtype=torch.uint8)
        self.forget()

    def forget(self) -> None:
        """Begin to count anew."""
        self.kernels: Counter[str] = Counter()
        self.copies: Counter[str] = Counter()
        self.waits: Counter[str] = Counter()

    def __enter__(self) -> "PretendedGpu":
        self.present.append(self)
        return super().__enter__()

    def __exit__(self, *error: Any) -> None:
        self.present.pop()
        super().__exit__(*error)

    def __torch_dispatch__(self, func: Callable, types: Any, args: tuple = (), kwargs: dict | None = None) -> Any:
        return self.run(func, args, kwargs or {})

    def run(self, func: Any, args: tuple, kwargs: dict) -> Any:
        """What `func` gives, on the device where it would lie.

        Raises:
            RuntimeError: tensors of both devices meet, as they must not in PyTorch.
        """
        name = func._schema.name
        if name == "aten::_to_copy":
            return self._copied(func, *args, **kwargs)
        if name == "aten::copy_":
            return self._filled(func, *args)
        tensors = tensors_of((args, kwargs))
        mine = {id(tensor.numbers): tensor for tensor in tensors if isinstance(tensor, GpuTensor)}
        if mine and name in INDEXED:
            self._check_index(name, *args[:2])
        elif mine and any(not isinstance(tensor, GpuTensor) and tensor.dim() for tensor in tensors):
            raise RuntimeError(f"Expected all tensors to be on the same device, but found cuda:0 and cpu in {name}.")
        if mine and name in READ | SIZED:
            self._wait(name)
        there = bool(mine)
        if kwargs.get("device") is not None:
            there = _is_ours(kwargs["device"])
            kwargs = kwargs | {"device": torch.device("cpu"), "pin_memory": False}
        found = func(*inside(args), **inside(kwargs))
        if not there or name in READ:
            return found
        if not func.is_view and name not in NO_KERNEL:
            self.kernels[name] += 1
        return with_tensors(
            found, lambda tensor: mine[id(tensor)] if id(tensor) in mine else GpuTensor(tensor)
        )  # in place: it stays itself

    def _copied(self, func: Any, source: Tensor, **kwargs: Any) -> Tensor:
        """`source.to(...)`, where that makes a new tensor."""
        from_here = isinstance(source, GpuTensor)
        device = kwargs.pop("device", None)
        there = from_here if device is None else _is_ours(device)
        own = {key: value for key, value in kwargs.items() if key not in ("pin_memory", "non_blocking")}
        found = func(inside(source), **own)
        self._moved(found, from_here, there)
        return GpuTensor(found.clone() if found is inside(source) else found) if there else found

    def _filled(self, func: Any, target: Tensor, source: Tensor, *flags: bool) -> Tensor:
        """`target.copy_(source)`."""
        func(inside(target), inside(source), *flags)
        self._moved(source, isinstance(source, GpuTensor), isinstance(target, GpuTensor))
        return target

    def _moved(self, tensor: Tensor, from_here: bool, there: bool) -> None:
        if from_here == there:
            if there:
                self.kernels["aten::copy_"] += 1
            return
        way = TO_GPU if there else TO_CPU
        self.copies[way] += tensor.numel() * tensor.element_size()
        self._wait(f"a copy {way}")

    def _check_index(self, name: str, tensor: Tensor, indices: Any) -> None:
        """An index may lie on the CPU, which costs a copy; what is indexed with one on the GPU may not."""
        if not isinstance(tensor, GpuTensor):
            raise RuntimeError(f"Expected indices on the device of the indexed tensor, cpu, but got cuda:0 in {name}.")
        for index in tensors_of(indices):
            if not isinstance(index, GpuTensor):
                self._wait(f"an index copied {TO_GPU}")
            elif index.dtype in (torch.bool, torch.uint8):
                self._wait("a mask as index")

    def _wait(self, reason: str) -> None:
        self.waits[f"{reason}, {_place()}"] += 1

    # What torch.cuda offers for random numbers; the state is a seed and how much has been drawn.

    def seed(self, seed: int) -> None:
        self.seeds.append(int(seed))
        self.random_state = torch.tensor([int(seed) % 2**63, 0]).view(torch.uint8)

    def get_state(self, device: Any = None) -> Tensor:
        return self.random_state.clone()

    def set_state(self, state: Tensor, device: Any = None) -> None:
        if isinstance(state, GpuTensor) or state.dtype != torch.uint8 or state.shape != (16,):
            raise TypeError(f"Expected the state to be a ByteTensor of 16 bytes on the CPU, but got {state!r}.")
        self.random_state = state.clone()


def _is_ours(device: Any) -> bool:
    return torch.device(device).type in ("cuda", "meta")


def _place() -> str:
    """The innermost line of this code base that is at work, as file:line."""
    frame = sys._getframe(1)
    while frame:
        name = frame.f_code.co_filename
        if name != __file__ and name.startswith(f"{ROOT}/") and "site-packages" not in name:
            return f"{Path(name).relative_to(ROOT)}:{frame.f_lineno}"
        frame = frame.f_back
    return "elsewhere"


@contextlib.contextmanager
def pretended_gpu(count: int = 1) -> Iterator[PretendedGpu]:
    """While this lasts `torch.cuda` has `count` GPUs, the first of which works; what happens on it is counted."""
    gpu = PretendedGpu()
    properties = SimpleNamespace(name=NAME, major=CAPABILITY[0], minor=CAPABILITY[1], total_memory=MEMORY)
    found: dict[str, Callable] = {
        "is_available": lambda: True,
        "is_initialized": lambda: True,
        "is_bf16_supported": lambda *args, **kwargs: True,
        "device_count": lambda: count,
        "current_device": lambda: 0,
        "init": lambda: None,
        "_lazy_init": lambda: None,
        "synchronize": lambda *args: gpu._wait("synchronize"),
        "get_device_name": lambda *args: NAME,
        "get_device_capability": lambda *args: CAPABILITY,
        "get_device_properties": lambda *args: properties,
        "get_arch_list": lambda: ["sm_80"],
        "mem_get_info": lambda *args: (MEMORY, MEMORY),
        "max_memory_allocated": lambda *args: 0,
        "manual_seed": gpu.seed,
        "manual_seed_all": gpu.seed,
        "get_rng_state": gpu.get_state,
        "set_rng_state": gpu.set_state,
        "get_rng_state_all": lambda: [gpu.get_state() for _ in range(count)],
        "set_rng_state_all": lambda states: gpu.set_state(states[0]),
    }
    lifted = torch._C._only_lift_cpu_tensors()
    overwritten = torch.__future__.get_overwrite_module_params_on_conversion()
    torch._C._ensureCUDADeviceGuardSet()  # C++ then asks no driver which device is the current one
    torch._C._set_only_lift_cpu_tensors(True)  # torch.tensor(..., device="cuda") is made on the CPU, and moved
    torch.__future__.set_overwrite_module_params_on_conversion(True)  # for module.to("cuda")
    try:
        with patch.multiple(torch.cuda, **found), patch.object(Tensor, "pin_memory", lambda self, *args: self), gpu:
            yield gpu
    finally:
        torch._C._set_only_lift_cpu_tensors(lifted)
        torch.__future__.set_overwrite_module_params_on_conversion(overwritten)


@pytest.fixture
def gpu() -> Iterator[PretendedGpu]:
    """A pretended GPU for the length of a test."""
    with pretended_gpu() as found:
        yield found
