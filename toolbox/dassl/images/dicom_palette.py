"""Colours of a DICOM image that stores indices into a palette."""

from typing import Any

import numpy as np
from PIL import Image

from dassl.images.dicom_file import DAMAGED
from dassl.images.limits import PictureError

ENTRIES = 65536  # of a palette


def apply_palette(indices: np.ndarray, header: Any) -> Image.Image:
    """Return the RGB picture of palette indices [H, W].

    Raises:
        PictureError: the palette is damaged, or too large.
    """
    from pydicom.pixels import apply_color_lut

    _check_palette(header)
    colours = apply_color_lut(indices, header)[..., :3]
    bits = list(header.RedPaletteColorLookupTableDescriptor)[2]
    return Image.fromarray((colours >> max(0, bits - 8)).clip(0, 255).astype(np.uint8))


def _check_palette(header: Any) -> None:
    """Raise `PictureError` if a segmented palette expands to more entries than a palette may have."""
    wide = int(header.RedPaletteColorLookupTableDescriptor[2]) // 8 != 1
    order = "<" if header.file_meta.TransferSyntaxUID.is_little_endian else ">"
    for colour in ("Red", "Green", "Blue"):
        if code := header.get(f"Segmented{colour}PaletteColorLookupTableData"):
            numbers = np.frombuffer(code[: len(code) // 2 * 2] if wide else code, f"{order}u2" if wide else "u1")
            if _count_entries(numbers.tolist(), wide, order) > ENTRIES:
                raise PictureError(f"it has a palette of more than {ENTRIES:,} colours")


def _count_entries(numbers: list[int], wide: bool, order: str) -> int:
    """Return how many entries the segments of a palette expand to (PS3.3 C.7.9.2).

    A segment that copies others must not copy copies. Counting stops soon above `ENTRIES`.

    Args:
        numbers: the code of the segments.
        wide: whether the numbers have 16 bits, else 8.
        order: of the bytes, "<" or ">".
    """
    places: dict[int, int] = {}  # number of the segment that begins at a place
    lengths: list[int] = []  # -1 is a segment that copies
    total = place = 0
    while place + 1 < len(numbers) and total <= ENTRIES:
        kind, length = numbers[place : place + 2]
        places[place] = len(lengths)
        if kind == 2:
            parts = numbers[place + 2 : place + (4 if wide else 6)]
            if wide:
                target = parts[1] << 16 | parts[0]
            else:  # two numbers of 16 bits, the lower first
                low, high = np.array(parts, np.uint8).view(f"{order}u2").tolist()
                target = high << 16 | low
            copied = lengths[places[target] : places[target] + length] if target in places else []
            if not length or len(copied) != length or min(copied) < 0:
                raise PictureError(DAMAGED)
            lengths.append(-1)
            total += sum(copied)
            place += 2 + len(parts)
        else:
            lengths.append(length)
            total += length
            place += 2 + (1 if kind == 1 else length)
    return total
