"""The report starts at once and runs without PyTorch: it imports no models, data, runs or grids."""

import ast
import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = sorted((ROOT / "report" / "page").glob("*.py"))  # loaded when a page is written
TABLES = sorted((ROOT / "report" / "tables").glob("*.py"))
FILES = [*sorted((ROOT / "report").glob("*.py")), *TABLES, ROOT / "parse_test_res.py"]
OURS = {"toolbox", "dassl", "report", "runs"}
OF_RUNS = {"runs.changed", "runs.error_pictures", "runs.layout", "runs.methods", "runs.predictions", "runs.record"}
OF_RUNS |= {"runs.options", "runs.revision", "runs.spec", "runs.trying", "runs.versions"}
OTHERS = {"jinja2", "matplotlib", "numpy", "scipy", "tabulate"}
HEAVY = OTHERS - {"tabulate"} | {"torch", "clip", "datasets", "trainers", "checkouts", "grid", "tuning", "reproduce"}


def imported(file: Path) -> set[str]:
    """Modules that a file imports anywhere in it."""
    nodes = list(ast.walk(ast.parse(file.read_text(encoding="utf-8"))))
    names = {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}
    return names | {node.module for node in nodes if isinstance(node, ast.ImportFrom)}


@pytest.mark.parametrize("file", [*FILES, *PAGE], ids=lambda file: f"{file.parent.name}/{file.name}")
def test_only_what_a_report_needs_is_imported(file):
    names = {name for name in imported(file) if name.partition(".")[0] not in sys.stdlib_module_names}
    assert {name.partition(".")[0] for name in names} <= OURS | OTHERS
    assert {name for name in names if name.startswith("runs")} <= OF_RUNS


def test_imports_load_nothing_heavy():
    names = [file.relative_to(ROOT).with_suffix("").as_posix() for file in FILES if file.parent != ROOT]
    modules = [name.replace("/", ".") for name in names]
    assert [name for name in HEAVY if name in loaded_by(["parse_test_res", *modules])] == []


def test_a_page_loads_no_pytorch():
    modules = [f"report.page.{file.stem}" for file in PAGE]
    assert [name for name in HEAVY - OTHERS if name in loaded_by(modules)] == []


def loaded_by(modules: list[str]) -> list[str]:
    """Modules that are loaded once these are."""
    code = f"import sys, json, {', '.join(modules)}; print(json.dumps([*sys.modules]))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, cwd=ROOT)
    loaded = json.loads(done.stdout)
    assert set(modules) <= set(loaded)
    return loaded


def test_the_report_has_at_most_seventeen_files_and_its_rooms_eight():
    lines = {file: len(file.read_text(encoding="utf-8").splitlines()) for file in (ROOT / "report").rglob("*.py")}
    assert len(lines) <= 17 + 8 + 8 and len(PAGE) <= 8 and len(TABLES) <= 8
    assert {name: n for name, n in lines.items() if n > 300} == {}
