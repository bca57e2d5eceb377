"""The examples in docstrings."""

import doctest
import importlib
from pathlib import Path

import pytest

import toolbox  # noqa: F401, its dassl comes first

ROOT = Path(__file__).parents[1]
PLACES = (ROOT, ROOT / "toolbox")  # of packages
ROOMS = (
    "checkouts",
    "clip",
    "datasets",
    "explain",
    "grid",
    "report",
    "reproduce",
    "runs",
    "toolbox",
    "trainers",
    "tuning",
)
FILES = [file for room in ROOMS for file in sorted((ROOT / room).rglob("*.py")) if ">>> " in file.read_text()]


def module_name(file: Path) -> str:
    place = next(place for place in reversed(PLACES) if place in file.parents)
    return ".".join(file.relative_to(place).with_suffix("").parts).removesuffix(".__init__")


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(ROOT)))
def test_examples_give_what_they_show(file):
    found = doctest.testmod(importlib.import_module(module_name(file)), optionflags=doctest.NORMALIZE_WHITESPACE)
    assert found.attempted > 0
    assert found.failed == 0


def test_there_are_examples():
    assert FILES
