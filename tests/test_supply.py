"""What is installed, from where, and at least which version of it."""

import ast
import itertools
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from packaging.version import Version

import toolbox
from scripts.floors import floors, requirements

ROOT = Path(__file__).parents[1]
EXTRAS = [extra for extra in requirements() if extra]
TEXTS = [p for p in ROOT.rglob("*") if p.suffix in {".py", ".md", ".sh"} and ".venv" not in p.parts]

# The first release without a known hole in what we use, and the hole.
SAFE = {
    "torch": ("2.10", "CVE-2025-32434, CVE-2026-24747: torch.load(weights_only=True) runs code or breaks memory"),
    "timm": ("1.0.26", "torch.load without weights_only on what a model's configuration names"),
    "transformers": ("5.3", "CVE-2026-4372, CVE-2026-5241: a model's config.json runs code"),
    "filelock": ("3.20.3", "CVE-2025-68146, CVE-2026-22701: a link in the lock's place"),
    "pillow": ("13.0", "CVE-2026-96639, GHSA-5x8w-8jj5-q52h: JPEG and TIFF decoders write beyond their memory"),
    "requests": ("2.32.4", "CVE-2024-47081: passwords of another host"),
    "jinja2": ("3.1.6", "CVE-2025-27516: a template leaves the sandbox"),
    "tqdm": ("4.66.3", "CVE-2024-34062: its command line runs code"),
    "pydicom": ("3.0.2", "CVE-2026-32711: a DICOMDIR moves files"),
    "ray": ("2.56", "CVE-2026-57516: readers that unpickle; without tokens before 2.52"),
}
PYPI = {"PIL": "pillow", "sklearn": "scikit-learn", "yaml": "pyyaml", "open_clip": "open_clip_torch"}


def test_no_floor_is_below_the_first_safe_release():
    asked = floors(*EXTRAS)
    assert {name: hole for name, (first, hole) in SAFE.items() if Version(asked[name]) < Version(first)} == {}


def test_an_extra_asks_for_the_same_everywhere():
    found = {}
    for requirement in itertools.chain(*requirements().values()):
        found.setdefault(re.split(r"\W*>=", requirement)[0], set()).add(requirement)
    assert {name: asked for name, asked in found.items() if len(asked) > 1} == {}


def test_floors_are_plain(monkeypatch):
    monkeypatch.setattr("scripts.floors.requirements", lambda: {"": ["torch==2.10"]})
    with pytest.raises(ValueError, match=r"Expected NAME>=VERSION in setup\.py, but got 'torch==2.10'"):
        floors()


def test_no_index_is_asked_for_what_lies_here():
    """Whoever takes such a name on an index would be installed, and run."""
    ours = {p.parent.name for p in ROOT.glob("*/__init__.py")} | {
        p.parent.name for p in ROOT.glob("toolbox/*/__init__.py")
    }
    ours |= {p.stem for p in ROOT.glob("*.py")} | {"vmfcoop", "vmfcoop-toolbox", "phantomclip"}
    assert {"dassl", "clip", "datasets", "trainers"} <= ours
    assert not ours & {name.lower() for name in floors(*EXTRAS)}
    assert not list(ROOT.glob("*/setup.py")) + list(ROOT.glob("*/pyproject.toml"))


def test_what_is_imported_is_asked_for():
    rooms = ("checkouts", "clip", "datasets", "explain", "grid", "report", "reproduce", "runs", "toolbox", "trainers")
    rooms += ("tuning", "train.py", "parse_test_res.py")
    own = {path.stem for path in ROOT.iterdir()} | {"dassl"}
    found = set()
    for room in rooms:
        for path in [ROOT / room] if room.endswith(".py") else (ROOT / room).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text())):
                names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
                names += [node.module] if isinstance(node, ast.ImportFrom) and not node.level else []
                found |= {name.split(".")[0] for name in names}
    found -= own | set(sys.stdlib_module_names)
    assert {PYPI.get(name, name) for name in found} <= floors(*EXTRAS).keys()
    assert "torch" in found


