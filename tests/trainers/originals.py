"""The original code of BiomedCoOp, and numbers that were recorded from it for where there is no checkout.

With BIOMEDCOOP_CHECKOUT set, tests compare ours with what the original computes, and that with originals.json; without,
ours with originals.json. BIOMEDCOOP_RECORD=1 writes the file anew:

    BIOMEDCOOP_CHECKOUT=/path/to/BiomedCoOp BIOMEDCOOP_RECORD=1 bash scripts/test.sh tests/trainers -k published
"""

import ast
import contextlib
import importlib
import json
import os
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import normalize
from torch.overrides import TorchFunctionMode

CHECKOUT = os.environ.get("BIOMEDCOOP_CHECKOUT", "")
RECORDED = Path(__file__).with_name("originals.json")
CLOSE = 1e-5  # relative to the largest entry

Numbers = dict[str, Tensor]


@contextlib.contextmanager
def original(name: str) -> Iterator[ModuleType]:
    """Give a module of the checkout, inside which `.cuda()` does nothing, and whose warnings are not ours."""
    from checkouts.checkout import checkout_at
    from checkouts.compat import cpu_only

    with checkout_at(CHECKOUT).checkout_modules(), cpu_only(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield importlib.import_module(name)


def original_method(file: str, name: str) -> Callable:
    """Return a method of a file of the checkout as a function; the rest of the file is not run."""
    tree = ast.parse((Path(CHECKOUT) / file).read_text())
    found = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef) and node.name == name]
    space = {"torch": torch}
    exec(compile(ast.Module(found, []), file, "exec"), space)  # a file that the caller asked for
    return space[name]


def check(key: str, ours: Numbers, theirs: Callable[[], Numbers], elsewhere: float = CLOSE) -> None:
    """Assert that our numbers are the original's, which `theirs` computes from the checkout.

    Args:
        key: of the numbers in the file.
        ours: our numbers, by name.
        theirs: returns those of the original.
        elsewhere: how far ours may be from recorded ones, which another processor may have computed.
    """
    recorded = json.loads(RECORDED.read_text()) if RECORDED.is_file() else {}
    if CHECKOUT:
        found = {name: value.detach() for name, value in theirs().items()}
        if os.environ.get("BIOMEDCOOP_RECORD") == "1":
            recorded[key] = {name: value.tolist() for name, value in found.items()}
            RECORDED.write_text(
                "{\n" + ",\n".join(f"{json.dumps(k)}: {json.dumps(v)}" for k, v in sorted(recorded.items())) + "\n}\n"
            )
        assert_close(key, ours, found, CLOSE)
    assert_close(key, ours, {name: torch.tensor(value) for name, value in recorded[key].items()}, elsewhere)


def assert_close(key: str, ours: Numbers, theirs: Numbers, close: float) -> None:
    """Assert that numbers of equal names differ by less than `close` times the largest entry."""
    assert ours.keys() == theirs.keys()
    for name, value in theirs.items():
        off = (ours[name].detach() - value).abs().max().item() / value.abs().max().item()
        assert off < close, f"{key}: {name} is {off:.1e} off"


class Seen(TorchFunctionMode):
    """Keeps the last tensor of `rows` rows whose largest entries were asked for: logits of the test images."""

    def __init__(self, rows: int):
        super().__init__()
        self.rows, self.logits = rows, torch.empty(0)

    def __torch_function__(self, func, types, args=(), kwargs=None):
        if func is torch.Tensor.argmax and len(args[0]) == self.rows:
            self.logits = args[0]
        return func(*args, **(kwargs or {}))


def unit(seed: int, *shape: int) -> Tensor:
    """Return random vectors of unit length."""
    return normalize(torch.from_numpy(np.random.default_rng(seed).standard_normal(shape)).float(), dim=-1)


def signs(seed: int, *shape: int) -> Tensor:
    """Return unit vectors of 16 entries of 1/4 and -1/4, whose sums half precision does not round."""
    return torch.from_numpy(np.random.default_rng(seed).integers(0, 2, (*shape, 16))).float() / 2 - 0.25
