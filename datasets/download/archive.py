"""Unpacking a zip that nobody vouches for: nothing is written outside the folder, no links, and not without end."""

import errno
import shutil
import stat
import zipfile
import zlib
from pathlib import Path, PurePosixPath, PureWindowsPath

from tqdm import tqdm

from dassl.errors import UserError

from .disk import check_room, size

BROKEN = (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError)  # the last: a password is wanted
# An entry twice, a file as a folder, an entry before the start, a name that is too long, a folder as a file.
AT_ODDS = (errno.EEXIST, errno.ENOTDIR, errno.EINVAL, errno.ENAMETOOLONG, errno.EISDIR)
KINDS = (0, stat.S_IFREG, stat.S_IFDIR)  # of entries: not told (by Windows), file, folder
PACKED = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)  # others may ask for gigabytes of memory
ENTRIES = 250_000  # the largest archive has about 110,000
RATIO = 100  # of what is unpacked to the archive; pictures are packed already, and stay below 3


def unpack(archive: Path, folder: Path) -> None:
    """Unpack a zip into an empty folder, checking every sum; what macOS adds for itself is left out.

    Raises:
        UserError: it is damaged, no zip, or has an entry that could harm, too many, or too much in them; what was
            unpacked remains in `folder`.
        DiskFullError: there is not room enough.
    """
    try:
        with zipfile.ZipFile(archive) as file:
            _check_number(archive, len(file.infolist()))
            members = [m for m in file.infolist() if not m.filename.startswith("__MACOSX/")]
            for member in members:
                _check(archive, member)
            total = sum(member.file_size for member in members)
            _check_ratio(archive, total)
            check_room(folder, total, f"to unpack {archive.name}")
            for member in tqdm(members, desc=f"Unpacking {archive.name}", unit=" files"):
                _write(file, member, folder / member.filename)
    except (*BROKEN, OSError) as error:
        if isinstance(error, OSError) and error.errno not in AT_ODDS:
            raise
        raise UserError(
            f"Expected a sound zip in {archive}, but it is not ({error or type(error).__name__}): delete it, and run "
            "again to download it anew."
        ) from error


def _check_number(archive: Path, number: int) -> None:
    if number > ENTRIES:
        raise UserError(
            f"Expected at most {ENTRIES:,} entries in {archive}, but it has {number:,}: nothing was unpacked; "
            "delete it, and take the archive from another source."
        )


def _check_ratio(archive: Path, total: int) -> None:
    packed = archive.stat().st_size
    if total > RATIO * packed:
        raise UserError(
            f"Expected {archive} to hold at most {RATIO} times its {size(packed)}, but it holds {size(total)}: nothing "
            "was unpacked; delete it, and take the archive from another source."
        )


def _check(archive: Path, member: zipfile.ZipInfo) -> None:
    """Refuse a path that leads out of the folder, also on Windows, and everything that is no file or folder."""
    posix, windows = PurePosixPath(member.filename), PureWindowsPath(member.filename)
    why = ""
    if posix.is_absolute() or windows.anchor or ".." in windows.parts:
        why = "leads out of the folder"
    elif stat.S_IFMT(member.external_attr >> 16) not in KINDS:
        why = "is a link or a device"
    elif member.compress_type not in PACKED:
        why = "is packed in a way that is not read here"
    if why:
        raise UserError(
            f"Expected files and folders in {archive}, but its entry {member.filename!r} {why}: nothing was "
            "unpacked; delete it, and take the archive from another source."
        )


def _write(file: zipfile.ZipFile, member: zipfile.ZipInfo, path: Path) -> None:
    """Write one entry into a folder that was empty: no more than the length that it states, which was checked."""
    if member.is_dir():
        path.mkdir(parents=True, exist_ok=True)
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    with file.open(member) as source, path.open("xb") as sink:
        shutil.copyfileobj(source, sink)
