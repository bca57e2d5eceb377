"""DICOM files: what is seen of them, by pydicom's own processing, and that nothing of a header leaves the reader."""

import io
import re
import struct
import sys
import traceback
import zlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from dassl.errors import UserError
from dassl.images import dicom, notes_of, read_image
from tests.toolbox.pictures import EXAMPLES, rgb, seen, stretched

pydicom = pytest.importorskip("pydicom", minversion="3.0")
from pydicom.data import get_testdata_file  # noqa: E402, like what follows only with pydicom, which is optional
from pydicom.dataset import Dataset, FileMetaDataset  # noqa: E402
from pydicom.pixels import apply_modality_lut, apply_voi_lut, pixel_array  # noqa: E402
from pydicom.uid import (  # noqa: E402
    UID,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    RLELossless,
    generate_uid,
)

PERSON = "Naam^Geheim"
RANDOM = np.random.default_rng(0)
VALUES = RANDOM.integers(0, 4096, (24, 40)).astype(np.uint16)


def dataset(values: np.ndarray = VALUES, syntax: UID = ExplicitVRLittleEndian, frames: int = 0, **tags) -> Dataset:
    """A DICOM image of these values, [H, W], [H, W, 3] or with `frames` in front."""
    meta = FileMetaDataset()
    meta.TransferSyntaxUID, meta.MediaStorageSOPClassUID = syntax, "1.2.840.10008.5.1.4.1.1.7"
    meta.MediaStorageSOPInstanceUID = generate_uid()
    found = Dataset()
    found.file_meta, found.preamble = meta, b"\0" * 128
    found.PatientName, found.PatientID = PERSON, "7000001"
    shape = values.shape[1:] if frames else values.shape
    found.Rows, found.Columns = shape[:2]
    found.SamplesPerPixel = 3 if len(shape) == 3 else 1
    found.PhotometricInterpretation = "RGB" if len(shape) == 3 else "MONOCHROME2"
    if len(shape) == 3:
        found.PlanarConfiguration = 0
    if frames:
        found.NumberOfFrames = frames
    found.BitsAllocated = found.BitsStored = values.dtype.itemsize * 8
    found.PixelRepresentation = int(values.dtype.kind == "i")
    found.HighBit = found.BitsStored - 1
    for tag, value in tags.items():
        setattr(found, tag, value)
    big = syntax == ExplicitVRBigEndian
    found.PixelData = values.astype(values.dtype.newbyteorder(">" if big else "<")).tobytes()
    found["PixelData"].VR = "OW" if values.dtype.itemsize > 1 else "OB"
    return found


def saved(path: Path, found: Dataset) -> Path:
    found.save_as(path, enforce_file_format=True)
    return path


@pytest.fixture
def write(tmp_path):
    """`write(values, tag=...)`: the file, without a suffix."""
    return lambda *args, **tags: saved(tmp_path / "IM0001", dataset(*args, **tags))


@pytest.mark.parametrize(
    "syntax",
    [ExplicitVRLittleEndian, ImplicitVRLittleEndian, ExplicitVRBigEndian, DeflatedExplicitVRLittleEndian],
)
@pytest.mark.parametrize("kind", ["u2", "i2", "u1", "u4", "i4"])
def test_stored_values(tmp_path, syntax, kind):
    values = (VALUES % 200 - (100 if kind[0] == "i" else 0)).astype(kind)
    path = saved(tmp_path / "a.png", dataset(values, syntax))
    np.testing.assert_array_equal(seen(path), rgb(values if kind == "u1" else stretched(values)))


@pytest.mark.parametrize("slope", [("1", "-1024"), ("2.5", "-100"), ("-1", "4096"), (None, "5")])
def test_rescaled_values(write, slope):
    path = write(RescaleSlope=slope[0], RescaleIntercept=slope[1])
    hounsfield = VALUES * float(slope[0] or 1) + float(slope[1])
    np.testing.assert_array_equal(seen(path), rgb(stretched(hounsfield)))
    np.testing.assert_array_equal(seen(path, grey_range="-160:240"), rgb(stretched(hounsfield, -160, 240)))
    ends = sorted(np.array([0, 65535]) * float(slope[0] or 1) + float(slope[1]))
    np.testing.assert_array_equal(seen(path, grey_range="type"), rgb(stretched(hounsfield, *ends)))


