"""Copies of the code, to which a user adds a file."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
LEFT_OUT = shutil.ignore_patterns(".*", "output", "build", "tests", "docs", "__pycache__", "*.egg-info")


def copy_code(to: Path) -> Path:
    """Copy the code of the repository, without its images and tests, and return the folder."""

    def left_out(folder: str, names: list[str]) -> set[str]:
        # data/ at the top is images, toolbox/dassl/data/ is code
        return LEFT_OUT(folder, names) | ({"data"} & set(names) if Path(folder) == ROOT else set())

    return Path(shutil.copytree(ROOT, to, ignore=left_out, symlinks=True))


def run_there(code: Path, *words: object, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run a command in a copy of the code, with this interpreter as `python`."""
    paths = [str(code), str(code / "toolbox"), *filter(None, [os.environ.get("PYTHONPATH")])]
    env = os.environ | {"NO_VENV": "1", "PYTHONPATH": os.pathsep.join(paths)} | environment
    env["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    return subprocess.run([str(word) for word in words], cwd=code, env=env, capture_output=True, text=True)
