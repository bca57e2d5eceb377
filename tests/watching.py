"""Watch which files are opened, and what is printed in between."""

import builtins
import contextlib
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from unittest.mock import patch

_watchers: list[list[Path | str]] = []


def _note(event: str, args: tuple) -> None:
    if event == "open" and isinstance(args[0], (str, bytes, os.PathLike)):
        for happened in _watchers:
            happened.append(Path(os.fsdecode(args[0])))


sys.addaudithook(_note)  # Python tells it of each file, whoever opens it; a hook stays for good


@contextlib.contextmanager
def watching() -> Iterator[list[Path | str]]:
    """Yield a list that takes the path of each file that is opened, and each line that is printed, in their order."""
    happened: list[Path | str] = []
    real = builtins.print

    def say(*words, **more):
        happened.append(" ".join(map(str, words)))
        real(*words, **more)

    _watchers.append(happened)
    try:
        with patch.object(builtins, "print", say):
            yield happened
    finally:
        _watchers.remove(happened)


def images(happened: list[Path | str], root: Path, classes: list[str]) -> list[Path]:
    """Return the opened images of some classes below a folder of data sets."""
    folders = {name.replace(" ", "_") for name in classes}
    paths = [each for each in happened if isinstance(each, Path) and root in each.parents and each.suffix == ".png"]
    return [path for path in paths if path.parent.name in folders]