WINDOWS = [
    {"WindowCenter": 2000, "WindowWidth": 1000},
    {"WindowCenter": [1500, 10], "WindowWidth": [500, 20]},
    {"WindowCenter": "1024", "WindowWidth": "2", "VOILUTFunction": "LINEAR"},
    {"WindowCenter": 900.5, "WindowWidth": 333.3, "VOILUTFunction": "LINEAR_EXACT"},
    {"WindowCenter": 2000, "WindowWidth": 700, "VOILUTFunction": "SIGMOID"},
]


@pytest.mark.parametrize("window", WINDOWS)
@pytest.mark.parametrize("slope", [{}, {"RescaleSlope": "2", "RescaleIntercept": "-1024"}])
@pytest.mark.parametrize("photometric", ["MONOCHROME1", "MONOCHROME2"])
def test_the_first_window(write, window, slope, photometric):
    found = dataset(PhotometricInterpretation=photometric, **window, **slope)
    shown = apply_voi_lut(apply_modality_lut(VALUES, found), found, index=0)
    span = apply_modality_lut(np.array([0, 65535]), found)
    expected = (shown - span[0]) / (span[1] - span[0]) * 255
    expected = 255 - expected if photometric == "MONOCHROME1" else expected
    path = write(PhotometricInterpretation=photometric, **window, **slope)
    assert np.abs(seen(path).astype(float) - rgb(expected)).max() <= 0.51
    own = stretched(apply_modality_lut(VALUES, found), 100, 3000)  # asked for: the file's window does not count
    own = 255 - own if photometric == "MONOCHROME1" else own
    np.testing.assert_array_equal(seen(path, grey_range="100:3000"), rgb(own))


@pytest.mark.parametrize("width", [0, -5, "", None])
def test_windows_that_are_none(write, width):
    path = write(WindowCenter=2000, WindowWidth=width)
    np.testing.assert_array_equal(seen(path), rgb(stretched(VALUES)))


def test_look_up_tables(write):
    item = Dataset()
    entries = (65535 - np.arange(4096) * 16).astype("<u2")
    item.LUTDescriptor, item.LUTData = [4096, 0, 16], entries.tobytes()
    item["LUTDescriptor"].VR, item["LUTData"].VR = "US", "OW"
    for keyword in ("VOILUTSequence", "ModalityLUTSequence"):
        path = write(**{keyword: [item]})
        table = entries[VALUES]
        expected = table / 65535 * 255 if keyword == "VOILUTSequence" else stretched(table)
        assert np.abs(seen(path).astype(float) - rgb(expected)).max() <= 0.51


def test_inverted_grey(write):
    for tags in ({"PhotometricInterpretation": "MONOCHROME1"}, {"PresentationLUTShape": "INVERSE"}):
        np.testing.assert_array_equal(seen(write(**tags)), rgb(255 - stretched(VALUES)))
    eight = (VALUES >> 4).astype(np.uint8)
    path = write(eight, PhotometricInterpretation="MONOCHROME1")
    np.testing.assert_array_equal(seen(path), rgb(255 - eight))


def test_padding_does_not_count(write):
    values = VALUES.astype(np.int16)
    values[:4] = -2000
    path = write(values, PixelPaddingValue=-2000)
    expected = stretched(values, values[4:].min(), values.max())
    np.testing.assert_array_equal(seen(path), rgb(expected))


def test_palette_colours(write):
    palette = RANDOM.integers(0, 256, (3, 256))
    index = (VALUES % 256).astype(np.uint8)
    for bits in (8, 16):
        tags: dict = {"PhotometricInterpretation": "PALETTE COLOR"}
        for name, entries in zip(("Red", "Green", "Blue"), palette, strict=True):
            tags[f"{name}PaletteColorLookupTableDescriptor"] = [256, 0, bits]
            data = entries.astype(np.uint8) if bits == 8 else (entries * 257).astype("<u2")
            tags[f"{name}PaletteColorLookupTableData"] = data.tobytes()
        np.testing.assert_array_equal(seen(write(index, **tags)), palette.T[index])


SHIPPED = sorted(path.name for path in (Path(pydicom.__file__).parent / "data" / "test_files").glob("*.dcm"))


