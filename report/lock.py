"""The versions that runs recorded, as a file for pip: requirements.lock.

Records may come from anyone, and a name in such a file is installed by whoever uses it: only packages that this code
needs are named.
"""

import re
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from dassl.writing import atomic_write
from report.collect import FoundRun
from runs.revision import short
from runs.versions import PACKAGES

NAME = "requirements.lock"
OURS = "vmfcoop"  # this code, which no index has
VERSION = re.compile(r"\d[\w.!]{0,40}(\+[\w.]{1,40})?", re.ASCII)


def write(runs: Iterable[FoundRun], folder: Path, within: Path) -> list[str]:
    """Write the versions of finished runs, and return lines for the console: what differs, and where they are.

    Args:
        runs: finished or not.
        folder: that the file is written to.
        within: folder that nothing is written outside of.
    """
    runs = [run for run in runs if run.finished and run.record.versions]
    if not runs:
        return [f"No {NAME}: no run has recorded versions."]
    found = {name: Counter(filter(None, (run.record.versions.get(name) for run in runs))) for name in PACKAGES}
    known = {name: counted for name, each in found.items() if (counted := _readable(each))}
    commits = Counter(short(run.record.commit) for run in runs if run.record.commit)
    python = _readable(Counter(filter(None, (run.record.versions.get("python") for run in runs))))
    lines = [f"# Versions of {len(runs)} runs; in a checkout of the commit: pip install -e . -c {NAME}"]
    lines += [f"# {name}: {_counts(each)}" for name, each in (("python", python), ("commit", commits)) if each]
    for name, each in known.items():
        ((version, _), *others) = each.most_common()
        public, _, local = version.partition("+")  # a local part, such as cu130, is of a build that PyPI may not have
        remarks = [f"built as {version}"] if local else []
        remarks += [f"of {_counts(each)}"] if others else []
        pin = f"# {name}: {version}" if name == OURS else f"{name}=={public}"
        lines.append(pin + (f"  # {'; '.join(remarks)}" if remarks else ""))
    with atomic_write(folder / NAME, within=within) as file:
        file.write("\n".join([*lines, ""]))
    told = {"python": python, "commit": commits} | known
    differing = [f"{name} {_counts(each)}" for name, each in told.items() if len(each) > 1]
    words = f"Versions differ between runs: {'; '.join(differing)}; {NAME} has the most frequent."
    return [*([words] if differing else []), f"Versions of the runs: {folder / NAME}"]


def _readable(versions: Counter[str]) -> Counter[str]:
    """Return the versions that are such, and nothing else to pip."""
    return Counter({version: count for version, count in versions.items() if VERSION.fullmatch(version)})


def _counts(versions: Counter[str]) -> str:
    """Return versions, the most frequent first, each with its number of runs if there are several.

    >>> _counts(Counter({"2.1": 1, "2.4": 3})), _counts(Counter({"2.4": 3}))
    ('2.4 (3 runs), 2.1 (1 run)', '2.4')
    """
    if len(versions) == 1:
        return next(iter(versions))
    return ", ".join(f"{name} ({n} run{'s' if n > 1 else ''})" for name, n in versions.most_common())
