"""Unpacking a zip that nobody vouches for: nothing is written outside the folder, and no links are made."""

import errno
import shutil
import stat
import zipfile
import zlib
from pathlib import Path, PurePosixPath, PureWindowsPath

from tqdm import tqdm

from dassl.errors import UserError

from .disk import check_room

BROKEN = (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError)  # the last: a password is wanted
AT_ODDS = (errno.EEXIST, errno.ENOTDIR, errno.EINVAL)  # an entry twice, a file as a folder, an entry before the start
KINDS = (0, stat.S_IFREG, stat.S_IFDIR)  # of entries: not told (by Windows), file, folder


def unpack(archive: Path, folder: Path) -> None:
    """Unpack a zip into an empty folder, checking every sum; what macOS adds for itself is left out.

    Raises:
        UserError: it is damaged, no zip, or has an entry that could harm; what was unpacked remains in `folder`.
        DiskFullError: there is not room enough.
    """
    try:
        with zipfile.ZipFile(archive) as file:
            members = [m for m in file.infolist() if not m.filename.startswith("__MACOSX/")]
            for member in members:
                _check(archive, member)
            check_room(folder, sum(member.file_size for member in members), f"to unpack {archive.name}")
            for member in tqdm(members, desc=f"Unpacking {archive.name}", unit=" files"):
                _write(file, member, folder / member.filename)
    except (*BROKEN, OSError) as error:
        if isinstance(error, OSError) and error.errno not in AT_ODDS:
            raise
        raise UserError(
            f"Expected a sound zip in {archive}, but it is not ({error or type(error).__name__}): delete it, and run "
            "again to download it anew."
        ) from error


def _check(archive: Path, member: zipfile.ZipInfo) -> None:
    """Refuse a path that leads out of the folder, also on Windows, and everything that is no file or folder."""
    posix, windows = PurePosixPath(member.filename), PureWindowsPath(member.filename)
    leads_out = posix.is_absolute() or windows.anchor or ".." in windows.parts
    if leads_out or stat.S_IFMT(member.external_attr >> 16) not in KINDS:
        why = "leads out of the folder" if leads_out else "is a link or a device"
        raise UserError(
            f"Expected files and folders in {archive}, but its entry {member.filename!r} {why}: nothing was "
            "unpacked; delete it, and take the archive from another source."
        )


def _write(file: zipfile.ZipFile, member: zipfile.ZipInfo, path: Path) -> None:
    if member.is_dir():
        path.mkdir(parents=True, exist_ok=True)
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    with file.open(member) as source, path.open("xb") as sink:
        shutil.copyfileobj(source, sink)
