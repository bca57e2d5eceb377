"""Batches and blocks keep every row and the order of the rows; waiting is the time between asking and receiving."""

import time

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from clip.encoding import Waiting, in_batches, in_blocks

SIZES = st.lists(st.integers(1, 6), max_size=8)


def numbered(sizes: list[int]) -> list[tuple[list[bytes], torch.Tensor]]:
    """Items of these sizes; key and pixels of each row are its number."""
    numbers = iter(range(sum(sizes)))
    rows = [[next(numbers) for _ in range(size)] for size in sizes]
    return [([bytes([i]) for i in item], torch.tensor(item).float()[:, None, None, None]) for item in rows]


@given(sizes=SIZES, size=st.integers(1, 6))
def test_batches_are_full_and_keep_the_order(sizes, size):
    total = sum(sizes)
    found = [(keys, pixels.flatten().tolist()) for keys, pixels in in_batches(numbered(sizes), size)]
    assert [len(keys) for keys, _ in found] == [size] * (total // size) + [total % size] * (total % size > 0)
    assert b"".join(key for keys, _ in found for key in keys) == bytes(range(total))
    assert [number for _, numbers in found for number in numbers] == list(range(total))


@given(sizes=SIZES, size=st.integers(1, 6))
def test_blocks_have_at_least_their_size_and_keep_the_order(sizes, size):
    batches = [(keys, pixels.numpy().reshape(-1, 1)) for keys, pixels in numbered(sizes)]
    found = list(in_blocks(batches, size))
    assert all(len(keys) == len(rows) for keys, rows in found) and all(len(keys) >= size for keys, _ in found[:-1])
    assert all(len(keys) < size + max(sizes) for keys, _ in found)
    assert b"".join(key for keys, _ in found for key in keys) == bytes(range(sum(sizes)))
    assert np.array_equal(np.concatenate([np.zeros((0, 1)), *(rows for _, rows in found)])[:, 0], range(sum(sizes)))


def test_waiting_is_told_from_working(monkeypatch):
    clock = [100.0]

    def items():
        for item in numbered([1, 2]):
            clock[0] += 3
            yield item
        clock[0] += 1  # to find out that there are no more

    monkeypatch.setattr(time, "monotonic", lambda: clock[0])
    waiting, sizes = Waiting(items()), []
    for keys, _ in waiting:
        sizes.append(len(keys))
        clock[0] += 10
    assert sizes == [1, 2] and waiting.seconds == 3 + 3 + 1 and waiting.elapsed == 2 * (3 + 10) + 1


def test_a_failure_while_waiting_is_passed_on():
    def items():
        yield from numbered([1])
        raise OSError("gone")

    with pytest.raises(OSError, match="gone"):
        list(Waiting(items()))
