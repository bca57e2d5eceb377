"""Small helpers for files and folders, under the names that they have in Dassl."""

import warnings
from pathlib import Path

from dassl.writing import make_folder


def mkdir_if_missing(dirname: str | Path) -> None:
    """Make a folder and its parents unless they exist."""
    make_folder(dirname)


def listdir_nohidden(path: str | Path, sort: bool = False) -> list[str]:
    """Return the names in a folder that do not start with a dot."""
    names = [item.name for item in Path(path).iterdir() if not item.name.startswith(".")]
    return sorted(names) if sort else names


def check_isfile(fpath: str | Path) -> bool:
    """Return whether `fpath` is a file; warn if not."""
    found = Path(fpath).is_file()
    if not found:
        warnings.warn(f"No file at {fpath}.", stacklevel=2)
    return found
