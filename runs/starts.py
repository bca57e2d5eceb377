"""The folder of a run that has just begun: made, and removed again if the run fails before it has learned anything."""

import contextlib
from collections.abc import Iterable
from pathlib import Path

WRITTEN = {".lock", "config.yaml", "log.txt"}  # what a start leaves


def make_folder(folder: Path) -> list[Path]:
    """Make a folder, and return it and those of its parents that were not there; none if it was."""
    made = [place for place in (folder, *folder.parents) if not place.exists()]
    folder.mkdir(parents=True, exist_ok=True)
    return made


def remove_start(folder: Path) -> None:
    """Remove what a start has written into its folder, unless there is more in it."""
    with contextlib.suppress(OSError):
        found = {path.name for path in folder.iterdir()}
        if found <= WRITTEN:
            for name in sorted(found):
                (folder / name).unlink()


def remove_empty(folders: Iterable[Path]) -> None:
    """Remove those folders that are empty, the inner ones first."""
    for folder in sorted(set(folders), key=lambda place: -len(place.parts)):
        with contextlib.suppress(OSError):
            folder.rmdir()
