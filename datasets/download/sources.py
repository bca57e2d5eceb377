"""Bring the archive of a data set from the Hugging Face hub, or else from Google Drive."""

import sys
import zipfile
from pathlib import Path

from huggingface_hub import constants

from datasets.base import BiomedDataset

from .fetch import DownloadError, Remote, beside, fetch, source_of
from .hub import find_on_hub

# Large files are given only after "download anyway" on a page of Drive; this address has the answer in it.
DRIVE = "https://drive.usercontent.google.com/download?export=download&confirm=t&id="
SLACK = 1.25  # an archive may be larger by so much than the size that its authors state, which is rounded


def bring_archive(cls: type[BiomedDataset], root: Path) -> tuple[Path, str]:
    """Return the zip of a data set in `root`, and where it is from; a zip that is there already is taken as it is.

    Raises:
        DownloadError: no source gives it; says why of each.
        DiskFullError: there is not enough room.
    """
    path, refusals = root / f"{cls.dataset_dir}.zip", []
    for bring in (_bring_from_address, _bring_from_drive):
        if path.is_file():
            break
        try:
            bring(cls, path)
        except DownloadError as error:
            print(f"{cls.dataset_dir}: {error}", file=sys.stderr)
            refusals.append(str(error))
    if not path.is_file():
        raise DownloadError(
            f"Expected the archive of {cls.dataset_dir} from the network, but {'; and '.join(refusals)}. Or bring "
            f"{path.name} from elsewhere, put it into {root}, and run again."
        )
    return path, source_of(path) or f"{path.name}, which was there"


def _bring_from_address(cls: type[BiomedDataset], path: Path) -> None:
    _bring_zip(find_on_hub(cls.archive) or Remote(cls.archive), path, cls.archive_mb)


def _bring_from_drive(cls: type[BiomedDataset], path: Path) -> None:
    """Bring the zip to a file of its own, so that what has come of `path` is kept, and then move it to `path`."""
    if not cls.drive_id or constants.HF_HUB_OFFLINE:  # which forbids the network
        return
    file = path.with_suffix(".drive.zip")
    _bring_zip(Remote(DRIVE + cls.drive_id), file, cls.archive_mb)
    beside(path, ".part").unlink(missing_ok=True)
    beside(file, ".json").replace(beside(path, ".json"))
    file.replace(path)


def _bring_zip(source: Remote, path: Path, megabytes: int) -> None:
    """Bring a file of about so many megabytes (0: unknown); if it is no zip, such as a page that asks to log in, delete
    it and raise a DownloadError."""
    fetch(source, path, int(megabytes * 1_000_000 * SLACK) or None)
    if not zipfile.is_zipfile(path):
        with path.open("rb") as file:
            start = file.read(40)
        path.unlink()
        raise DownloadError(f"{source.url} gives no zip: it begins with {start!r}")
