"""Read every image of a data set as a run reads it, and tell what the files are."""

import contextlib
import hashlib
import warnings
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageDraw

from dassl.data.datasets import Datum
from dassl.errors import UserError
from dassl.images import FILE_BYTES, NOTES, Reading, is_dicom, notes_of, pixel_digest, read_image
from dassl.images.dicom import SUFFIXES as DICOM
from dassl.images.pillow import FORMATS
from dassl.names import file_name
from dassl.progress import bar
from dassl.reading import read_bytes
from dassl.writing import atomic_write

CELL, LINE = 112, 16  # pixels of a picture on a sheet, and of a line of text
SHOWN = 18  # last characters of a file's name below its picture
COLUMNS, ROWS = 8, 8


class Picture(NamedTuple):
    """The findings about an image.

    Attributes:
        kind: format and depth on disk.
        size: width and height in pixels.
        content: digest of the bytes of the file.
        pixels: digest of the picture.
        notes: names of the reader's remarks, see `dassl.images.NOTES`.
        problem: why it cannot be read; "" if it can.
    """

    kind: str
    size: tuple[int, int]
    content: bytes
    pixels: bytes
    notes: tuple[str, ...]
    problem: str


def read_pictures(items: Sequence[Datum], reading: Reading) -> list[Picture]:
    """Read every image; one that cannot be read has a `problem`."""
    shown = bar(items, desc="Reading images", unit="image", delay=3)
    return [_read_one(Path(item.impath), reading) for item in shown]


def _read_one(path: Path, reading: Reading) -> Picture:
    try:
        content = hashlib.blake2b(read_bytes(path, FILE_BYTES), digest_size=16).digest()
        picture = read_image(path, reading)
    except (UserError, OSError) as error:
        return Picture("unreadable", (0, 0), b"", b"", (), str(error))
    return Picture(kind(path), picture.size, content, pixel_digest(picture), notes_of(picture), "")


def kind(path: Path) -> str:
    """Return format and depth of a readable file, such as "PNG, 16-bit grey", and nothing else of its header."""
    if is_dicom(path) or path.suffix.lower() in DICOM:
        return "DICOM"
    with _opened(path) as file:
        if file is None:
            return f"{path.suffix.lower()} of a kind that Pillow does not know"
        names = {"L": "8-bit grey", "1": "1-bit", "P": "palette", "RGB": "8-bit colour", "RGBA": "colour with alpha"}
        names |= {"LA": "grey with alpha", "CMYK": "CMYK", "I": "32-bit grey", "F": "floating point"}
        mode = "16-bit grey" if file.mode.startswith("I;16") else names.get(file.mode, file.mode)
        pages = getattr(file, "n_frames", 1)
        return f"{file.format}, {mode}" + (f", {pages} pages" if pages > 1 else "")


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[Image.Image | None]:
    """Open a file by Pillow alone; give None for kinds that only our reader reads."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            file = Image.open(path, formats=FORMATS)
        except Exception:  # Pillow raises nearly anything
            yield None
            return
        with file:
            yield file


def describe_reading(path: Path, reading: Reading) -> str:
    """Return in words how a file is read: the range of values on disk, if Pillow tells it, and in the picture."""
    read = read_image(path, reading)
    values = np.asarray(read)
    told = f"{read.width} x {read.height} {read.mode}, values {values.min()} to {values.max()}"
    if kind(path) == "DICOM":
        return told
    with _opened(path) as file:
        if file is None:
            return told
        try:
            raw = np.asarray(file)
        except Exception:  # Pillow raises nearly anything
            return told
        if raw.dtype.kind not in "uif":
            return told
        return f"{file.width} x {file.height}, values {raw.min():g} to {raw.max():g} -> {told}"


def count_notes(pictures: Iterable[Picture]) -> list[str]:
    """Return the reader's remarks, each with the number of pictures that have it."""
    counts = Counter(name for picture in pictures for name in picture.notes)
    return [f"{count} x {NOTES[name]}" for name, count in counts.items()]


def write_sheet(items: Sequence[Datum], to: Path, label: int, classname: str, reading: Reading) -> Path:
    """Write a PNG of up to 64 images of a class as a run reads them, evenly over its files; return its path."""
    step = max(1, -(-len(items) // (COLUMNS * ROWS)))
    shown = items[::step]
    height = CELL + LINE
    sheet = Image.new("RGB", (COLUMNS * CELL, LINE + -(-len(shown) // COLUMNS) * height), "white")
    draw = ImageDraw.Draw(sheet)
    _write(draw, (4, 2), f"{classname}: {len(shown)} of {len(items)}")
    for place, item in enumerate(shown):
        left, top = place % COLUMNS * CELL + 2, place // COLUMNS * height + LINE + 2
        try:
            picture = read_image(item.impath, reading)
        except UserError:
            _write(draw, (left, top), "unreadable")
        else:
            picture.thumbnail((CELL - 4, CELL - 4))
            sheet.paste(picture, (left, top))
        _write(draw, (left, top + CELL - 4), Path(item.impath).name[-SHOWN:])
    path = to / f"{label}-{file_name(classname)}.png"  # names of two classes may be one as a file's
    with atomic_write(path, "wb", within=to) as file:
        sheet.save(file, "PNG")
    return path


def _write(draw: ImageDraw.ImageDraw, place: tuple[int, int], text: str) -> None:
    draw.text(place, text.encode("ascii", "replace").decode(), fill="black")
