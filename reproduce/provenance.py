"""Where figures come from: dates, commits, versions, machine."""

import datetime
import os
import platform
import subprocess
from collections.abc import Iterable, Sequence
from pathlib import Path

from dassl.errors import UserError
from dassl.names import check_name
from dassl.reading import MB, read_json
from dassl.writing import write_json
from report.collect import FoundRun, find_all
from report.render import render
from runs.record import whole

BEGUN = "begun.json"  # in a folder of runs: the commits that they were begun at, and the versions of their phantoms


def commit() -> str:
    """The commit of the code, and whether tracked files differ from it."""

    def git(*words: str) -> str:
        root = Path(__file__).parents[1]
        return subprocess.run(["git", *words], cwd=root, check=True, capture_output=True, text=True).stdout.strip()

    try:
        changed = git("status", "--porcelain", "--untracked-files=no")
        return git("rev-parse", "--short=12", "HEAD") + (" with changes" if changed else "")
    except (OSError, subprocess.CalledProcessError):
        return "not known"


def begun(folder: Path) -> dict:
    """The "commits" that runs below `folder` were begun at, with their first dates, and the versions of "phantoms"."""
    path = folder / BEGUN
    try:
        found = read_json(path, MB, links=False)
    except FileNotFoundError:
        return {"commits": {}, "phantoms": []}
    try:
        commits = {
            check_name(k, "commit", str(path)): check_name(v, "date", str(path)) for k, v in found["commits"].items()
        }
        return {
            "commits": commits,
            "phantoms": [whole(version, "a version", str(path)) for version in found["phantoms"]],
        }
    except (KeyError, TypeError, AttributeError) as error:
        raise UserError(
            f"Expected commits and versions of phantoms in {path}, but got {error!r}: remove it."
        ) from error


def note(folder: Path, phantoms: Iterable[int]) -> None:
    """Remember that runs are made below `folder` now, of these versions of the phantoms."""
    before = begun(folder)
    versions = sorted({*before["phantoms"], *phantoms})
    write_json(
        {"commits": {commit(): today(), **before["commits"]}, "phantoms": versions}, folder / BEGUN, within=folder
    )


def drawn_meanwhile(datasets: Iterable[str]) -> set[int]:
    """Versions on the disk of these data sets' phantoms that are newer than the code of this process."""
    from datasets.base import PHANTOM_ROOT
    from datasets.phantoms import PHANTOMS, VERSION
    from datasets.phantoms.folder import MARKER

    paths = [PHANTOM_ROOT / PHANTOMS[name].name / MARKER for name in datasets if name in PHANTOMS]
    found = {whole(read_json(path, MB)["version"], "the version", str(path)) for path in paths if path.is_file()}
    return {version for version in found if version > VERSION}


def check(folder: Path) -> None:
    """Raise a UserError where runs below `folder` had different images or weights: no table may hold them all.

    A run's own hashes do not tell: that of its split is of paths, and in that of its settings the phantoms' version is
    one of many.
    """
    weights = {
        fingerprint for run in find_all(folder) if run.finished and (fingerprint := run.record.hashes.get("backbone"))
    }
    for what, found in (("versions of the phantoms", begun(folder)["phantoms"]), ("weights", sorted(weights))):
        if len(found) > 1:
            raise UserError(
                f"Expected all runs in {folder} to have the same {what}, but they have {', '.join(map(str, found))}: "
                "something was changed while or since they ran; run them again with another --output."
            )


def today() -> str:
    return datetime.date.today().isoformat()


def facts(folder: Path, runs: Sequence[FoundRun], command: str) -> str:
    """A table in Markdown about the finished `runs` below `folder` and the `command` that writes it."""
    import torch

    gpus = [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())]
    before = begun(folder)
    at = ", ".join(f"{name} ({date})" for name, date in before["commits"].items()) or "not recorded"
    rows = [
        ["date", today()],
        ["command", f"`{command}`"],
        ["commit", f"{commit()}; of the runs: {at}"],
        ["versions", versions(runs)],
        ["phantoms", f"version {', '.join(map(str, before['phantoms'])) or 'not recorded'}"],
        ["machine", f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores, {', '.join(gpus) or 'no GPU'}"],
        ["runs", f"{len(runs)} finished, {sum(run.record.seconds or 0 for run in runs) / 3600:.1f} hours"],
    ]
    return render(["", ""], rows, "markdown")


def versions(runs: Iterable[FoundRun]) -> str:
    """Versions of the packages that the runs used, all where they differ."""
    found: dict[str, dict[str, None]] = {}
    for run in runs:
        for name, version in run.record.versions.items():
            found.setdefault(name, {})[version] = None
    return ", ".join(f"{name} {' and '.join(each)}" for name, each in found.items()) or "not recorded"
