"""Measure time and memory, on a CPU or a GPU."""

import resource
import statistics
import sys
import time
from collections.abc import Callable

import torch

WIDTH = 2048  # of the matrix product whose pace arithmetic limits are computed with


def seconds(work: Callable[[], object], repeats: int, device: str) -> float:
    """Return the median seconds of `work` over the repeats, after one more to warm up if there are several."""
    found = []
    for _ in range(repeats + (repeats > 1)):
        began = time.perf_counter()
        work()
        if device == "cuda":
            torch.cuda.synchronize()
        found.append(time.perf_counter() - began)
    return statistics.median(found[repeats > 1 :])


def peak_memory_mb(device: str) -> float:
    """Return the most memory that this process has held: resident on a CPU, allocated by PyTorch on a GPU."""
    if device == "cuda":
        return torch.cuda.max_memory_allocated() / 2**20
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (2**20 if sys.platform == "darwin" else 2**10)


def gflops_per_second(device: str, rows: int = WIDTH) -> float:
    """Return the GFLOP/s of a float32 matrix product of [WIDTH, WIDTH] and [WIDTH, rows]; fewer rows are slower."""
    weight, x = torch.randn(WIDTH, WIDTH, device=device), torch.randn(WIDTH, rows, device=device)
    times = max(1, 1024 // rows)  # long enough to be timed
    return 2 * WIDTH**2 * rows * times / 1e9 / seconds(lambda: [weight @ x for _ in range(times)], 7, device)
