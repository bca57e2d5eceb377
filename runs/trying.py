"""Commands that a user can try on a run that has just finished."""

import os
import shlex
import sys
from functools import cache
from pathlib import Path, PurePosixPath

from dassl.errors import UserError
from dassl.source import read_registered
from runs.layout import DATASETS
from runs.spec import PHANTOMS

ROOT = Path(__file__).parents[1]
RENDERED = Path("data", "phantoms")  # in the repository
CALLER = "VMFCOOP_CALLER"  # in the environment: the folder that a script was called from
PICTURE = "PICTURE"  # stands for one that is not found


def commands_to_try(run: Path, dataset: str, root: str | Path, output: Path) -> list[str]:
    """Return the shell lines that classify a test image of a run, and that write the page of all runs.

    Args:
        run: folder of a finished run.
        dataset: key of its data set.
        root: folder of the data sets, or "phantoms"; "" if it is not known.
        output: folder of all runs.
    """
    picture = str(tested_picture(run, dataset, root) or PICTURE)
    page = f"{shlex.join([_python(), '-m', 'report', str(output)])}  # {output / 'report' / 'index.html'}"
    lines = [shlex.join([_python(), "predict.py", str(run), picture]), page]
    caller = Path(os.environ.get(CALLER) or ROOT)  # a script goes to the repository, whoever calls it
    return lines if caller.resolve() == ROOT.resolve() else [f"cd {shlex.quote(str(ROOT))}", *lines]


def tested_picture(run: Path, dataset: str, root: str | Path) -> Path | None:
    """Return the first test image of a run; None if it is not found."""
    from runs.predictions import read_predictions  # NumPy is not loaded before it is needed

    inner = _dataset_dirs().get(dataset)
    try:
        path = PurePosixPath(read_predictions(run).paths[0])
    except (OSError, UserError):
        return None
    if inner is None or not root or path.is_absolute() or ".." in path.parts:
        return None
    folder = RENDERED if str(root) == PHANTOMS else Path(root).expanduser()
    found = folder / inner / inner / path
    return found if (ROOT / found).is_file() else None


@cache
def _dataset_dirs() -> dict[str, str]:
    """Return the folder of each data set below the root, by its key."""
    found = read_registered(DATASETS, "DATASET_REGISTRY")
    return {each.constants.get("key") or each.module: each.constants.get("dataset_dir", "") for each in found}


def _python() -> str:
    """Return the interpreter as a user types it: that of .venv where a script has made it and nobody has entered it."""
    made = Path(sys.prefix) == ROOT / ".venv" and "VIRTUAL_ENV" not in os.environ
    return ".venv/bin/python" if made else "python"
