"""Unpack a zip that is not trusted: write nothing outside the folder, make no links, and limit what comes out."""

import errno
import shutil
import stat
import zipfile
import zlib
from pathlib import Path, PurePosixPath, PureWindowsPath

from dassl.errors import UserError
from dassl.progress import bar

from .disk import check_room, format_size

BROKEN = (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError)  # the last if it has a password
# From zips with an entry twice, a file as a folder, an offset before the start, a long name, or a folder as a file.
CONTRADICTORY = (errno.EEXIST, errno.ENOTDIR, errno.EINVAL, errno.ENAMETOOLONG, errno.EISDIR)
KINDS = (0, stat.S_IFREG, stat.S_IFDIR)  # of entries: none (written on Windows), file, folder
COMPRESSIONS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)  # others may ask for gigabytes of memory
MOST_ENTRIES = 250_000  # the largest archive has about 110,000
MOST_RATIO = 100  # of unpacked to packed bytes; pictures are packed already, and stay below 3


def unpack(archive: Path, folder: Path) -> None:
    """Unpack a zip into an empty folder and check every sum; entries that macOS adds for itself are left out.

    Raises:
        UserError: it is damaged or no zip, has an entry that could do harm, too many entries, or too many bytes in
            them; files that were unpacked remain in `folder`.
        DiskFullError: there is not enough room.
    """
    try:
        with zipfile.ZipFile(archive) as file:
            _check_number(archive, len(file.infolist()))
            members = [m for m in file.infolist() if not m.filename.startswith("__MACOSX/")]
            for member in members:
                _check_entry(archive, member)
            total = sum(member.file_size for member in members)
            _check_ratio(archive, total)
            check_room(folder, total, f"to unpack {archive.name}")
            for member in bar(members, desc=f"Unpacking {archive.name}", unit=" files"):
                _write(file, member, folder / member.filename)
    except (*BROKEN, OSError) as error:
        if isinstance(error, OSError) and error.errno not in CONTRADICTORY:
            raise
        raise UserError(
            f"Expected a sound zip in {archive}, but it is not ({error or type(error).__name__}): delete it, and run "
            "again to download it anew."
        ) from error


def _check_number(archive: Path, number: int) -> None:
    if number > MOST_ENTRIES:
        raise UserError(
            f"Expected at most {MOST_ENTRIES:,} entries in {archive}, but it has {number:,}: nothing was unpacked; "
            "delete it, and take the archive from another source."
        )


def _check_ratio(archive: Path, total: int) -> None:
    packed = archive.stat().st_size
    if total > MOST_RATIO * packed:
        raise UserError(
            f"Expected {archive} to hold at most {MOST_RATIO} times its {format_size(packed)}, but it holds "
            f"{format_size(total)}: nothing was unpacked; delete it, and take the archive from another source."
        )


def _check_entry(archive: Path, member: zipfile.ZipInfo) -> None:
    """Raise a UserError for a path that leads out of the folder, also on Windows, and for links and devices."""
    posix, windows = PurePosixPath(member.filename), PureWindowsPath(member.filename)
    why = ""
    if posix.is_absolute() or windows.anchor or ".." in windows.parts:
        why = "leads out of the folder"
    elif stat.S_IFMT(member.external_attr >> 16) not in KINDS:
        why = "is a link or a device"
    elif member.compress_type not in COMPRESSIONS:
        why = "is packed in a way that is not read here"
    if why:
        raise UserError(
            f"Expected files and folders in {archive}, but its entry {member.filename!r} {why}: nothing was "
            "unpacked; delete it, and take the archive from another source."
        )


def _write(file: zipfile.ZipFile, member: zipfile.ZipInfo, path: Path) -> None:
    """Write one entry; zipfile reads no more of it than the length that it states, which was checked."""
    if member.is_dir():
        path.mkdir(parents=True, exist_ok=True)
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    with file.open(member) as source, path.open("xb") as sink:
        shutil.copyfileobj(source, sink)
