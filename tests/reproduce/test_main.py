"""`python -m reproduce NAME`."""

import importlib
import pkgutil

import pytest

import reproduce
from reproduce import __main__ as command
from reproduce import verify


def test_every_module_that_is_a_command_has_a_name():
    modules = {
        name: importlib.import_module(f"reproduce.{name}") for _, name, _ in pkgutil.iter_modules(reproduce.__path__)
    }
    assert {name for name, module in modules.items() if hasattr(module, "main")} - {"__main__"} == set(command.NAMES)


def test_the_words_after_the_name_are_its_own(monkeypatch):
    calls = []
    monkeypatch.setattr(verify, "main", lambda words: calls.append(words) or 2)
    assert command.main(["verify", "--root", "data", "USE_CUDA", "False"]) == 2
    assert calls == [["--root", "data", "USE_CUDA", "False"]]


@pytest.mark.parametrize(("words", "status"), [([], 2), (["figure4"], 2), (["--help"], 0)])
def test_without_a_name_all_are_listed(words, status, capsys):
    assert command.main(words) == status
    output = capsys.readouterr()
    text = output.err if status else output.out
    assert all(f"    {name}" in text for name in command.NAMES)
