"""The commit of this code, for the records of its runs."""

import os
import re
import subprocess
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[1]
CHANGED = "+changes"  # follows a commit that lacks some of the code
STATUS = ("status", "--porcelain", "--untracked-files=all", "--", "*.py", "configs", "datasets/prompts")
SECONDS = 10  # that git may take


@cache
def commit(root: Path = ROOT) -> str | None:
    """Return the commit that is checked out at `root`, such as "9af3e4d..." (40 digits).

    It ends in "+changes" if files that decide numbers (Python, configs/, sentences) differ from it or are not in it.
    None where `root` is not the root of a work tree of git, such as an unpacked archive, where git is missing, takes
    too long, or refuses a folder that belongs to someone else.
    """
    try:
        top, found = _git(root, "rev-parse", "--show-toplevel", "HEAD").splitlines()
        if Path(top).resolve() != root.resolve():  # a work tree that this code was copied into
            return None
        return found + (CHANGED if _git(root, *STATUS) else "")
    except (OSError, ValueError, subprocess.SubprocessError):
        return None


def short(commit: str) -> str:
    """Return a commit with the first 12 of its digits, for a table; other text as it is.

    >>> short("9af3e4d01b2c3d4e5f60718293a4b5c6d7e8f901+changes")
    '9af3e4d01b2c+changes'
    """
    return re.sub(r"^([0-9a-f]{12})[0-9a-f]+", r"\1", commit)


def _git(root: Path, *words: str) -> str:
    # Neither variables that lead to another repository, nor a program that a configuration names; nothing is written.
    kept = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    done = subprocess.run(
        ["git", "-c", "core.fsmonitor=false", *words],
        cwd=root,
        env=kept | {"GIT_OPTIONAL_LOCKS": "0"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=SECONDS,
        check=True,
        text=True,
    )
    return done.stdout.strip()
