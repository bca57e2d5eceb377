"""Break a module in one place at a time and see whether its tests notice.

    python tests/mutation.py trainers/vmf.py clip/features.py [--jobs 2] [--only TEXT] [--tests FILE ...]

A mutant has an operator swapped, a constant changed, a condition forced, a statement or a keyword argument deleted or
None returned. Each runs against the tests of its module in a forked process, which has the large packages imported
already; an import hook puts the mutated code in the module's place, so that no file is edited. A failing test, a crash
or many times the usual time kill it. What is only read by people (docstrings, annotations, messages, prints) is left
alone, and processes that a test starts see the module as it is. `mutation_equivalent.json` lists mutants that change
nothing that a test should see, each with the reason: they are not run.
"""

import argparse
import contextlib
import gc
import importlib
import importlib.abc
import importlib.util
import json
import multiprocessing
import os
import shutil
import signal
import sys
import tempfile
import time
from multiprocessing.connection import wait
from pathlib import Path

from mutants import Mutant, mutants

ROOT = Path(__file__).parents[1]
EQUIVALENT = Path(__file__).with_name("mutation_equivalent.json")
STORE = ["tests/clip/test_features.py", "tests/clip/test_feature_store.py", "tests/clip/test_reading.py"]
TESTS = {"clip/features.py": [*STORE, "tests/clip/test_preprocess.py"]}
TESTS |= {
    "trainers/base/feature_trainer.py": [
        f"tests/trainers/test_{name}.py" for name in ("construction", "training", "of_a_split")
    ],
    "trainers/base/stored_features.py": [
        "tests/trainers/test_construction.py",
        "tests/trainers/test_stored_features.py",
    ],
    "trainers/base/checkpointed.py": ["tests/trainers/test_checkpoints.py"],
}
# imported before the fork
LARGE = ["torch", "torchvision.transforms", "open_clip", "transformers", "scipy.special", "scipy.stats", "mpmath"]
LARGE += ["sklearn.metrics", "sklearn.linear_model", "hypothesis", "pytest", "tqdm", "yacs.config", "safetensors.torch"]
OWN = {"toolbox": "dassl.engine", "datasets": "datasets", "clip": "clip"}  # each may import those before it


