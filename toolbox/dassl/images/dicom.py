"""DICOM: one frame of a file, with the values, the window and the colours that its header asks for.

Nothing from a header reaches an error, a log or a table: it may name a patient, and so may what pydicom says.
"""

import io
import struct
import warnings
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO, TypeVar

import numpy as np
from PIL import Image

from dassl.errors import UserError
from dassl.images.limits import MB, PICTURE_BYTES, Unusable, check_size
from dassl.images.pillow import Found, check_scans, segments
from dassl.images.settings import Reading
from dassl.images.values import Deep, span_of

T = TypeVar("T")
MAGIC = b"DICM"
MAGIC_AT = 128
DEFLATED = b"1.2.840.10008.1.2.1.99"
PLAIN = b"1.2.840.10008.1.2.1\0\0\0"  # explicit, little endian: the same once it is inflated
META = MB  # where the header of a file must end that is deflated from there on
FRAMES = 1_000_000
ITEMS = 200_000  # of all sequences: each takes a kilobyte of memory, and pydicom a second for ten thousand
ITEM = (b"\xfe\xff\x00\xe0", b"\xff\xfe\xe0\x00")  # the tag in either order of bytes
ENTRIES = 65536  # of a palette
PIXELS = (0x7FE00008, 0x7FE00009, 0x7FE00010)  # tags
UNDEFINED = 0xFFFFFFFF  # length
HEADER = [
    *("Rows", "Columns", "SamplesPerPixel", "NumberOfFrames", "BitsAllocated", "BitsStored", "PixelRepresentation"),
    *("HighBit", "PlanarConfiguration", "PhotometricInterpretation", "PresentationLUTShape", "PixelPaddingValue"),
    *("RescaleSlope", "RescaleIntercept", "ModalityLUTSequence"),
    *("WindowCenter", "WindowWidth", "VOILUTFunction", "VOILUTSequence"),
    *(f"{name}PaletteColorLookupTableDescriptor" for name in ("Red", "Green", "Blue")),
    *(f"{name}PaletteColorLookupTableData" for name in ("Red", "Green", "Blue")),
    *(f"Segmented{name}PaletteColorLookupTableData" for name in ("Red", "Green", "Blue")),
    *("SharedFunctionalGroupsSequence", "PerFrameFunctionalGroupsSequence"),
]
GROUPS = {  # of images of several frames: where a value of one frame may lie
    "RescaleSlope": "PixelValueTransformationSequence",
    "RescaleIntercept": "PixelValueTransformationSequence",
    "WindowCenter": "FrameVOILUTSequence",
    "WindowWidth": "FrameVOILUTSequence",
    "VOILUTFunction": "FrameVOILUTSequence",
}
SUFFIXES = frozenset({".dcm", ".dicom"})
DAMAGED = "the DICOM file is damaged, or of a kind that pydicom does not read"


class NotGrey(Unusable):
    """A file with colours, or of several frames, where one grey picture is wanted."""


class Undecodable(Unusable):
    """A file whose pixels are compressed in a way for which no decoder is installed, or which fails.

    Args:
        syntax: name and number of the transfer syntax, as the standard has them.
    """

    def __init__(self, syntax: str):
        super().__init__(
            f"its pixels are compressed as {syntax}, and are damaged or no decoder is installed",
            'pip install -e ".[dicom]", which decodes it, or remove it from the split.',
        )
        self.syntax = syntax


def is_dicom(path: str | Path) -> bool:
    """Whether a file has the mark of DICOM, whatever it is called; False of what cannot be read."""
    path = Path(path)
    try:
        if not path.is_file():
            return False
        with path.open("rb") as file:
            return has_magic(file.read(MAGIC_AT + len(MAGIC)))
    except OSError:
        return False


def has_magic(head: bytes) -> bool:
    """Whether a file begins as DICOM does."""
    return head[MAGIC_AT : MAGIC_AT + len(MAGIC)] == MAGIC


def with_mark(file: BinaryIO) -> BinaryIO | None:
    """Return a DICOM file that begins with its tags, as old programs write it, with the mark in front; None if it
    begins otherwise.

    Without a header of its own it is taken for uncompressed and little-endian, which the standard has as its default.

    Raises:
        Unusable: it is longer than a picture may be.
    """
    head = file.read(6)
    file.seek(0)
    group = int.from_bytes(head[:2], "little")
    if group not in (0x0002, 0x0008):
        return None
    content = file.read(PICTURE_BYTES + 1)
    if len(content) > PICTURE_BYTES:
        raise Unusable(f"its content takes more than {PICTURE_BYTES // MB} MB")
    meta = b""
    if group == 0x0008:
        explicit = head[4:6].isalpha() and head[4:6].isupper()
        syntax = b"1.2.840.10008.1.2.1\0" if explicit else b"1.2.840.10008.1.2\0"
        element = struct.pack("<HH2sH", 0x0002, 0x0010, b"UI", len(syntax)) + syntax
        meta = struct.pack("<HH2sHI", 0x0002, 0x0000, b"UL", 4, len(element)) + element
    return io.BytesIO(bytes(MAGIC_AT) + MAGIC + meta + content)