@pytest.mark.parametrize("path", TEXTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_lines_that_tell_what_to_install(path):
    """They install this repository as it lies here, or packages that setup.py asks for, of the same version."""
    asked = floors(*EXTRAS)
    for line in re.findall(r"pip install\b([^`\n)]*)", path.read_text()):
        for extra in re.findall(r"\.\[(\w+)\]", line):
            assert extra in EXTRAS
        assert "-e toolbox" not in line and "dassl" not in line
        for name, version in re.findall(r"([\w-]+)>=([\d.]*\d)", line):
            assert asked[name] == version


def another_dassl(folder: Path) -> Path:
    """A Dassl that says so when it is imported, and has no `errors`, as the original."""
    (folder / "dassl").mkdir(parents=True)
    (folder / "dassl" / "__init__.py").write_text("print('another dassl')\n")
    return folder


def python(*words: str | Path, path: Path | None = None, **more: str) -> subprocess.CompletedProcess:
    env = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"} | more
    env |= {"PYTHONPATH": str(path)} if path else {}
    line = [sys.executable, *map(str, words)]
    return subprocess.run(line, cwd=ROOT, env=env, capture_output=True, text=True, timeout=300)


@pytest.mark.parametrize(
    "words", [("train.py",), ("parse_test_res.py",), ("-m", "report"), ("-m", "datasets.download")]
)
def test_commands_use_our_dassl_whatever_else_is_installed(tmp_path, words):
    done = python(*words, "--help", path=another_dassl(tmp_path))
    assert done.returncode == 0, done.stderr
    assert "another dassl" not in done.stdout and "usage" in done.stdout


@pytest.mark.parametrize(
    "room", ["checkouts", "clip", "datasets", "trainers", "runs", "report", "reproduce", "grid", "tuning"]
)
def test_every_room_puts_the_toolbox_first(room):
    first = next(node for node in ast.parse((ROOT / room / "__init__.py").read_text()).body if _of_ours(node))
    assert isinstance(first, ast.Import) and first.names[0].name == "toolbox"


def _of_ours(node: ast.stmt) -> bool:
    name = (
        node.module if isinstance(node, ast.ImportFrom) else node.names[0].name if isinstance(node, ast.Import) else ""
    )
    return (bool(name) and (ROOT / name.split(".")[0]).is_dir()) or name == "dassl"


def test_another_dassl_that_was_imported_before_is_told(tmp_path):
    done = python("-c", "import dassl, clip", path=another_dassl(tmp_path))
    last = done.stderr.splitlines()[-1]
    assert last.startswith(
        f"ImportError: Expected the dassl of {toolbox.FOLDER}, but another one has been imported from"
    )
    assert str(tmp_path / "dassl") in last


@pytest.mark.slow  # makes an environment
def test_an_installation_brings_dassl_without_any_index(tmp_path):
    """The one in an environment of its own; setuptools is lent to it."""
    import setuptools

    venv, lent = tmp_path / "venv", str(Path(setuptools.__file__).parents[1])
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", venv], check=True)
    pip = (
        "-m",
        "pip",
        "--python",
        venv / "bin" / "python",
        "install",
        "--no-index",
        "--no-deps",
        "--no-build-isolation",
    )
    done = python(*pip, "-e", ROOT, PYTHONPATH=lent)
    assert done.returncode == 0, done.stderr
    code = "import dassl.errors, vmfcoop; from importlib.metadata import version; from runs.methods import METHODS; "
    code += "print(version('vmfcoop'), dassl.__path__[0], vmfcoop.ROOT, METHODS['vmfcoop'])"
    found = subprocess.check_output([venv / "bin" / "python", "-c", code], cwd=tmp_path, text=True, env={})
    assert found.split() == ["0.1.0", str(ROOT / "toolbox" / "dassl"), str(ROOT), "vMFCoOp"]
    copied = python(*pip, ROOT, PYTHONPATH=lent)  # would overwrite another Dassl
    assert copied.returncode != 0 and "Expected an editable installation" in copied.stdout + copied.stderr


@pytest.mark.slow  # PyTorch with its libraries is about 6 GB
@pytest.mark.skipif(os.environ.get("VMFCOOP_TEST_LOWEST") != "1", reason="VMFCOOP_TEST_LOWEST=1 asks for the download")
def test_the_lowest_versions_work_together():
    subprocess.run(["bash", "scripts/lowest.sh", "tests/toolbox", "tests/runs/test_run.py"], cwd=ROOT, check=True)
