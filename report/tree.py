"""Which folders of a tree hold runs: found without following a link, and in a stated number of steps."""

import os
import re
from pathlib import Path
from typing import NamedTuple

from runs.layout import SEED

DEEPEST = 30  # folders below each other
MOST = 500_000  # files and folders in all


class Tree(NamedTuple):
    """Folders that hold a run each, links to folders, folders that cannot be looked into, and whether there are more.

    Links are not followed, since they may lead anywhere, and back.
    """

    runs: list[Path]
    links: list[Path]
    unread: list[Path]
    cut: bool


def look(top: Path) -> Tree:
    """The run folders in `top` and below, hidden folders left out.

    A folder holds a run if it has a metrics.json or a log, whatever these are, or if it is called seed<n>.
    """
    found, waiting, seen = Tree([], [], [], False), [(top, 0)], 0
    while waiting:
        folder, depth = waiting.pop()
        holds = folder != top and bool(SEED.search(folder.name))
        try:
            with os.scandir(folder) as entries:
                for entry in entries:
                    seen += 1
                    if seen > MOST:
                        return found._replace(cut=True)
                    holds |= is_run_file(entry.name)
                    if entry.name.startswith("."):
                        continue
                    path = folder / entry.name
                    if entry.is_dir(follow_symlinks=False):
                        if depth < DEEPEST:
                            waiting.append((path, depth + 1))
                        else:
                            found.unread.append(path)
                    elif entry.is_symlink() and path.is_dir():
                        found.links.append(path)
        except OSError:
            found.unread.append(folder)
        if holds:
            found.runs.append(folder)
    return found


def is_run_file(name: str) -> bool:
    """Whether a file of this name makes its folder a run's; Dassl appends the time to the name of a second log."""
    return name == "metrics.json" or name.startswith("log.txt")


def natural(path: Path) -> list[tuple[int, str]]:
    """A key that sorts seed 2 before seed 10."""
    return [(int(digits or 0), word) for word, digits in re.findall(r"(\D*)(\d*)", path.as_posix())]