@pytest.mark.filterwarnings("ignore")  # of pydicom, about what it ships
@pytest.mark.parametrize("name", SHIPPED)
def test_files_that_pydicom_ships_are_seen_as_it_reads_them(name):
    path = Path(get_testdata_file(name, download=False))
    try:
        found = pydicom.dcmread(path)
        frames = int(found.get("NumberOfFrames") or 1)
        stored = found.pixel_array if frames == 1 else found.pixel_array[frames // 2]
    except Exception:  # no picture, truncated, without a mark, or compressed in a way that nothing here decodes
        with pytest.raises(UserError, match=rf"Expected a readable image, but .*{re.escape(name)} is not \("):
            read_image(path)
        return
    if found.PhotometricInterpretation == "PALETTE COLOR":
        expected = (pydicom.pixels.apply_color_lut(stored, found) >> 8).astype(np.uint8)
    elif stored.ndim == 3:
        expected = stored if stored.dtype == np.uint8 else stretched(stored)
    else:
        values = apply_modality_lut(stored, found)
        some = values[stored != found.PixelPaddingValue] if "PixelPaddingValue" in found else values
        expected = rgb(stretched(values, some.min(), some.max()))
        expected = 255 - expected if found.PhotometricInterpretation == "MONOCHROME1" else expected
    np.testing.assert_array_equal(seen(path, grey_range="percentile:0"), expected)  # whatever window it names


@pytest.mark.parametrize(("frame", "number"), [("auto", 2), ("middle", 2), ("first", 0), ("last", 4), ("3", 3)])
@pytest.mark.parametrize("syntax", [ExplicitVRLittleEndian, RLELossless])
def test_one_of_several_frames(tmp_path, frame, number, syntax):
    stack = np.stack([np.roll(VALUES, i, axis=0) + i for i in range(5)]).astype(np.uint16)
    found = dataset(stack, frames=5)
    if syntax == RLELossless:
        found.compress(RLELossless)
    path = saved(tmp_path / "cine.dcm", found)
    np.testing.assert_array_equal(seen(path, frame=frame), rgb(stretched(stack[number])))
    assert notes_of(read_image(path)) == ("frames",)
    with pytest.raises(UserError, match="5 pages or frames, and no number 5"):
        seen(path, frame="5")


def test_values_of_one_frame_and_of_all(tmp_path):
    """As enhanced CT and MR have them."""

    def group(slope: int, centre: int) -> Dataset:
        values, window, found = Dataset(), Dataset(), Dataset()
        values.RescaleSlope, values.RescaleIntercept = slope, -7
        window.WindowCenter, window.WindowWidth = centre, 501
        found.PixelValueTransformationSequence, found.FrameVOILUTSequence = [values], [window]
        return found

    stack = np.stack([VALUES, VALUES, VALUES])
    one = [group(1, 900), group(2, 1000), group(3, 1100)]
    for tags in ({"PerFrameFunctionalGroupsSequence": one}, {"SharedFunctionalGroupsSequence": one[1:2]}):
        path = saved(tmp_path / "a.dcm", dataset(stack, frames=3, **tags))
        np.testing.assert_array_equal(seen(path), rgb(stretched(VALUES * 2.0 - 7, 749.5, 1249.5)))


# -------------------------------------------------------------------------------------------------------------- limits


def refused(path: Path, what: str) -> str:
    """The sentence about a file; neither it nor its traceback holds anything of the header."""
    with pytest.raises(UserError, match=what) as error:
        read_image(path)
    told = "".join(traceback.format_exception(error.value))
    assert "Naam" not in told and "Geheim" not in told and "7000001" not in told
    return str(error.value)


def test_what_is_no_picture_is_named(tmp_path):
    found = dataset()
    for keyword in ("Rows", "Columns", "PixelData"):
        del found[keyword]
    refused(saved(tmp_path / "report.dcm", found), r"report\.dcm is not \(the DICOM file holds no picture\)")
    found = dataset()
    del found.PixelData
    refused(saved(tmp_path / "a.dcm", found), r"a\.dcm is not \(the DICOM file is damaged, or of a kind")


@pytest.mark.parametrize("share", [0.1, 0.3, 0.5, 0.9])
def test_a_truncated_file_is_named(write, share):
    path = write()
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * share)])
    refused(path, r"IM0001 is not \(the DICOM file")


@pytest.mark.parametrize(
    "tags",
    [
        {"Rows": 65535, "Columns": 65535},
        {"PhotometricInterpretation": PERSON},
        {"NumberOfFrames": 70000001},
        {"NumberOfFrames": "7000001"},
        {"RescaleSlope": float("nan")},
        {"BitsAllocated": 12},
        {"PixelRepresentation": 7},
        {"SamplesPerPixel": 4},
        {"PhotometricInterpretation": "PALETTE COLOR"},
    ],
)
@pytest.mark.filterwarnings("ignore::UserWarning")
def test_hostile_headers_say_nothing(write, tags):
    refused(write(**tags), r"IM0001 is not \(")


