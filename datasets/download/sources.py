"""Where the archive of a data set comes from: the Hugging Face hub, or else Google Drive."""

import sys
import zipfile
from pathlib import Path

from datasets.base import BiomedDataset

from .fetch import DownloadError, beside, fetch, source_of

# Where Drive's page leads after "download anyway", which it asks of files too large for its virus scan.
DRIVE = "https://drive.usercontent.google.com/download?export=download&confirm=t&id="
SLACK = 1.25  # of an archive over the size that its authors state, which is rounded


def bring(cls: type[BiomedDataset], root: Path) -> tuple[Path, str]:
    """The zip of a data set in `root`, and where it is from; one that lies there already is taken as it is.

    Raises:
        DownloadError: no source gives it; says why of each.
        DiskFullError: there is no room.
    """
    path, refusals = root / f"{cls.dataset_dir}.zip", []
    own = path.with_suffix(".drive.zip")  # what has come from the hub is kept while Drive is tried
    limit = int(cls.archive_mb * 1_000_000 * SLACK) or None
    for url, file in ((cls.archive, path), (DRIVE + cls.drive_id, own)):
        if path.is_file():
            break
        try:
            fetch(url, file, limit)
            _require_zip(url, file)
        except DownloadError as error:
            print(f"{cls.dataset_dir}: {error}", file=sys.stderr)
            refusals.append(str(error))
            continue
        if file is own:
            _move(own, path)
    if not path.is_file():
        raise DownloadError(
            f"Expected the archive of {cls.dataset_dir} from one of two sources, but {'; and '.join(refusals)}. Or "
            f"bring {path.name} from elsewhere, put it into {root}, and run again."
        )
    return path, source_of(path) or f"{path.name}, which was there"


def _move(own: Path, path: Path) -> None:
    beside(path, ".part").unlink(missing_ok=True)  # of the hub's
    beside(own, ".json").replace(beside(path, ".json"))
    own.replace(path)


def _require_zip(source: str, path: Path) -> None:
    """A page that asks to log in is no archive."""
    if not zipfile.is_zipfile(path):
        with path.open("rb") as file:
            start = file.read(40)
        path.unlink()
        raise DownloadError(f"{source} gives no zip: it begins with {start!r}")
