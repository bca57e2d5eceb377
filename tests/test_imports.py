"""Who imports whom: arrows go one way, and no package imports a command."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
BELOW = {  # a package -> the ones that its modules may import, beside those that these may import
    "dassl": (),
    "clip": ("dassl",),
    "datasets": ("dassl",),
    "trainers": ("clip", "datasets"),
    "checkouts": ("trainers",),
    "runs": ("checkouts",),
    "report": ("runs",),
    "explain": ("runs",),
    "grid": ("report",),
    "tuning": ("report",),
    "reproduce": ("explain", "grid", "tuning"),
    "benchmarks": ("runs",),
    "train": ("runs",),
    "predict": ("explain",),
    "parse_test_res": ("report",),
}
LIGHT = {"runs.changed", "runs.error_pictures", "runs.layout", "runs.methods", "runs.options", "runs.outcome"}
LIGHT |= {"runs.predictions", "runs.record", "runs.revision", "runs.spec", "runs.trying", "runs.versions"}  # no PyTorch


def allowed(package: str) -> set[str]:
    """Every package below this one."""
    return {name for below in BELOW[package] for name in (below, *allowed(below))}


def files(package: str) -> list[Path]:
    folder = ROOT / "toolbox" / "dassl" if package == "dassl" else ROOT / package
    return sorted(folder.rglob("*.py")) if folder.is_dir() else [folder.with_suffix(".py")]


def imported(path: Path) -> set[str]:
    """Full names of the modules that a file imports, in functions too; those of its own package are left out."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            found |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return found


@pytest.mark.parametrize("package", BELOW)
def test_imports_go_one_way(package):
    others = set(BELOW) - allowed(package) - {package}
    for path in files(package):
        wrong = {name for name in imported(path) if name.split(".")[0] in others}
        assert not wrong, f"{path.relative_to(ROOT)} imports {', '.join(sorted(wrong))}"


def test_every_package_has_a_place():
    packages = {path.parent.name for path in ROOT.glob("*/__init__.py")} - {"tests", "toolbox", "vmfcoop"}
    assert packages <= set(BELOW)


def test_no_module_imports_a_command():
    for path in (path for package in BELOW for path in files(package)):
        assert not any(name.endswith("__main__") for name in imported(path)), path


def test_a_report_reads_runs_without_what_trains_them():
    for path in files("report"):
        heavy = {name for name in imported(path) if name.startswith("runs.") and name.count(".") == 1} - LIGHT
        assert not heavy, f"{path.relative_to(ROOT)} imports {', '.join(sorted(heavy))}"
    for name in LIGHT:
        path = ROOT / f"{name.replace('.', '/')}.py"
        found = {each for each in imported(path) if each.startswith("runs.") and each.count(".") == 1}
        assert found <= LIGHT
        assert not {each.split(".")[0] for each in imported(path)} & {"torch", "yacs", "trainers", "clip", "datasets"}