def need_pydicom() -> Any:
    """Return the package.

    Raises:
        UserError: it is not installed; names the extra.
    """
    try:
        import pydicom
        import pydicom.pixels  # since 3.0
    except ImportError as error:
        raise UserError(
            "Expected the package pydicom 3.0 or later, which reads DICOM files, but it is not installed: "
            'pip install -e ".[dicom]".'
        ) from error
    return pydicom


def read(file: BinaryIO, reading: Reading) -> Found:
    """Return the frame of a DICOM file that is seen.

    Raises:
        Unusable: it holds no picture, is damaged, too large, or compressed in a way that is not installed.
        UserError: pydicom is not installed.
    """
    need_pydicom()
    return _quietly(lambda: _read(file, reading))


def values_of(file: BinaryIO) -> tuple[np.ndarray, bool]:
    """Return the rescaled values [H, W] of a DICOM file's only frame, and whether the lowest of them is white.

    Raises:
        Unusable: as `read`; `NotGrey` if it is in colour, or has several frames.
    """

    def values() -> tuple[np.ndarray, bool]:
        whole = inflated(file)
        header = _header(whole)
        if _count(header) != 1 or not str(header.PhotometricInterpretation).startswith("MONOCHROME"):
            raise NotGrey("it is in colour, or has several frames")
        return _rescaled(_stored(whole, header, 0), header, 0), _inverted(header)

    return _quietly(values)


