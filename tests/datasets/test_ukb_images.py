"""UK Biobank's images: which slices and phases of a zip are taken, and what becomes of their values."""

import warnings

import numpy as np
import pytest

from datasets.ukb import LeftOut
from datasets.ukb.recipe import read_recipe
from tests.datasets.participants import recipe_file
from tests.datasets.scans import compressed, grey, heart, image, pixels_of, shipped, without_decoder, zipped

dicom = pytest.importorskip("datasets.ukb.dicom")


@pytest.fixture
def read(tmp_path):
    """`read(files, (old, new), ...)` returns the images of a zip of these files, by a recipe with these changes."""

    def reader(files, *changes):
        recipe = read_recipe("cmri", recipe_file(tmp_path / "r.yaml", *changes))
        return dicom.read_images(zipped(tmp_path / "1_20209_2_0.zip", files), recipe.images)

    return reader


def test_the_middle_slice_at_end_diastole(read):
    found = read(heart())
    assert list(found) == ["s01_p00"] and found["s01_p00"].dtype == np.uint8
    np.testing.assert_array_equal(found["s01_p00"], grey(10))


def test_slices_and_phases_are_those_of_the_recipe(read):
    found = read(
        heart(), ("slices: {at: [0.5]", "slices: {at: [0.0, 0.1, 1]"), ("at: [0.0], least: 2", "at: [1.0], least: 2")
    )
    assert list(found) == ["s00_p01", "s02_p01"]
    np.testing.assert_array_equal(found["s00_p01"], grey(1))
    np.testing.assert_array_equal(found["s02_p01"], grey(21))


def test_phases_are_told_by_trigger_then_echo_then_number(read):
    one = {"slices": 1, "phases": 1}
    least = ("least: 3", "least: 1")
    for earlier, later in (
        ({"TriggerTime": 1, "EchoTime": 9}, {"TriggerTime": 2, "EchoTime": 1}),
        ({"TriggerTime": None, "EchoTime": 1.2}, {"TriggerTime": None, "EchoTime": 10.1}),
        ({"EchoTime": 3, "InstanceNumber": 9}, {"EchoTime": 3, "InstanceNumber": 10}),
    ):
        files = heart(**one, roll=7, **later) | heart(**one, roll=4, **earlier)
        np.testing.assert_array_equal(read(files, least)["s00_p00"], grey(4))


def test_slices_are_told_along_their_normal(read):
    """In planes that stand upright, the order is that of x, whatever z is."""
    files = {}
    for i, (x, z) in enumerate([(30, 1), (10, 2), (20, 0)]):
        files |= {
            f"{name}{i}": file
            for name, file in heart(
                1, 2, roll=x, ImageOrientationPatient=[0, 1, 0, 0, 0, 1], ImagePositionPatient=[x, 3, z]
            ).items()
        }
    np.testing.assert_array_equal(read(files)["s01_p00"], grey(20))


def test_without_positions_slices_are_told_by_their_location(read):
    files = {}
    for location in (3, 1, 2):
        files |= heart(1, 2, roll=location, ImagePositionPatient=None, SliceLocation=location)
    np.testing.assert_array_equal(read(files, ("at: [0.5]", "at: [1]"))["s02_p00"], grey(3))


def test_a_repeated_slice_counts_once_with_its_last_series(read):
    again = heart(1, 2, roll=33, ImagePositionPatient=[5, 7, -49.8], SeriesNumber=12)
    worse = heart(1, 2, roll=44, ImagePositionPatient=[5, 7, -50], SeriesNumber=2)
    found = read(worse | heart() | again)
    assert list(found) == ["s01_p00"]
    np.testing.assert_array_equal(found["s01_p00"], grey(33))


@pytest.mark.parametrize(
    "other",
    [
        {"SeriesDescription": "CINE_segmented_SAX_InlineVF"},
        {"SeriesDescription": "CINE_segmented_LAX_2Ch"},
        {"SeriesDescription": None},
        {"ImageType": ["ORIGINAL", "PRIMARY", "P", "ND"]},
        {"ImageType": "P"},
        {"BurnedInAnnotation": "YES"},
    ],
)
def test_other_images_of_a_zip_are_passed_over(read, other):
    found = read(heart() | heart(roll=40, SeriesNumber=99, **other))
    np.testing.assert_array_equal(found["s01_p00"], grey(10))
    with pytest.raises(LeftOut, match=r"^a zip without the series$"):
        read(heart(**other))


def test_a_lone_image_type_is_a_word_not_letters(read):
    np.testing.assert_array_equal(read(heart(ImageType="PRIMARY"))["s01_p00"], grey(10))