def test_a_transfer_syntax_may_be_a_name(tmp_path):
    found = dataset()
    path = saved(tmp_path / "a.dcm", found)
    content = path.read_bytes().replace(b"1.2.840.10008.1.2.1\0", b"Naam^Geheim.7000001\0")
    path.write_bytes(content)
    refused(path, r"a\.dcm is not \(the DICOM file is damaged")


def test_what_follows_the_pixels_is_not_read(tmp_path, monkeypatch):
    path = saved(tmp_path / "a.dcm", dataset())
    with path.open("ab") as file:
        file.truncate(path.stat().st_size + (1 << 30))  # zeros, that would be parsed one by one
    np.testing.assert_array_equal(seen(path), rgb(stretched(VALUES)))


def test_a_deflated_bomb_is_named(tmp_path, monkeypatch):
    monkeypatch.setattr(dicom, "PICTURE_BYTES", 1 << 20)
    path = saved(tmp_path / "a.dcm", dataset(np.zeros((1000, 1000), np.uint16), DeflatedExplicitVRLittleEndian))
    refused(path, "its content takes more than 1 MB")
    meta = dataset(syntax=DeflatedExplicitVRLittleEndian)
    path = saved(tmp_path / "b.dcm", meta)
    content = path.read_bytes()
    path.write_bytes(content[:132] + content[144:])  # without the length of its header
    refused(path, "the DICOM file is damaged")


SEGMENTS = {
    "straight": [0, 1, 0, *[1, 65535, 9] * 3000],
    "copied": [0, 2, 0, 1, 1, 60000, 2, *[2, 2, 0, 0] * 500],
    "copies of copies": [0, 1, 0, *(n for k in range(1, 40) for n in (2, k, 0, 0))],
    "itself": [0, 1, 0, 2, 9, 3, 0],
}


@pytest.mark.parametrize("segments", SEGMENTS.values(), ids=SEGMENTS)
def test_a_palette_without_end_is_named(write, segments, monkeypatch):
    monkeypatch.setattr(pydicom.pixels, "apply_color_lut", lambda *_: pytest.fail("the palette is written out"))
    tags: dict = {"PhotometricInterpretation": "PALETTE COLOR"}
    for name in ("Red", "Green", "Blue"):
        tags[f"{name}PaletteColorLookupTableDescriptor"] = [256, 0, 16]
        tags[f"Segmented{name}PaletteColorLookupTableData"] = np.array(segments, "<u2").tobytes()
    refused(write((VALUES % 256).astype(np.uint8), **tags), "palette of more than 65,536|DICOM file is damaged")


def test_a_segmented_palette_is_read(write):
    tags: dict = {"PhotometricInterpretation": "PALETTE COLOR"}
    segments = {
        8: ("u1", [0, 2, 0, 4, 1, 100, 104, 2, 1, 4, 0, 0, 0]),
        16: ("<u2", [0, 2, 0, 999, 1, 100, 60000, 2, 1, 4, 0]),
    }
    for bits, (kind, numbers) in segments.items():
        for name in ("Red", "Green", "Blue"):
            tags[f"{name}PaletteColorLookupTableDescriptor"] = [202, 0, bits]
            tags[f"Segmented{name}PaletteColorLookupTableData"] = np.array(numbers, kind).tobytes()
        path = write((VALUES % 200).astype(np.uint8), **tags)
        header = pydicom.dcmread(path)
        expected = pydicom.pixels.apply_color_lut(header.pixel_array, header) >> (bits - 8)
        np.testing.assert_array_equal(seen(path), expected.astype(np.uint8))


@pytest.mark.parametrize("keyword", ["PerFrameFunctionalGroupsSequence", "ReferencedImageSequence"])
def test_items_without_end_are_named(tmp_path, keyword, monkeypatch):
    monkeypatch.setattr(dicom, "ITEMS", 1000)
    for count in (900, 1001):
        found = dataset(syntax=DeflatedExplicitVRLittleEndian, **{keyword: [Dataset() for _ in range(count)]})
        path = saved(tmp_path / f"{count}.dcm", found)
        if count < 1000:
            seen(path)
        else:
            refused(path, "it has more than 1,000 items")
            with path.open("rb") as file, pytest.raises(dicom.Unusable):
                dicom.inflated(file)  # whose header UK Biobank's reader takes from there


