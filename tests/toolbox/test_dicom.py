"""DICOM files: what is seen of them is what pydicom's own processing makes of them."""

import re
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dassl.errors import UserError
from dassl.images import notes_of, read_image
from tests.toolbox.pictures import EXAMPLES, rgb, seen, stretched

pydicom = pytest.importorskip("pydicom", minversion="3.0")
from pydicom.data import get_testdata_file  # noqa: E402, like what follows only with pydicom, which is optional
from pydicom.dataset import Dataset  # noqa: E402
from pydicom.pixels import apply_modality_lut, apply_voi_lut, pixel_array  # noqa: E402
from pydicom.uid import (  # noqa: E402
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    RLELossless,
)

from tests.toolbox.dicom_files import VALUES, dataset, saved  # noqa: E402


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
def test_rescaled_values(write_dicom, slope):
    path = write_dicom(RescaleSlope=slope[0], RescaleIntercept=slope[1])
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
def test_the_first_window(write_dicom, window, slope, photometric):
    found = dataset(PhotometricInterpretation=photometric, **window, **slope)
    shown = apply_voi_lut(apply_modality_lut(VALUES, found), found, index=0)
    span = apply_modality_lut(np.array([0, 65535]), found)
    expected = (shown - span[0]) / (span[1] - span[0]) * 255
    expected = 255 - expected if photometric == "MONOCHROME1" else expected
    path = write_dicom(PhotometricInterpretation=photometric, **window, **slope)
    assert np.abs(seen(path).astype(float) - rgb(expected)).max() <= 0.51
    own = stretched(apply_modality_lut(VALUES, found), 100, 3000)  # asked for: the file's window does not count
    own = 255 - own if photometric == "MONOCHROME1" else own
    np.testing.assert_array_equal(seen(path, grey_range="100:3000"), rgb(own))


@pytest.mark.parametrize("width", [0, -5, "", None])
def test_windows_that_are_none(write_dicom, width):
    path = write_dicom(WindowCenter=2000, WindowWidth=width)
    np.testing.assert_array_equal(seen(path), rgb(stretched(VALUES)))


def test_look_up_tables(write_dicom):
    item = Dataset()
    entries = (65535 - np.arange(4096) * 16).astype("<u2")
    item.LUTDescriptor, item.LUTData = [4096, 0, 16], entries.tobytes()
    item["LUTDescriptor"].VR, item["LUTData"].VR = "US", "OW"
    for keyword in ("VOILUTSequence", "ModalityLUTSequence"):
        path = write_dicom(**{keyword: [item]})
        table = entries[VALUES]
        expected = table / 65535 * 255 if keyword == "VOILUTSequence" else stretched(table)
        assert np.abs(seen(path).astype(float) - rgb(expected)).max() <= 0.51


def test_inverted_grey(write_dicom):
    for tags in ({"PhotometricInterpretation": "MONOCHROME1"}, {"PresentationLUTShape": "INVERSE"}):
        np.testing.assert_array_equal(seen(write_dicom(**tags)), rgb(255 - stretched(VALUES)))
    eight = (VALUES >> 4).astype(np.uint8)
    path = write_dicom(eight, PhotometricInterpretation="MONOCHROME1")
    np.testing.assert_array_equal(seen(path), rgb(255 - eight))


def test_padding_does_not_count(write_dicom):
    values = VALUES.astype(np.int16)
    values[:4] = -2000
    path = write_dicom(values, PixelPaddingValue=-2000)
    expected = stretched(values, values[4:].min(), values.max())
    np.testing.assert_array_equal(seen(path), rgb(expected))


def test_palette_colours(write_dicom):
    palette = np.random.default_rng(0).integers(0, 256, (3, 256))
    index = (VALUES % 256).astype(np.uint8)
    for bits in (8, 16):
        tags: dict = {"PhotometricInterpretation": "PALETTE COLOR"}
        for name, entries in zip(("Red", "Green", "Blue"), palette, strict=True):
            tags[f"{name}PaletteColorLookupTableDescriptor"] = [256, 0, bits]
            data = entries.astype(np.uint8) if bits == 8 else (entries * 257).astype("<u2")
            tags[f"{name}PaletteColorLookupTableData"] = data.tobytes()
        np.testing.assert_array_equal(seen(write_dicom(index, **tags)), palette.T[index])


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
    """Enhanced CT and MR have such values."""

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