class Hook(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Answers the import of `module` with `code`."""

    def __init__(self, module: str, path: str, code: object):
        self.module, self.path, self.code = module, path, code

    def find_spec(self, name, path=None, target=None):
        return importlib.util.spec_from_file_location(name, self.path, loader=self) if name == self.module else None

    def exec_module(self, module) -> None:
        exec(self.code, module.__dict__)


class Order:
    """A pytest plugin: first the tests that call the function that is broken, and of those the quick ones.

    The first run of all measures, into `file`, how long each test takes and which functions of `path` it calls.
    """

    def __init__(self, file: Path, path: str, function: int | None):
        self.file, self.path, self.function = file, str(Path(path).absolute()), function
        self.known = json.loads(file.read_text()) if file.exists() else {}
        self.calls: dict[str, set[int]] = {}

    def pytest_collection_modifyitems(self, items: list) -> None:
        def place(item) -> tuple[bool, float]:
            seconds, calls = self.known.get(item.nodeid, (0.0, []))
            return self.function not in calls, seconds

        items.sort(key=place)

    def pytest_runtest_logstart(self, nodeid: str) -> None:
        if self.function is None:
            seen = self.calls[nodeid] = set()
            sys.setprofile(lambda frame, event, _: event == "call" and self.note(frame.f_code, seen))

    def note(self, code, seen: set[int]) -> None:
        if code.co_filename == self.path:
            seen.add(code.co_firstlineno)

    def pytest_runtest_logreport(self, report) -> None:
        if self.function is None:
            seconds, _ = self.known.get(report.nodeid, (0.0, []))
            self.known[report.nodeid] = seconds + report.duration, sorted(self.calls[report.nodeid])

    def pytest_sessionfinish(self) -> None:
        if self.function is None:
            sys.setprofile(None)
            self.file.write_text(json.dumps(self.known))


def attempt(mutant: Mutant | None, module: str, path: str, tests: list[str], own: Path) -> None:
    """In the forked process: run the tests, with the mutant in place; the exit code is pytest's."""
    import pytest

    os.setsid()  # so that what the tests start dies with them
    if mutant:
        sys.meta_path.insert(0, Hook(module, path, mutant.code))
        quiet = os.open(os.devnull, os.O_WRONLY)
        os.dup2(quiet, 1)
        os.dup2(quiet, 2)
    if "hypothesis" in sys.modules:
        from hypothesis import settings

        settings.register_profile("mutation", derandomize=True, database=None)
        settings.load_profile("mutation")
    order = Order(own.with_name("tests.json"), path, mutant and mutant.function)
    words = ["-x", "-q", "-p", "no:cacheprovider", "--tb=no" if mutant else "--tb=short", f"--basetemp={own}"]
    status = pytest.main([*words, *tests], plugins=[order])
    sys.stdout.flush()
    os._exit(status)


def killed(todo: list[Mutant], module: str, path: str, tests: list[str], jobs: int) -> list[bool]:
    """Whether the tests notice each mutant of `module`.

    Raises:
        SystemExit: the tests fail before anything is broken.
    """
    fork, result, running = multiprocessing.get_context("fork"), [False] * len(todo), {}
    memory = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None  # what is made safe on a disk costs time
    with tempfile.TemporaryDirectory(prefix="mutation_", dir=memory, ignore_cleanup_errors=True) as name:
        folder, began = Path(name), time.monotonic()
        whole = fork.Process(target=attempt, args=(None, module, path, tests, folder / "whole"))
        whole.start()
        whole.join()
        if whole.exitcode:
            raise SystemExit(f"Expected {' '.join(tests)} to pass before anything is broken, but they do not.")
        limit = 20 + 5 * (time.monotonic() - began)
        numbers = iter(range(len(todo)))
        while True:
            for number in iter(lambda: next(numbers, None) if len(running) < jobs else None, None):
                own = folder / str(number)
                process = fork.Process(target=attempt, args=(todo[number], module, path, tests, own))
                process.start()
                running[process.sentinel] = (number, process, time.monotonic() + limit)
            if not running:
                return result
            ended = wait(list(running), timeout=1)
            for sentinel, (number, process, until) in list(running.items()):
                if sentinel in ended or time.monotonic() > until:
                    with contextlib.suppress(ProcessLookupError):
                        os.killpg(process.pid, signal.SIGKILL)
                    process.join()
                    shutil.rmtree(folder / str(number), ignore_errors=True)
                    result[number] = process.exitcode != 0
                    del running[sentinel]


def examine(path: str, tests: list[str], jobs: int, only: str) -> tuple[int, int]:
    """Print the survivors of a module; numbers of mutants killed and run."""
    listed = {(e["file"], e["line"], e["change"]) for e in json.loads(EQUIVALENT.read_text(encoding="utf-8"))}
    found = [m for m in mutants(Path(path).read_text(encoding="utf-8"), path) if only in f"{path}:{m.line}: {m.change}"]
    todo = [m for m in found if (path, m.text, m.change) not in listed]
    for file, line, change in sorted(listed - {(path, m.text, m.change) for m in found}):
        if file == path and not only:
            print(f"{path}: no longer there, although listed as equivalent: {line}: {change}")
    module = ".".join(Path(path).with_suffix("").parts).removeprefix("toolbox.")
    began, noticed = time.monotonic(), killed(todo, module, path, tests, jobs)
    for mutant, dead in zip(todo, noticed, strict=True):
        if not dead:
            print(f"{path}:{mutant.line}: {mutant.change}")
    share, minutes = sum(noticed) / max(1, len(todo)), (time.monotonic() - began) / 60
    print(
        f"{path}: {sum(noticed)} of {len(todo)} killed ({share:.1%}), "
        f"{len(found) - len(todo)} equivalent, {minutes:.1f} minutes\n",
        flush=True,
    )
    return sum(noticed), len(todo)


def preload(modules: list[str]) -> None:
    """Import what the forked processes would each import."""
    for name in modules:
        with contextlib.suppress(ImportError):
            importlib.import_module(name)


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("modules", nargs="+", help="files, relative to the current folder")
    parser.add_argument("--jobs", type=int, default=2, help="mutants at a time (default: 2)")
    parser.add_argument("--only", default="", help="only mutants whose line 'file:line: before -> after' holds this")
    parser.add_argument("--tests", nargs="+", help="test files, instead of tests/<package>/test_<module>.py")
    args = parser.parse_args(argv)
    sys.path[:1] = [str(Path.cwd()), str(ROOT), str(ROOT / "toolbox")]  # not the folder of this file
    os.environ |= {"OMP_NUM_THREADS": "1", "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    preload(LARGE if Path.cwd() == ROOT else [])
    counts = []
    for path in sorted(args.modules, key=lambda path: [*OWN, path.split("/")[0]].index(path.split("/")[0])):
        package = Path(path).parts[0]
        before = list(OWN)[: list(OWN).index(package)] if package in OWN else OWN
        preload([OWN[name] for name in before if Path.cwd() == ROOT])
        default = [f"tests/{Path(path).parent}/test_{Path(path).name}"]
        gc.collect()
        gc.freeze()  # what is here is not looked at again in each fork
        counts.append(examine(path, args.tests or TESTS.get(path, default), args.jobs, args.only))
    dead, run = map(sum, zip(*counts, strict=True))
    print(f"{dead} of {run} killed ({dead / max(1, run):.1%})")
    return 0


if __name__ == "__main__":
    sys.exit(main())