@pytest.mark.parametrize("kind", ["JPEG", "JPEG2000"])
def test_a_compressed_frame_of_another_size_is_not_decoded(tmp_path, kind):
    """The header says 24 x 40, the code 8000 x 8000."""
    code = io.BytesIO()
    Image.new("L", (80, 80), 9).save(code, kind, **({"no_jp2": True} if kind == "JPEG2000" else {}))
    uid = "1.2.840.10008.1.2.4.50" if kind == "JPEG" else "1.2.840.10008.1.2.4.90"
    found = dataset((VALUES >> 4).astype(np.uint8), UID(uid))
    found.PixelData = pydicom.encaps.encapsulate([code.getvalue()])
    found["PixelData"].is_undefined_length = True
    refused(saved(tmp_path / "a.dcm", found), "the DICOM file is damaged")
    assert dicom.size_of(code.getvalue()) == (80, 80)


def test_sizes_of_codestreams():
    ls = b"\xff\xd8\xff\xe0\0\4ab\xff\xf7" + struct.pack(">HBHH", 11, 8, 24, 40) + b"\1\1\x11\0"
    assert dicom.size_of(ls) == (40, 24)
    assert dicom.size_of(b"other") is None
    with pytest.raises(dicom.Unusable):
        dicom.size_of(b"\xff\xd8\xff\xe0\0\4ab")


def test_without_pydicom_the_extra_is_named(write, monkeypatch):
    path = write()
    monkeypatch.setitem(sys.modules, "pydicom", None)
    with pytest.raises(
        UserError, match=r'package pydicom 3\.0 or later.* not installed: pip install -e "\.\[dicom\]"\.$'
    ):
        read_image(path)


def test_the_name_of_a_broken_deflate_says_nothing(tmp_path):
    path = saved(tmp_path / "a.dcm", dataset(syntax=DeflatedExplicitVRLittleEndian))
    content = path.read_bytes()
    path.write_bytes(content[:-200] + zlib.compress(PERSON.encode()))
    refused(path, r"a\.dcm is not")


# ----------------------------------------------------------------------------------------------------- any file at all


@settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    bits=st.integers(2, 16),
    signed=st.booleans(),
    slope=st.sampled_from([None, 1, 0.5, -3]),
    photometric=st.sampled_from(["MONOCHROME1", "MONOCHROME2"]),
    syntax=st.sampled_from([ExplicitVRLittleEndian, ImplicitVRLittleEndian, ExplicitVRBigEndian]),
    seed=st.integers(0, 2**32 - 1),
)
def test_any_file_is_seen_as_pydicom_reads_it(tmp_path_factory, bits, signed, slope, photometric, syntax, seed):
    lowest = -(2 ** (bits - 1)) if signed else 0
    values = np.random.default_rng(seed).integers(lowest, lowest + 2**bits, (3, 5)).astype("i2" if signed else "u2")
    tags: dict = {"BitsStored": bits, "HighBit": bits - 1, "PhotometricInterpretation": photometric}
    if slope:
        tags |= {"RescaleSlope": slope, "RescaleIntercept": -10}
    found = dataset(values, syntax, **tags)
    path = saved(tmp_path_factory.getbasetemp() / "any.dcm", found)
    shown = apply_modality_lut(pixel_array(path), pydicom.dcmread(path)).astype(float)
    if shown.min() == shown.max():
        return
    expected = stretched(shown)
    np.testing.assert_array_equal(seen(path), rgb(255 - expected if photometric == "MONOCHROME1" else expected))


@pytest.mark.parametrize("kind", ["without the mark", "without a header, explicit", "without a header, implicit"])
def test_a_file_of_an_old_program_is_read_where_its_name_says_dicom(tmp_path, kind):
    from pydicom.filebase import DicomBytesIO
    from pydicom.filewriter import write_dataset

    source = Path(get_testdata_file("MR_small.dcm", download=False))
    stream = DicomBytesIO()
    stream.is_little_endian, stream.is_implicit_VR = True, kind.endswith("implicit")
    write_dataset(stream, pydicom.dcmread(source))
    content = source.read_bytes()[132:] if kind == "without the mark" else stream.getvalue()
    for name in ("old.dcm", "OLD.DICOM", "old.png"):
        (tmp_path / name).write_bytes(content)
    expected = np.asarray(read_image(source))
    for name in ("old.dcm", "OLD.DICOM"):
        np.testing.assert_array_equal(np.asarray(read_image(tmp_path / name)), expected)
    with pytest.raises(UserError, match=r"old\.png"):
        read_image(tmp_path / "old.png")
    (tmp_path / "text.dcm").write_text("no DICOM at all")
    with pytest.raises(UserError, match=r"text\.dcm"):
        read_image(tmp_path / "text.dcm")
