"""A run does not wait at its start for packages that only some runs need."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
SOME_RUNS_ONLY = ("sklearn", "pandas", "matplotlib", "open_clip", "transformers", "timm", "optuna", "ray")


def test_only_what_every_run_needs_is_imported_at_the_start():
    code = f"import sys, train, trainers\nprint([m for m in {SOME_RUNS_ONLY} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip().splitlines()[-1] == "[]"
