"""The tool that breaks modules, on a module of four lines."""

import subprocess
import sys
from pathlib import Path

from tests.mutants import mutants

TOOL = Path(__file__).with_name("mutation.py")
TOY = '''def positive(x: int = 3) -> bool:
    """Whether x is above zero."""
    print("asked for", 1)
    return x > 0
'''
TESTS = """import toy
def test_positive():
    assert toy.positive(1) and toy.positive() and not toy.positive(-1)
"""


def changes(source: str) -> list[str]:
    return [f"{mutant.line}: {mutant.change}" for mutant in mutants(source, "toy.py")]


def test_only_what_a_test_could_see_is_broken():
    assert changes(TOY) == [
        "1: 3 -> 4",
        "4: return x > 0 -> return None",
        "4: x > 0 -> x >= 0",
        "4: x > 0 -> x <= 0",
        "4: 0 -> 1",
    ]
    assert changes('def f(a: "int"):\n    if not a:\n        raise ValueError(f"got {a + 1}")\n') == [
        "2: not a -> a",
        "2: not a -> True",
        "2: not a -> False",
        "3: raise ValueError(f'got {a + 1}') -> pass",
    ]
    assert changes("self.x = f(-1, key='v')\ng(0.5)\n") == [
        "1: self.x = f(-1, key='v') -> pass",
        "1: 1 -> 2",
        "1: f(-1, key='v') -> f(-1)",
        "1: 'v' -> ''",
        "2: g(0.5) -> pass",
        "2: 0.5 -> 1.0",
    ]


def test_each_mutant_has_one_change_and_its_line():
    values = []
    for mutant in mutants("a = 2\nb = a * 3\n", "toy.py"):
        names = {}
        exec(mutant.code, names)
        values.append((mutant.text, names["a"], names["b"]))
    assert values == [("a = 2", 3, 9), ("b = a * 3", 2, 2 / 3), ("b = a * 3", 2, 8)]


def test_a_survivor_is_named_and_no_file_is_edited(tmp_path):
    (tmp_path / "toy.py").write_text(TOY)
    (tmp_path / "test_toy.py").write_text(TESTS)
    command = [sys.executable, str(TOOL), "toy.py", "--tests", "test_toy.py", "--jobs", "1"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True, timeout=300)
    assert "toy.py:1: 3 -> 4\ntoy.py:4: x > 0 -> x >= 0\ntoy.py: 3 of 5 killed (60.0%), 0 equivalent" in done.stdout
    assert (tmp_path / "toy.py").read_text() == TOY
    broken = TESTS.replace("not toy", "toy")
    (tmp_path / "test_toy.py").write_text(broken)
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=300)
    assert done.returncode == 1 and "to pass before anything is broken" in done.stderr
