"""Read a file of weights out of the zip in which it was published, without unpacking anything."""

import io
import zipfile
import zlib
from pathlib import Path, PurePosixPath, PureWindowsPath

from dassl.errors import UserError
from dassl.reading import MB

LIMIT = 2048 * MB  # of the weights; the largest that is published so has 522 MB
MOST_RATIO = 100  # of unpacked to packed bytes; weights are hardly smaller in a zip
COMPRESSIONS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)  # others may ask for gigabytes of memory
# Raised by `zipfile` for a file that is damaged; RuntimeError if it has a password.
BROKEN = (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, OSError)


def is_published_zip(path: Path) -> bool:
    """Return whether a file is a zip of files, and not of `torch.save`, whose zips have an entry data.pkl."""
    try:
        with zipfile.ZipFile(path) as archive:
            return "data.pkl" not in (PurePosixPath(name).name for name in archive.namelist())
    except BROKEN:
        return False


def read_zipped(path: Path, name: str) -> io.BytesIO:
    """Return the content of the only file called `name` in a zip, in whatever folder of the zip it lies.

    Raises:
        UserError: there is none or another, its path leads out of the zip's folder, it is larger than `LIMIT` or packed
            to less than a part in `MOST_RATIO`, or the zip is damaged.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            members = archive.infolist()
            found = [
                member for member in members if PurePosixPath(member.filename).name == name and not member.is_dir()
            ]
            if len(found) != 1:
                held = ", ".join(repr(member.filename[:60]) for member in members[:8]) or "nothing"
                raise UserError(
                    f"Expected one {name} in {path}, but it holds {held}: download the zip of the model again."
                )
            if why := _refusal(found[0]):
                raise UserError(
                    f"Expected weights in {path}, but its entry {found[0].filename[:60]!r} {why}: it is not read; "
                    "download the zip of the model again."
                )
            return io.BytesIO(archive.read(found[0]))  # no more than the size that was checked
    except BROKEN as error:
        raise UserError(
            f"Expected a sound zip in {path}, but it is not ({error or type(error).__name__}): download it again."
        ) from error


def _refusal(member: zipfile.ZipInfo) -> str:
    """Return why an entry is not read; "" if it is."""
    windows = PureWindowsPath(member.filename)
    if PurePosixPath(member.filename).is_absolute() or windows.anchor or ".." in windows.parts:
        return "leads out of the folder"
    if member.compress_type not in COMPRESSIONS:
        return "is packed in a way that is not read here"
    if member.file_size > LIMIT:
        return f"has {member.file_size / MB:,.0f} MB, more than the {LIMIT // MB:,} that are allowed"
    if member.file_size > MOST_RATIO * max(1, member.compress_size):
        return f"would grow to more than {MOST_RATIO} times its size"
    return ""
