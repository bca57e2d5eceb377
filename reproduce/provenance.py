"""Record and show where figures come from: dates, commits, versions, machine."""

import datetime
import os
import platform
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

from dassl.errors import UserError
from dassl.names import check_name
from dassl.reading import MB, read_json
from dassl.writing import write_json
from report.collect import FoundRun, find_all
from report.render import render
from runs import revision
from runs.record import whole
from runs.versions import MAIN

BEGUN = "begun.json"  # in a folder of runs: the commits that they were begun at, and the versions of their phantoms


def commit() -> str:
    """Return the commit of the code for a document, and whether tracked files differ from it."""
    return revision.short(revision.commit() or "not known")


class Begun(NamedTuple):
    """The code and the phantoms that runs were begun with.

    Attributes:
        commits: of the code, each with its first date.
        phantoms: versions.
    """

    commits: dict[str, str]
    phantoms: list[int]


def read_begun(folder: Path) -> Begun:
    """Return what the runs below `folder` were begun with.

    Raises:
        UserError: the file that says so holds something else.
    """
    path = folder / BEGUN
    try:
        found = read_json(path, MB, links=False)
    except FileNotFoundError:
        return Begun({}, [])
    try:
        commits = {
            check_name(k, "commit", str(path)): check_name(v, "date", str(path)) for k, v in found["commits"].items()
        }
        return Begun(commits, [whole(version, "a version", str(path)) for version in found["phantoms"]])
    except (KeyError, TypeError, AttributeError) as error:
        raise UserError(
            f"Expected commits and versions of phantoms in {path}, but got {error!r}: remove it."
        ) from error


def note_begun(folder: Path, phantoms: Iterable[int]) -> None:
    """Record that runs are made below `folder` now, with these versions of the phantoms."""
    before = read_begun(folder)
    now = Begun({commit(): today(), **before.commits}, sorted({*before.phantoms, *phantoms}))
    write_json(now._asdict(), folder / BEGUN, within=folder)


def versions_drawn_meanwhile(datasets: Iterable[str]) -> set[int]:
    """Return the versions of these data sets' phantoms on the disk that are newer than the code of this process."""
    from datasets.base import PHANTOM_ROOT
    from datasets.phantoms import PHANTOMS, VERSION
    from datasets.phantoms.folder import MARKER

    paths = [PHANTOM_ROOT / PHANTOMS[name].name / MARKER for name in datasets if name in PHANTOMS]
    found = {whole(read_json(path, MB)["version"], "the version", str(path)) for path in paths if path.is_file()}
    return {version for version in found if version > VERSION}


def check_alike(folder: Path) -> None:
    """Raise a UserError if runs below `folder` had different images or weights: no table may hold them all.

    The digests of a run do not show this: that of the split covers paths only, and that of the settings covers more
    than the version of the phantoms.
    """
    weights = {
        fingerprint for run in find_all(folder) if run.finished and (fingerprint := run.record.hashes.get("backbone"))
    }
    for what, found in (("versions of the phantoms", read_begun(folder).phantoms), ("weights", sorted(weights))):
        if len(found) > 1:
            raise UserError(
                f"Expected all runs in {folder} to have the same {what}, but they have {', '.join(map(str, found))}: "
                "something was changed while or since they ran; run them again with another --output."
            )


def today() -> str:
    return datetime.date.today().isoformat()


def facts_table(folder: Path, runs: Sequence[FoundRun], command: str) -> str:
    """Return a table in Markdown about the finished `runs` below `folder`, and the `command` that writes it."""
    import torch

    gpus = [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())]
    before = read_begun(folder)
    at = ", ".join(f"{name} ({date})" for name, date in before.commits.items()) or "not recorded"
    rows = [
        ["date", today()],
        ["command", f"`{command}`"],
        ["commit", f"{commit()}; of the runs: {at}"],
        ["versions", versions(runs)],
        ["phantoms", f"version {', '.join(map(str, before.phantoms)) or 'not recorded'}"],
        ["machine", f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores, {', '.join(gpus) or 'no GPU'}"],
        ["runs", f"{len(runs)} finished, {sum(run.record.seconds or 0 for run in runs) / 3600:.1f} hours"],
    ]
    return render(["", ""], rows, "markdown")


def versions(runs: Iterable[FoundRun]) -> str:
    """Return the versions of the packages that the runs used; all of a package if they differ."""
    found: dict[str, dict[str, None]] = {}
    for run in runs:
        for name, version in run.record.versions.items():
            if name not in ("python", *MAIN):
                continue
            found.setdefault(name, {})[str(version)] = None
    return ", ".join(f"{name} {' and '.join(each)}" for name, each in found.items()) or "not recorded"