def test_series_in_other_spelling_and_foreign_encodings(read):
    """Headers in Japanese, in an encoding that does not exist, and in bytes that the named one has not."""
    for charset, name in (
        (["", "ISO 2022 IR 87"], "Yamada^Tarou=山田^太郎"),
        ("ISO_IR 192", "Müller^Jürgen"),
        ("ISO_IR 999", "Nobody"),
        (None, "Nobody"),
    ):
        with warnings.catch_warnings():  # of pydicom, as it writes what it does not understand
            warnings.simplefilter("ignore")
            files = heart(SpecificCharacterSet=charset, PatientName=name, SeriesDescription="cine_SEGMENTED_sax ")
        np.testing.assert_array_equal(read(files)["s01_p00"], grey(10))
    broken = {
        name: file.replace(b"Naam", b"\xff\xfe\x80m") for name, file in heart(SpecificCharacterSet="ISO_IR 192").items()
    }
    np.testing.assert_array_equal(read(broken)["s01_p00"], grey(10))


@pytest.mark.parametrize(
    ("files", "reason"),
    [
        ({}, "a zip without the series"),
        ({"manifest.csv": b"a,b\n"}, "a zip without the series"),
        (heart(slices=2), "a series with too few slices"),
        (heart(phases=1), "a series with too few phases"),
        (heart(PixelData=b"\1\2"), "a zip, or DICOM files in it, that cannot be read"),
        ({"1.dcm": image()[:300]}, "a zip without the series"),
        (heart(1, 2, NumberOfFrames=2, Rows=32), "images in colour, or of several frames"),
    ],
)
def test_why_a_zip_is_left_out(read, files, reason):
    changes = [("least: 3", "least: 1")] if "colour" in reason else []
    with pytest.raises(LeftOut, match=f"^{reason}$") as error:
        read(files, *changes)
    assert error.value.__suppress_context__ or error.value.__context__ is None


def test_what_is_no_zip_is_left_out_without_its_name(tmp_path):
    page = tmp_path / "7000001_20209_2_0.zip"
    page.write_bytes(b"<html>quota exceeded</html>")
    for path in (page, tmp_path / "7000002_20209_2_0.zip", tmp_path):
        with pytest.raises(LeftOut, match=r"^a zip, or DICOM files in it, that cannot be read$"):
            dicom.read_images(path, read_recipe("cmri").images)


@pytest.mark.parametrize("name", ["MR_small_RLE.dcm", "MR_small_bigendian.dcm", "MR_small_implicit.dcm"])
def test_transfer_syntaxes_that_need_nothing_else(read, name):
    np.testing.assert_array_equal(read(compressed(name))["s01_p00"], grey(0))


@pytest.fixture
def no_decoder(monkeypatch) -> str:
    return without_decoder(monkeypatch)


def test_a_transfer_syntax_that_cannot_be_decoded_is_named_with_the_way_out(read, no_decoder):
    with pytest.raises(LeftOut) as error:
        read(compressed("MR_small_jpeg_ls_lossless.dcm"))
    assert str(error.value) == no_decoder


def test_grey_values_between_the_percentiles():
    ramp = np.arange(201.0).reshape(3, 67) * 7 - 400  # percentiles 0.5 and 99.5 are the second and the last but one
    found = dicom.to_grey(ramp, (0.5, 99.5)).ravel()
    assert list(found[[0, 1, 2, 100, 198, 199, 200]]) == [0, 0, 1, 128, 254, 255, 255]
    assert list(dicom.to_grey(ramp, (0.5, 99.5), inverted=True).ravel()[[0, 1, 2, 199, 200]]) == [255, 255, 254, 0, 0]
    assert list(dicom.to_grey(ramp, (0, 100)).ravel()[[0, 1, 200]]) == [0, 1, 255]
    assert not dicom.to_grey(np.full((4, 4), 3.0), (0.5, 99.5)).any()


def test_rescaled_and_inverted_values(read):
    """CT numbers are as far from each other as stored ones; a falling slope and MONOCHROME1 each turn them over."""
    pixels = pixels_of("CT_small.dcm")
    assert shipped("CT_small.dcm").RescaleIntercept == -1024

    def found(**tags):
        files = {
            f"{s}{p}": image("CT_small.dcm", ImagePositionPatient=[0, 0, 9 * s], **tags) for s in range(3) for p in "ab"
        }
        return read(files)["s01_p00"]

    plain = found()
    np.testing.assert_array_equal(plain, dicom.to_grey(pixels, (0.5, 99.5)))
    assert plain.shape == (128, 128) and plain.min() == 0 and plain.max() == 255
    np.testing.assert_array_equal(found(PhotometricInterpretation="MONOCHROME1"), 255 - plain)
    np.testing.assert_allclose(found(RescaleSlope="-2", RescaleIntercept="50"), 255.0 - plain, atol=1)
