"""Where the archive of a data set comes from: the Hugging Face hub, or else Google Drive."""

import sys
import zipfile
from dataclasses import asdict
from pathlib import Path

import gdown

from dassl.utils import read_json, write_json
from datasets.base import BiomedDataset

from .disk import DiskFullError, full_disk_told
from .fetch import DownloadError, Remote, beside, fetch, length


def bring(cls: type[BiomedDataset], root: Path) -> tuple[Path, str]:
    """The zip of a data set in `root`, and where it is from; one that lies there already is taken as it is.

    Raises:
        DownloadError: no source gives it; says why of each.
        DiskFullError: there is no room.
    """
    path = root / f"{cls.dataset_dir}.zip"
    note, refusals = beside(path, ".json"), []
    for get, source in ((fetch, cls.archive), (_from_drive, cls.drive_id)):
        if path.is_file():
            break
        try:
            get(source, path)
            _require_zip(source, path)
        except DownloadError as error:
            print(f"{cls.dataset_dir}: {error}", file=sys.stderr)
            refusals.append(str(error))
    if not path.is_file():
        raise DownloadError(
            f"Expected the archive of {cls.dataset_dir} from one of two sources, but {'; and '.join(refusals)}. Or "
            f"bring {path.name} from elsewhere, put it into {root}, and run again."
        )
    return path, read_json(note)["url"] if note.is_file() else f"{path.name}, which was there"


def _from_drive(file_id: str, path: Path) -> None:
    own = path.with_suffix(".drive.zip")  # gdown takes any file that begins with the name for its own partial one
    try:
        with full_disk_told(path.parent):
            gdown.download(id=file_id, output=str(own), resume=True)
            own.replace(path)
    except DiskFullError:
        raise
    except Exception as error:  # gdown's own, requests', and KeyError where Google answers in a new way
        raise DownloadError(f"Google Drive's {file_id} does not come ({' '.join(str(error).split())})") from error
    beside(path, ".part").unlink(missing_ok=True)  # of the hub's
    write_json(asdict(Remote(f"https://drive.google.com/uc?id={file_id}", length(path))), beside(path, ".json"))


def _require_zip(source: str, path: Path) -> None:
    """A page that asks to log in is no archive."""
    if not zipfile.is_zipfile(path):
        with path.open("rb") as file:
            start = file.read(40)
        path.unlink()
        raise DownloadError(f"{source} gives no zip: it begins with {start!r}")
