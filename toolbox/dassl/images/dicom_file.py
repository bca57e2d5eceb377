"""Recognise a DICOM file, and bound what reading it costs, before pydicom sees it."""

import io
import struct
import zlib
from pathlib import Path
from typing import BinaryIO

from dassl.images.limits import MB, PICTURE_BYTES, PictureError

MAGIC = b"DICM"
MAGIC_AT = 128  # bytes before it
HEAD_BYTES = MAGIC_AT + len(MAGIC)
SUFFIXES = frozenset({".dcm", ".dicom"})
DAMAGED = "the DICOM file is damaged, or of a kind that pydicom does not read"
DEFLATED = b"1.2.840.10008.1.2.1.99"  # transfer syntax of a file that is compressed as a whole
PLAIN = b"1.2.840.10008.1.2.1\0\0\0"  # explicit, little endian: the syntax of the same file once it is decompressed
META_BYTES = MB  # the meta header of a deflated file must end before
ITEMS = 200_000  # of all sequences: each takes a kilobyte of memory, and pydicom a second for ten thousand
ITEM_TAGS = (b"\xfe\xff\x00\xe0", b"\xff\xfe\xe0\x00")  # in either order of bytes


def is_dicom(path: str | Path) -> bool:
    """Return whether a file has the mark of DICOM, whatever its name is; False if it cannot be read."""
    path = Path(path)
    try:
        if not path.is_file():
            return False
        with path.open("rb") as file:
            return has_magic(file.read(HEAD_BYTES))
    except OSError:
        return False


def has_magic(head: bytes) -> bool:
    """Return whether the first `HEAD_BYTES` of a file have the mark of DICOM."""
    return head[MAGIC_AT:HEAD_BYTES] == MAGIC


def with_magic(file: BinaryIO) -> BinaryIO | None:
    """Return a file without the mark of DICOM, as old programs write it, with the mark added in front.

    A file without a meta header is read as uncompressed and little-endian, the default of the standard.

    Returns:
        The file, or None if it does not begin with DICOM's tags.

    Raises:
        PictureError: the file is longer than a picture may be.
    """
    head = file.read(6)
    file.seek(0)
    group = int.from_bytes(head[:2], "little")
    if group not in (0x0002, 0x0008):
        return None
    content = file.read(PICTURE_BYTES + 1)
    if len(content) > PICTURE_BYTES:
        raise _too_long()
    meta = b""
    if group == 0x0008:
        explicit = head[4:6].isalpha() and head[4:6].isupper()
        syntax = b"1.2.840.10008.1.2.1\0" if explicit else b"1.2.840.10008.1.2\0"
        element = struct.pack("<HH2sH", 0x0002, 0x0010, b"UI", len(syntax)) + syntax
        meta = struct.pack("<HH2sHI", 0x0002, 0x0000, b"UL", 4, len(element)) + element
    return io.BytesIO(bytes(MAGIC_AT) + MAGIC + meta + content)


def inflated(file: BinaryIO) -> BinaryIO:
    """Return a file whose content is not deflated: `file` itself, or a decompressed copy in memory.

    Raises:
        PictureError: the content is longer than a picture may be, its meta header is broken, or it has too many items.
    """
    head = file.read(MAGIC_AT + META_BYTES)
    file.seek(0)
    tag, kind, _, length = struct.unpack("<I2sHI", head[MAGIC_AT + 4 : MAGIC_AT + 16].ljust(12, b"\0"))
    start = MAGIC_AT + 16 + length
    meta = head[:start] if (tag, kind) == (0x00000002, b"UL") and start <= len(head) else head[:4096]
    if DEFLATED not in meta:
        _check_items(file)
        return file
    if len(meta) != start:
        raise PictureError(DAMAGED)
    file.seek(start)
    inflate = zlib.decompressobj(-zlib.MAX_WBITS)
    content = inflate.decompress(file.read(PICTURE_BYTES), PICTURE_BYTES)
    if inflate.unconsumed_tail:
        raise _too_long()
    whole = io.BytesIO(meta.replace(DEFLATED, PLAIN) + content)
    _check_items(whole)
    return whole


def _too_long() -> PictureError:
    return PictureError(f"its content takes more than {PICTURE_BYTES // MB} MB")


def _check_items(file: BinaryIO) -> None:
    """Raise `PictureError` if a file has so many items that parsing them would take minutes and all memory."""
    size = file.seek(0, io.SEEK_END)
    file.seek(0)
    if size < 8 * ITEMS:  # an item takes 8 bytes
        return
    counts, end = [0, 0], b""
    while block := file.read(MB):
        for order, tag in enumerate(ITEM_TAGS):
            counts[order] += (end + block).count(tag)
        if max(counts) > ITEMS:
            raise PictureError(f"it has more than {ITEMS:,} items")
        end = block[-3:]  # a tag may lie across two blocks
    file.seek(0)