def _quietly(call: Callable[[], T]) -> T:
    """`call()`; any error but `Unusable` and of memory becomes one that says nothing of the file."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # they quote the header
            return call()
    except (Unusable, UserError, MemoryError):
        raise
    except Exception:
        pass  # raised below, where no trace of it is kept
    raise Unusable(DAMAGED)


def inflated(file: BinaryIO) -> BinaryIO:
    """Return the file, or where it is deflated its content, no longer than a picture may be.

    Raises:
        Unusable: it is longer, its header is broken, or it has items without end.
    """
    head = file.read(MAGIC_AT + META)
    file.seek(0)
    tag, kind, _, length = struct.unpack("<I2sHI", head[MAGIC_AT + 4 : MAGIC_AT + 16].ljust(12, b"\0"))
    start = MAGIC_AT + 16 + length
    meta = head[:start] if (tag, kind) == (0x00000002, b"UL") and start <= len(head) else head[:4096]
    if DEFLATED not in meta:
        _check_items(file)
        return file
    if len(meta) != start:
        raise Unusable(DAMAGED)
    file.seek(start)
    inflate = zlib.decompressobj(-zlib.MAX_WBITS)
    content = inflate.decompress(file.read(PICTURE_BYTES), PICTURE_BYTES)
    if inflate.unconsumed_tail:
        raise Unusable(f"its content takes more than {PICTURE_BYTES // MB} MB")
    whole = io.BytesIO(meta.replace(DEFLATED, PLAIN) + content)
    _check_items(whole)
    return whole


def _check_items(file: BinaryIO) -> None:
    """Raise `Unusable` if a file has so many items that their parsing would take minutes, and all memory."""
    size = file.seek(0, io.SEEK_END)
    file.seek(0)
    if size < 8 * ITEMS:  # an item takes 8 bytes
        return
    found, end = [0, 0], b""
    while block := file.read(MB):
        for place, mark in enumerate(ITEM):
            found[place] += (end + block).count(mark)
        if max(found) > ITEMS:
            raise Unusable(f"it has more than {ITEMS:,} items")
        end = block[-3:]  # a mark of which a part was read
    file.seek(0)


def _header(file: BinaryIO) -> Any:
    import pydicom

    file.seek(0)
    header = pydicom.dcmread(file, stop_before_pixels=True, specific_tags=HEADER)
    if "Rows" not in header or "Columns" not in header:
        raise Unusable("the DICOM file holds no picture")
    frame_bytes = int(header.get("SamplesPerPixel") or 1) * max(1, int(header.get("BitsAllocated") or 8) // 8)
    check_size(int(header.Rows), int(header.Columns), frame_bytes)
    if not 1 <= _count(header) <= FRAMES:
        raise Unusable(f"it has more than {FRAMES:,} frames")
    return header


def _count(header: Any) -> int:
    return int(header.get("NumberOfFrames") or 1)


def _read(file: BinaryIO, reading: Reading) -> Found:
    from pydicom.pixels import apply_color_lut

    file = inflated(file)
    header = _header(file)
    frames = _count(header)
    frame = reading.choose(frames, middle=True)
    stored = _stored(file, header, frame)
    photometric = str(header.PhotometricInterpretation)
    picture: Image.Image | Deep
    if photometric == "PALETTE COLOR":
        _check_palette(header)
        colours = apply_color_lut(stored, header)[..., :3]
        bits = list(header.RedPaletteColorLookupTableDescriptor)[2]
        picture = Image.fromarray((colours >> max(0, bits - 8)).clip(0, 255).astype(np.uint8))
    elif stored.ndim == 3:
        if stored.dtype == np.uint8 and header.BitsStored == 8:
            picture = Image.fromarray(stored)
        else:
            picture = Deep(stored, span_of(stored.dtype, int(header.BitsStored)))
    else:
        picture = _grey(stored, header, frame, reading)
    return Found(picture, frame, frames)


def _check_palette(header: Any) -> None:
    """Raise `Unusable` if a segmented palette is written out to more than a palette may have."""
    wide = int(header.RedPaletteColorLookupTableDescriptor[2]) // 8 != 1
    order = "<" if header.file_meta.TransferSyntaxUID.is_little_endian else ">"
    for colour in ("Red", "Green", "Blue"):
        if code := header.get(f"Segmented{colour}PaletteColorLookupTableData"):
            numbers = np.frombuffer(code[: len(code) // 2 * 2] if wide else code, f"{order}u2" if wide else "u1")
            if _entries(numbers.tolist(), wide, order) > ENTRIES:
                raise Unusable(f"it has a palette of more than {ENTRIES:,} colours")


def _entries(numbers: list[int], wide: bool, order: str) -> int:
    """How many entries segments stand for (PS3.3 C.7.9.2); a copy of segments must not have copies in it."""
    places: dict[int, int] = {}  # number of each segment
    lengths: list[int] = []
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
                raise Unusable(DAMAGED)
            lengths.append(-1)
            total += sum(copied)
            place += 2 + len(parts)
        else:
            lengths.append(length)
            total += length
            place += 2 + (1 if kind == 1 else length)
    return total


def _grey(stored: np.ndarray, header: Any, frame: int, reading: Reading) -> Deep:
    bits = int(header.get("BitsStored") or stored.dtype.itemsize * 8)
    span = span_of(stored.dtype, None if stored.dtype.kind == "f" else bits)
    padding = None
    if (value := header.get("PixelPaddingValue")) is not None:
        padding = stored == value
        padding = padding if padding.any() and not padding.all() else None
    values = _rescaled(stored, header, frame)
    inverted = _inverted(header)
    if reading.grey_range == "image":
        if (shown := _voi(values, header, frame)) is not None:
            return Deep(shown, (0, 1), (0, 1), inverted=inverted)
        if values is stored and stored.dtype == np.uint8 and bits == 8:
            return Deep(values, span, span, inverted=inverted)  # as it is, like any picture of 8 bits
    if values is not stored and "ModalityLUTSequence" not in header:
        ends = sorted(float(v) for v in _rescaled(np.array(span), header, frame))
        span = ends[0], ends[1]
    return Deep(values, span, inverted=inverted, padding=padding)


def _of_frame(header: Any, keyword: str, frame: int) -> Any:
    """A value of the header, or of its part about this frame, or about all frames."""
    if header.get(keyword) is not None:
        return header.get(keyword)
    per_frame, shared = header.get("PerFrameFunctionalGroupsSequence"), header.get("SharedFunctionalGroupsSequence")
    for group in (per_frame[frame] if per_frame and frame < len(per_frame) else None, shared[0] if shared else None):
        found = group.get(GROUPS[keyword]) if group is not None else None
        if found and found[0].get(keyword) is not None:
            return found[0].get(keyword)
    return None


def _rescaled(stored: np.ndarray, header: Any, frame: int) -> np.ndarray:
    """The values that the file is about, such as Hounsfield units; the same array where nothing is to be done."""
    from pydicom.pixels import apply_modality_lut

    if header.get("ModalityLUTSequence"):
        return apply_modality_lut(stored, header)
    slope = _of_frame(header, "RescaleSlope", frame)
    intercept = float(_of_frame(header, "RescaleIntercept", frame) or 0)
    slope = 1.0 if slope in (None, "") else float(slope)
    return stored if (slope, intercept) == (1, 0) else stored * slope + intercept


def _inverted(header: Any) -> bool:
    return header.PhotometricInterpretation == "MONOCHROME1" or header.get("PresentationLUTShape") == "INVERSE"


def _voi(values: np.ndarray, header: Any, frame: int) -> np.ndarray | None:
    """Values from 0 to 1 as the first VOI LUT or window of the file shows them; None where it has neither."""
    from pydicom.pixels import apply_voi

    if header.get("VOILUTSequence"):
        bits = header.VOILUTSequence[0].LUTDescriptor[2]
        whole = values if np.issubdtype(values.dtype, np.integer) else np.rint(values).astype(np.int64)
        return apply_voi(whole, header, index=0) / np.float32(2**bits - 1)
    centre, width = (_first(_of_frame(header, f"Window{name}", frame)) for name in ("Center", "Width"))
    if centre is None or width is None:
        return None
    kind = str(_of_frame(header, "VOILUTFunction", frame) or "LINEAR").strip().upper()
    values = values.astype(np.float32 if values.dtype.itemsize <= 2 else np.float64)
    if kind == "SIGMOID" and width > 0:
        with np.errstate(over="ignore"):
            return 1 / (1 + np.exp(-4 * (values - centre) / width))
    if kind == "LINEAR" and width >= 1:  # PS3.3 C.11.2.1.2
        centre, width = centre - 0.5, width - 1
    elif width <= 0 or kind not in ("LINEAR", "LINEAR_EXACT"):
        return None
    if width == 0:
        return (values > centre).astype(np.float32)
    return ((values - centre) / width + 0.5).clip(0, 1)


def _first(value: Any) -> float | None:
    """A number, or the first of several; None of none."""
    if value is None or value == "":
        return None
    if hasattr(value, "__iter__") and not isinstance(value, str):
        return float(value[0]) if len(value) else None
    return float(value)


# --------------------------------------------------------------------------------------------------------------- pixels


def _stored(file: BinaryIO, header: Any, frame: int) -> np.ndarray:
    """The values of one frame, [H, W] or RGB [H, W, 3], as they are stored."""
    from pydicom.encaps import get_frame
    from pydicom.pixels import get_decoder, pixel_array

    # Of several frames one is read where it lies. An only one is read with its header, which may be less than regular.
    source = file if _count(header) > 1 else _with_pixels(file)
    syntax = header.file_meta.TransferSyntaxUID
    if not syntax.is_compressed:
        file.seek(0)
        return pixel_array(source, index=frame)
    decoder = get_decoder(syntax)  # raises unless the standard knows it
    if source is file:
        file.seek(_pixels_at(file))
    code = get_frame(file if source is file else source.PixelData, frame, number_of_frames=_count(header))
    if (size := size_of(code)) is not None and size != (header.Columns, header.Rows):
        raise Unusable(DAMAGED)  # perhaps a bomb
    check_scans(code)
    file.seek(0)
    try:
        if decoder.is_available:
            return pixel_array(source, index=frame)
    except Exception:
        pass  # as where there is no decoder: what it says may quote the header
    raise Undecodable(f"{syntax.name} ({syntax})")


def _with_pixels(file: BinaryIO) -> Any:
    """The header with the pixels. What follows them is not read: it may be anything, for gigabytes."""
    from pydicom.filereader import read_partial
    from pydicom.tag import Tag

    met = []

    def after_pixels(tag: int, _: str | None, length: int) -> bool:
        if tag in PIXELS and length != UNDEFINED and length > PICTURE_BYTES:
            raise Unusable(f"its pixels take more than {PICTURE_BYTES // MB} MB")
        met.append(tag in PIXELS)
        return any(met[:-1])

    file.seek(0)
    return read_partial(file, after_pixels, specific_tags=[Tag(keyword) for keyword in HEADER] + list(map(Tag, PIXELS)))


def _pixels_at(file: BinaryIO) -> int:
    """Where the pixels of an encapsulated file begin: after tag, kind, reserved bytes and length."""
    import pydicom

    file.seek(0)
    pydicom.dcmread(file, stop_before_pixels=True, specific_tags=["Rows"])
    return file.tell() + 12


def size_of(code: bytes) -> tuple[int, int] | None:
    """Width and height that a JPEG, JPEG-LS or JPEG 2000 codestream names; None of other codes."""
    if code[:4] == b"\xff\x4f\xff\x51" and len(code) >= 24:
        right, bottom, left, top = struct.unpack_from(">4I", code, 8)
        return right - left, bottom - top
    if code[:2] != b"\xff\xd8":
        return None
    for kind, place in segments(code):
        if kind == 0xF7 or (0xC0 <= kind <= 0xCF and kind not in (0xC4, 0xC8, 0xCC)):
            height, width = struct.unpack_from(">2H", code, place + 5)
            return width, height
    raise Unusable(DAMAGED)
