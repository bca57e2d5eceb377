"""Damaged and hostile DICOM files: they are refused in bounded time and memory, and no header leaves the reader."""

import io
import struct
import sys
import traceback
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from dassl.errors import UserError
from dassl.images import dicom_file, read_image
from dassl.images.dicom_pixels import codestream_size
from dassl.images.limits import PictureError
from tests.toolbox.pictures import rgb, seen, stretched

pydicom = pytest.importorskip("pydicom", minversion="3.0")
from pydicom.dataset import Dataset  # noqa: E402, like what follows only with pydicom, which is optional
from pydicom.uid import UID, DeflatedExplicitVRLittleEndian  # noqa: E402

from tests.toolbox.dicom_files import PERSON, VALUES, dataset, saved  # noqa: E402


def refused(path: Path, what: str) -> str:
    """Return the error about a file, after checking that its traceback quotes nothing of the header."""
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
def test_a_truncated_file_is_named(write_dicom, share):
    path = write_dicom()
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
def test_hostile_headers_say_nothing(write_dicom, tags):
    refused(write_dicom(**tags), r"IM0001 is not \(")


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
    monkeypatch.setattr(dicom_file, "PICTURE_BYTES", 1 << 20)
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
def test_a_palette_without_end_is_named(write_dicom, segments, monkeypatch):
    monkeypatch.setattr(pydicom.pixels, "apply_color_lut", lambda *_: pytest.fail("the palette is written out"))
    tags: dict = {"PhotometricInterpretation": "PALETTE COLOR"}
    for name in ("Red", "Green", "Blue"):
        tags[f"{name}PaletteColorLookupTableDescriptor"] = [256, 0, 16]
        tags[f"Segmented{name}PaletteColorLookupTableData"] = np.array(segments, "<u2").tobytes()
    refused(write_dicom((VALUES % 256).astype(np.uint8), **tags), "palette of more than 65,536|DICOM file is damaged")


def test_a_segmented_palette_is_read(write_dicom):
    tags: dict = {"PhotometricInterpretation": "PALETTE COLOR"}
    segments = {
        8: ("u1", [0, 2, 0, 4, 1, 100, 104, 2, 1, 4, 0, 0, 0]),
        16: ("<u2", [0, 2, 0, 999, 1, 100, 60000, 2, 1, 4, 0]),
    }
    for bits, (kind, numbers) in segments.items():
        for name in ("Red", "Green", "Blue"):
            tags[f"{name}PaletteColorLookupTableDescriptor"] = [202, 0, bits]
            tags[f"Segmented{name}PaletteColorLookupTableData"] = np.array(numbers, kind).tobytes()
        path = write_dicom((VALUES % 200).astype(np.uint8), **tags)
        header = pydicom.dcmread(path)
        expected = pydicom.pixels.apply_color_lut(header.pixel_array, header) >> (bits - 8)
        np.testing.assert_array_equal(seen(path), expected.astype(np.uint8))


@pytest.mark.parametrize("keyword", ["PerFrameFunctionalGroupsSequence", "ReferencedImageSequence"])
def test_items_without_end_are_named(tmp_path, keyword, monkeypatch):
    monkeypatch.setattr(dicom_file, "ITEMS", 1000)
    for count in (900, 1001):
        found = dataset(syntax=DeflatedExplicitVRLittleEndian, **{keyword: [Dataset() for _ in range(count)]})
        path = saved(tmp_path / f"{count}.dcm", found)
        if count < 1000:
            seen(path)
        else:
            refused(path, "it has more than 1,000 items")
            with path.open("rb") as file, pytest.raises(PictureError):
                dicom_file.inflated(file)  # whose header UK Biobank's reader takes from there


@pytest.mark.parametrize("kind", ["JPEG", "JPEG2000"])
def test_a_compressed_frame_of_another_size_is_not_decoded(tmp_path, kind):
    """The header says 24 x 40, the code 80 x 80."""
    code = io.BytesIO()
    Image.new("L", (80, 80), 9).save(code, kind, **({"no_jp2": True} if kind == "JPEG2000" else {}))
    uid = "1.2.840.10008.1.2.4.50" if kind == "JPEG" else "1.2.840.10008.1.2.4.90"
    found = dataset((VALUES >> 4).astype(np.uint8), UID(uid))
    found.PixelData = pydicom.encaps.encapsulate([code.getvalue()])
    found["PixelData"].is_undefined_length = True
    refused(saved(tmp_path / "a.dcm", found), "the DICOM file is damaged")
    assert codestream_size(code.getvalue()) == (80, 80)


def test_sizes_of_codestreams():
    ls = b"\xff\xd8\xff\xe0\0\4ab\xff\xf7" + struct.pack(">HBHH", 11, 8, 24, 40) + b"\1\1\x11\0"
    assert codestream_size(ls) == (40, 24)
    assert codestream_size(b"other") is None
    with pytest.raises(PictureError):
        codestream_size(b"\xff\xd8\xff\xe0\0\4ab")


def test_without_pydicom_the_extra_is_named(write_dicom, monkeypatch):
    path = write_dicom()
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
