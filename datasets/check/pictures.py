"""Every image of a data set, read as a run reads it."""

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageDraw
from tqdm import tqdm

from dassl.data.datasets import Datum
from dassl.errors import UserError
from dassl.names import file_name
from dassl.utils import read_image
from dassl.writing import atomic_write
from datasets.listing import is_dicom

CELL = 112  # pixels of a picture on a sheet
COLUMNS, ROWS = 8, 8


class Picture(NamedTuple):
    """What is found out about an image: its kind on disk and size, digests of bytes and pixels, what is wrong."""

    kind: str
    size: tuple[int, int]
    content: bytes
    pixels: bytes
    problem: str


def look(items: Sequence[Datum]) -> list[Picture]:
    """Read every image; one that cannot be read has a problem instead of pixels."""
    return [_one(Path(item.impath)) for item in tqdm(items, desc="Reading images", unit="image", delay=3, leave=False)]


def _one(path: Path) -> Picture:
    try:
        content = hashlib.blake2b(path.read_bytes(), digest_size=16).digest()
        picture = read_image(path)
    except (UserError, OSError) as error:
        return Picture("unreadable", (0, 0), b"", b"", str(error))
    pixels = hashlib.blake2b(repr((picture.mode, picture.size)).encode() + picture.tobytes(), digest_size=16).digest()
    return Picture(kind(path), picture.size, content, pixels, "")


def kind(path: Path) -> str:
    """Format and depth of a file, such as "PNG, 16-bit grey"; nothing of its header beyond that."""
    if is_dicom(path):
        return "DICOM"
    with Image.open(path) as file:
        names = {"L": "8-bit grey", "1": "1-bit", "P": "palette", "RGB": "8-bit colour", "RGBA": "colour with alpha"}
        names |= {"LA": "grey with alpha", "CMYK": "CMYK", "I": "32-bit grey", "F": "floating point"}
        mode = "16-bit grey" if file.mode.startswith("I;16") else names.get(file.mode, file.mode)
        pages = getattr(file, "n_frames", 1)
        return f"{file.format}, {mode}" + (f", {pages} pages" if pages > 1 else "")


def as_read(path: Path) -> str:
    """What the reader makes of one file: the range of values on disk, where Pillow tells it, and in the picture."""
    read = read_image(path)
    values = np.asarray(read)
    told = f"{read.width} x {read.height} {read.mode}, values {values.min()} to {values.max()}"
    if is_dicom(path):
        return told
    with Image.open(path) as file:
        raw = np.asarray(file)
        before = f"{file.width} x {file.height}"
    if raw.dtype.kind not in "uif":
        return f"{before} -> {told}"
    return f"{before}, values {raw.min():g} to {raw.max():g} -> {told}"


def write_sheet(items: Sequence[Datum], to: Path, classname: str) -> Path:
    """Write a PNG of the first 64 images of a class as a run reads them, evenly over its files; gives its path."""
    step = max(1, -(-len(items) // (COLUMNS * ROWS)))
    shown = items[::step]
    sheet = Image.new("RGB", (COLUMNS * CELL, 16 + -(-len(shown) // COLUMNS) * CELL), "white")
    ImageDraw.Draw(sheet).text(
        (4, 2), f"{classname.encode('ascii', 'replace').decode()}: {len(shown)} of {len(items)}", fill="black"
    )
    for place, item in enumerate(shown):
        try:
            picture = read_image(item.impath)
        except UserError:
            continue  # named elsewhere
        picture.thumbnail((CELL - 4, CELL - 4))
        sheet.paste(picture, ((place % COLUMNS) * CELL + 2, 16 + place // COLUMNS * CELL + 2))
    path = to / f"{file_name(classname)}.png"
    with atomic_write(path, "wb", within=to) as file:
        sheet.save(file, "PNG")
    return path
