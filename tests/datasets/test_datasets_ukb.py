"""UK Biobank: tables of participants and zips, made here around the pixels that pydicom ships, become a data set."""

import hashlib
import hmac
import io
import json
import re
import shutil
import stat
import sys
import warnings
import zipfile
from collections import Counter
from dataclasses import replace
from datetime import date
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from filelock import FileLock
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from datasets.cmri import CMRI
from datasets.lmri import LMRI
from datasets.ukb import LeftOut, cohort, phenotypes
from datasets.ukb.__main__ import main
from datasets.ukb.journal import Visit
from datasets.ukb.phenotypes import Record, read_withdrawn
from datasets.ukb.pseudonym import pseudonyms
from datasets.ukb.recipe import FOLDER, SETS, matches, read_recipe
from datasets.ukb.split import split
from tests.datasets.layout import load

pydicom = pytest.importorskip("pydicom", minversion="3.0")
from pydicom.data import get_testdata_file  # noqa: E402, like what follows only with pydicom, which is optional

from datasets.ukb import dicom, prepare  # noqa: E402

SALT = b"a salt for tests, not for use"
PERSON = "Naam^Geheim"
CODES = {
    "normal heart": "M545",
    "atrial fibrillation": "I489",
    "ischemic heart disease": "I251",
    "heart failure": "I500",
    "cardiomyopathy": "I420",
}


def alias(eid: str, salt: bytes = SALT) -> str:
    return hmac.new(salt, eid.encode(), hashlib.sha256).hexdigest()[:16]


# ------------------------------------------------------------------------------------------------------- zips of DICOM


@cache
def content(name: str) -> bytes:
    """A file that comes with pydicom."""
    return Path(get_testdata_file(name, download=False)).read_bytes()


def shipped(name: str) -> "pydicom.Dataset":
    return pydicom.dcmread(io.BytesIO(content(name)))


@cache
def pixels_of(name: str) -> np.ndarray:
    return shipped(name).pixel_array


def image(name: str = "MR_small.dcm", roll: int = 0, **tags) -> bytes:
    """A DICOM file with shipped pixels, moved down by `roll` rows so that images can be told apart."""
    ds = shipped(name)
    ds.PatientName, ds.PatientID, ds.PatientBirthDate = PERSON, "7000001", "19500102"
    ds.SeriesDescription, ds.ImageType = "CINE_segmented_SAX_b1", ["ORIGINAL", "PRIMARY", "M", "ND"]
    ds.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
    if roll:
        ds.PixelData = np.roll(pixels_of(name), roll, axis=0).tobytes()
    for tag, value in tags.items():
        setattr(ds, tag, value)
    file = io.BytesIO()
    ds.save_as(file)
    return file.getvalue()


def heart(slices: int = 3, phases: int = 2, roll: int = 0, **tags) -> dict[str, bytes]:
    """A short-axis cine, files not in order; the pixels of slice s and phase p are moved by 10 s + p + roll rows."""
    files = {"manifest.cvs": f"file,name,date\n1.dcm,{PERSON},May 4, 2016\n".encode()}
    for s in range(slices):
        for p in reversed(range(phases)):
            own = {"SeriesDescription": f"CINE_segmented_SAX_b{s}", "SeriesNumber": s + 3, "InstanceNumber": 90 - p}
            own |= {"ImagePositionPatient": [5, 7, 10 * s - 60], "TriggerTime": 20.5 * p} | tags
            files[f"{phases - p}{s}.{roll}.dcm"] = image(roll=10 * s + p + roll, **own)
    return files


def zipped(path: Path, files: dict[str, bytes]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(path, "w") as archive:
        for name, file in files.items():
            archive.writestr(name, file)
    return path


def grey(roll: int) -> np.ndarray:
    """What shipped MR pixels, moved by so many rows, are in 8 bits, reckoned another way."""
    pixels = np.roll(pixels_of("MR_small.dcm"), roll, axis=0).astype(float)
    ordered = np.sort(pixels.ravel())
    places = np.array([0.5, 99.5]) / 100 * (ordered.size - 1)
    low, high = np.interp(places, np.arange(ordered.size), ordered)
    return np.rint(np.minimum(np.maximum(pixels - low, 0) / (high - low), 1) * 255)


def recipe_file(path: Path, *changes: tuple[str, str], key: str = "cmri") -> Path:
    """The recipe of a set for stacks of three slices and two phases."""
    text = (FOLDER / f"{key}.yaml").read_text(encoding="utf-8")
    for old, new in (("least: 6", "least: 3"), ("least: 20", "least: 2"), *changes):
        text = text.replace(old, new)
    path.write_text(text, encoding="utf-8")
    return path


@pytest.fixture
def read(tmp_path):
    """`read(files, (old, new), ...)`: the images of a zip of these files, by a recipe with these changes."""

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


def compressed(name: str) -> dict[str, bytes]:
    """Three slices of two phases in a file's own transfer syntax."""
    return {
        f"{s}{p}": image(name, ImagePositionPatient=[0, 0, 9 * s], InstanceNumber=p) for s in range(3) for p in range(2)
    }


@pytest.mark.parametrize("name", ["MR_small_RLE.dcm", "MR_small_bigendian.dcm", "MR_small_implicit.dcm"])
def test_transfer_syntaxes_that_need_nothing_else(read, name):
    np.testing.assert_array_equal(read(compressed(name))["s01_p00"], grey(0))


@pytest.fixture
def no_decoder(monkeypatch) -> str:
    """A pydicom without packages that decode compressed pixels; gives what is said then of JPEG-LS."""
    monkeypatch.setattr(pydicom.pixels.decoders.base.Decoder, "is_available", False)
    return (
        "pixels compressed as JPEG-LS Lossless Image Compression (1.2.840.10008.1.2.4.80) that cannot be decoded: if "
        'they are not damaged, pip install "pylibjpeg[all]" and run again'
    )


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


# ---------------------------------------------------------------------------------------------- tables of participants

WIDE = [
    "eid",
    "31-0.0",
    "41270-0.0",
    "41270-0.1",
    "41270-0.2",
    "41280-0.0",
    "41280-0.1",
    "41280-0.2",
    "53-0.0",
    "53-2.0",
]
ROW = ["7000001", "1", "I10", "I251", "", "2019-01-02", "2021-03-04", "", "2008-05-06", "2017-08-09"]
RECORD = Record(
    codes={"I10": date(2019, 1, 2), "I251": date(2021, 3, 4)},
    visits={0: date(2008, 5, 6), 2: date(2017, 8, 9)},
)


def table(path: Path, *rows: list[str], separator: str = ",", encoding: str = "utf-8") -> Path:
    quoted = ([f'"{cell.replace(chr(34), 2 * chr(34))}"' for cell in row] for row in rows)
    path.write_bytes("\r\n".join(separator.join(row) for row in quoted).encode(encoding))
    return path


def records(path: Path) -> list[tuple[str, Record]]:
    return list(phenotypes.read(path, lambda eid: eid.startswith("7")))


@pytest.mark.parametrize(
    ("header", "row"),
    [
        (WIDE, ROW),
        (["f.eid"] + ["f." + re.sub("-", ".", name) for name in WIDE[1:]], ROW),
        (list(reversed(WIDE)), list(reversed(ROW))),
        (WIDE, [cell or "NA" for cell in ROW]),
        ([*WIDE[:-2], "53-2.0", "53-0.0"], [*ROW[:-2], "2017-08-09T00:00:00", "2008-05-06 09:30"]),
        (["eid", "p41270", "p41280_a0", "p41280_a1", "p53_i0", "p53_i2"], [ROW[0], "I10|I251", *ROW[5:7], *ROW[8:]]),
        (
            [f"participant.{name}" for name in ("eid", "p41270", "p41280_a1", "p41280_a0", "p53_i0", "p53_i2")],
            [ROW[0], '["I10","I251"]', ROW[6], ROW[5], *ROW[8:]],
        ),
        (
            ["eid", "p41270", "p41280_a0", "p41280_a1", "p53_i0", "p53_i2"],
            [ROW[0], "['I10 Essential (primary) hypertension', 'I25.1 Of old, this']", *ROW[5:7], *ROW[8:]],
        ),
    ],
)
def test_forms_of_the_table(tmp_path, header, row):
    """Diagnosis and date meet by their array index, whatever the order of columns."""
    other = ["6999999" if cell == ROW[0] else "not read" for cell in row]
    assert records(table(tmp_path / "t.csv", header, other, row)) == [("7000001", RECORD)]


@pytest.mark.parametrize("separator", [",", "\t"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "latin-1"])
def test_encodings_of_the_table(tmp_path, separator, encoding):
    path = table(tmp_path / "t", [*WIDE, "Größe"], [*ROW, "é, Ä"], separator=separator, encoding=encoding)
    assert records(path) == [("7000001", RECORD)]


def test_codes_that_are_none_and_cells_that_are_not_there(tmp_path):
    row = ["7000001", "1", "Chapter IX", "i48.9", "Ä?"]
    assert records(table(tmp_path / "t.csv", WIDE, row, [], ["7000002"])) == [
        ("7000001", Record(codes={"I489": None}, unknown=2)),
        ("7000002", Record()),
    ]


def test_rows_of_one_participant_are_put_together(tmp_path):
    rows = [
        ["7000001", "", "I48", "I10", "?", "2021-05-05", "", "", "", "2017-08-09"],
        ["7000001", "", "I48", "I10", "", "2012-05-05", "2013-01-01", "", "2008-05-06", ""],
    ]
    whole = Record()
    for _, record in records(table(tmp_path / "t.csv", WIDE, *rows)):
        whole.add(record)
    assert whole == Record(
        codes={"I48": date(2012, 5, 5), "I10": date(2013, 1, 1)},
        visits={0: date(2008, 5, 6), 2: date(2017, 8, 9)},
        unknown=1,
    )


@pytest.mark.parametrize(
    ("header", "missing"),
    [
        ([name for name in WIDE if not name.startswith("53")], "none of 53:"),
        ([name for name in WIDE if not name.startswith("41280")], "none of 41280:"),
        (["id", *WIDE[1:]], "none of eid:"),
        ([], "none of eid, 41270, 41280, 53:"),
        (["eid", "41270", "141280-0.0", "p53x"], "none of 41270, 41280, 53:"),
    ],
)
def test_missing_columns_are_named(tmp_path, header, missing):
    path = table(tmp_path / "t.csv", header, ROW)
    with pytest.raises(ValueError) as error:
        records(path)
    assert missing in str(error.value) and str(path) in str(error.value) and "\n" not in str(error.value)


@pytest.mark.parametrize(("column", "cell"), [(5, "04/03/2021"), (9, "2021-13-01"), (5, "Müller")])
def test_a_cell_that_cannot_be_read_is_not_quoted(tmp_path, column, cell):
    row = [*ROW[:column], cell, *ROW[column + 1 :]]
    with pytest.raises(ValueError, match=f"days such as 2020-07-31 in column {WIDE[column]} ") as error:
        records(table(tmp_path / "t.csv", WIDE, row))
    assert cell not in str(error.value) and "7000001" not in str(error.value)
    header = ["eid", "p41270", "p41280_a0", "p53_i2"]
    with pytest.raises(ValueError, match="in column p41270 ") as error:
        records(table(tmp_path / "t.csv", header, ["7000001", '["I10", I251]', "", ""]))
    assert "I251" not in str(error.value).split("found")[1]


def test_a_table_is_read_row_by_row(tmp_path):
    """What comes after a row is not looked at before the row is given."""
    path = table(tmp_path / "t.csv", WIDE, *[ROW] * 50, [*ROW[:5], "broken", *ROW[6:]])
    with path.open("ab") as file:
        file.write(b"\r\n7" * 100_000)
    rows = phenotypes.read(path, lambda eid: True)
    assert [next(rows) for _ in range(50)] == [("7000001", RECORD)] * 50
    with pytest.raises(ValueError, match=r"column 41280-0\.0 "):
        next(rows)


def test_the_list_of_who_withdrew(tmp_path):
    path = tmp_path / "w.csv"
    path.write_bytes('\ufeffeid\r\n7000001\r\n"7000002",\r\n\r\n-3\r\n'.encode())
    assert read_withdrawn(path) == {"7000001", "7000002", "-3"}
    path.write_text("7000001\n7OOOOO2\n")
    with pytest.raises(ValueError, match=f"per line in {path}") as error:
        read_withdrawn(path)
    assert "7OOOOO2" not in str(error.value)


# ------------------------------------------------------------------------------------------------------------- classes


def classify(*codes: str, key: str = "cmri", **rules) -> str:
    record = Record(codes=dict.fromkeys(codes), visits={2: date(2021, 1, 1)})
    return cohort.classify(record, replace(read_recipe(key).participants, **rules)).classname


@pytest.mark.parametrize(
    ("key", "classname", "codes"),
    [
        ("cmri", "atrial fibrillation", "I48 I480 I489"),
        ("cmri", "ischemic heart disease", "I20 I209 I219 I22 I240 I259 I255"),
        ("cmri", "heart failure", "I50 I500 I501 I110 I130 I132"),
        ("cmri", "cardiomyopathy", "I42 I420 I428 I431"),
        ("cmri", "normal heart", "M545 I10 E119 J459 I839 I639"),
        ("lmri", "fatty liver disease", "K760 K700 K758"),
        ("lmri", "liver cirrhosis", "K703 K743 K745 K746 K717"),
        ("lmri", "hepatitis", "B15 B181 B199 K701 K732 K754 K712 K716"),
        ("lmri", "liver neoplasm", "C22 C220 C787 D134"),
        ("lmri", "normal liver", "M545 K802 K296 C189 D135 K69 K78"),
        ("pmri", "type 2 diabetes", "E11 E119"),
        ("pmri", "pancreatitis", "K85 K851 K860 K861"),
        ("pmri", "pancreatic cyst", "K862 K863 Q452"),
        ("pmri", "pancreatic neoplasm", "C25 C259 D136 D137"),
        ("pmri", "normal pancreas", "M545 K760 E780 E039 D135 K88"),
    ],
)
def test_icd_10_codes_of_each_class(key, classname, codes):
    for code in codes.split():
        assert classify(code, key=key) == classname, code


@pytest.mark.parametrize(
    ("key", "codes"),
    [
        ("cmri", "I050 I119 I139 I269 I340 I442 I472 I517 Q211 Z950 Z941"),
        ("lmri", "K740 K72 K769 K711 B942 D376 D015 E831 I850 R17 R945 Z225 Z944"),
        ("pmri", "E109 E149 E162 K868 K87 Q450 R739 O244 D377"),
    ],
)
def test_who_is_neither_ill_nor_normal(key, codes):
    for code in codes.split():
        with pytest.raises(LeftOut, match=r"^neither a class's codes nor normal$"):
            classify(code, "M545", key=key)


def test_of_several_classes_the_first_of_the_recipe_or_none():
    assert classify("I48", "I251", "I500", "I420") == "cardiomyopathy"
    assert classify("I48", "I251", "I500") == "heart failure" and classify("I48", "I251") == "ischemic heart disease"
    assert classify("E119", "C250", "K862", key="pmri") == "pancreatic neoplasm"
    assert classify("K760", "K746", "B182", key="lmri") == "liver cirrhosis"
    assert classify("I251", "I209", "I050", several="drop") == "ischemic heart disease"
    with pytest.raises(LeftOut, match=r"^codes of several classes$"):
        classify("I251", "I48", several="drop")


def test_active_is_who_has_a_later_diagnosis_or_visit():
    rules = read_recipe("cmri").participants
    before, after = date(2020, 7, 1), date(2020, 7, 2)
    for codes, visits, active in (
        ({"I48": before}, {2: before}, False),
        ({"I48": None}, {}, False),
        ({}, {}, False),
        ({"I48": before, "M545": after}, {2: before}, True),
        ({"I48": None}, {2: before, 3: after}, True),
    ):
        record = Record(codes=codes, visits=visits)
        if active:
            assert cohort.classify(record, rules).classname == "atrial fibrillation"
        else:
            with pytest.raises(LeftOut, match=r"^not active after 2020-07-01$"):
                cohort.classify(record, rules)


def test_an_unknown_code_makes_nobody_normal():
    rules = read_recipe("cmri").participants
    visits = {2: date(2021, 1, 1)}
    assert cohort.classify(Record({"I48": None}, visits, unknown=1), rules).classname == "atrial fibrillation"
    with pytest.raises(LeftOut, match="a diagnosis that is no ICD-10 code"):
        cohort.classify(Record({"M545": None}, visits, unknown=1), rules)


def test_visits_that_show_the_class():
    people = read_recipe("cmri").participants
    by_visit = replace(people, diagnosed="by visit")
    visits = {2: date(2017, 1, 1), 3: date(2021, 1, 1)}
    for codes, instances in (
        ({"I48": date(2017, 1, 2)}, {3}),
        ({"I48": date(2017, 1, 2), "I489": date(2017, 1, 1)}, {2, 3}),
        ({"I48": date(2017, 1, 1), "I500": date(2022, 1, 1)}, set()),
        ({"I48": None}, set()),
    ):
        assert cohort.classify(Record(codes, visits), by_visit).instances == instances
        assert cohort.classify(Record(codes, visits), people).instances is None
    assert cohort.classify(Record({}, visits), by_visit) == ("normal heart", None)


def test_patterns():
    for pattern, hit, miss in (
        ("I42", "I42 I420", "I41 I4 I43"),
        ("I110", "I110 I1101", "I11 I119"),
        ("I20-I25", "I20 I209 I22 I259", "I19 I199 I26 I260 J22"),
        ("K743-K746", "K743 K746 K7460", "K74 K742 K747 K75"),
        ("I00-J", "I00 I99 J999", "H999 K00"),
    ):
        assert all(matches(code, [pattern]) for code in hit.split())
        assert not any(matches(code, [pattern]) for code in miss.split())
    assert not matches("I42", [])


# ------------------------------------------------------------------------------------------------------------- recipes


def test_recipes_name_the_fields_and_choices_that_are_documented():
    found = {}
    for key in SETS:
        images = read_recipe(key).images
        found[key] = images.field, images.slices.at, images.phases.at, images.without, images.window
        assert read_recipe(key).participants.active_after == date(2020, 7, 1)
    assert found == {
        "cmri": (20209, [0.5], [0.0], ["P"], [0.5, 99.5]),
        "lmri": (20254, [0.5], [0.0], ["P"], [0.5, 99.5]),
        "pmri": (20260, [0.5], [0.0], ["P"], [0.5, 99.5]),
    }
    for key, series in (
        ("cmri", "CINE_segmented_SAX_b12"),
        ("cmri", "CINE_segmented_SAX"),
        ("lmri", "LMS IDEAL OPTIMISED LOW FLIP 6DYN"),
        ("lmri", "LMS_IDEAL_OPTIMISED_LOW_FLIP_6DYN"),
        ("pmri", "gre_mullti_echo_10_TE_pancreas"),
    ):
        assert re.fullmatch(read_recipe(key).images.series, series)


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("several: first", "several: last", "'last' is none of first, drop"),
        ("diagnosed: ever", "diagnosed: once", "'once' is none of ever, by visit"),
        ("several:", "severl:", "severl"),
        ("field: 20209", "", "field"),
        ("[I42, I43]", "[I42, I4.3]", "'I4.3' is no ICD-10 prefix"),
        ("[I42, I43]", "[I42, 43]", "43 is no ICD-10 prefix"),
        ("2020-07-01", "July 2020", "'July 2020' is no day"),
        ("at: [0.5]", "at: [5]", "[5] is no list of places"),
        ("at: [0.5]", "at: []", "[] is no list of places"),
        ("[0.5, 99.5]", "[99.5, 0.5]", "no pair of rising percentiles"),
        (r"(_b\d+)?", r"(_b\d+", "unterminated"),
        ("cardiomyopathy:", "heart muscle disease:", "found heart muscle disease, heart failure"),
        ("images:", "images: [", "ParserError"),
        ("participants:", "people:", "participants"),
    ],
)
def test_a_recipe_that_is_none(tmp_path, old, new, said):
    path = recipe_file(tmp_path / "mine.yaml", (old, new))
    with pytest.raises(ValueError) as error:
        read_recipe("cmri", path)
    message = str(error.value)
    assert message.startswith("Expected ") and "\n" not in message and str(path) in message and said in message


# ---------------------------------------------------------------------------------------------------------- pseudonyms


def test_pseudonyms_are_the_salts(tmp_path):
    (tmp_path / "salt").write_bytes(SALT + b"\n")
    found = pseudonyms(tmp_path / "salt", tmp_path / "out")
    assert found("7000001") == alias("7000001") != found("7000002")
    (tmp_path / "other").write_bytes(b"another salt, and also a long one")
    assert pseudonyms(tmp_path / "other", tmp_path / "out")("7000001") != found("7000001")


def test_a_salt_is_made_once_for_the_users_eyes_only(tmp_path, capsys):
    path = tmp_path / "config" / "ukb.salt"
    first = pseudonyms(path, tmp_path / "out")("7000001")
    assert str(path) in capsys.readouterr().out
    assert re.fullmatch(rb"[0-9a-f]{64}\n", path.read_bytes())
    if sys.platform != "win32":
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert pseudonyms(path, tmp_path / "out")("7000001") == first and not capsys.readouterr().out
    assert pseudonyms(tmp_path / "config" / "second", tmp_path / "out")("7000001") != first


def test_salts_that_will_not_do(tmp_path):
    for inside in (tmp_path / "out" / "salt", tmp_path / "out" / "CMRI" / ".." / "salt"):
        with pytest.raises(ValueError, match="Expected the salt outside"):
            pseudonyms(inside, tmp_path / "out")
        assert not inside.exists()
    (tmp_path / "short").write_text("1234\n")
    with pytest.raises(ValueError, match=f"at least 16 characters in {tmp_path / 'short'}, but found 4"):
        pseudonyms(tmp_path / "short", tmp_path / "out")


# ----------------------------------------------------------------------------------------------------------- the split


@settings(max_examples=60, deadline=None)
@given(st.sets(st.text("0123456789abcdef", min_size=16, max_size=16), max_size=60), st.randoms(use_true_random=False))
def test_shares_of_a_split_whatever_the_order(participants, chance):
    def divided(order):
        parts = split([Visit(name, 2, "normal heart", [f"{name}.png"]) for name in order], ["normal heart"])
        return {part: [item.path for item in items] for part, items in parts.items()}

    parts = divided(participants)
    paths = [f"normal_heart/{name}.png" for name in participants]
    assert sorted(path for some in parts.values() for path in some) == sorted(paths)
    for part, share in (("train", 0.5), ("val", 0.2), ("test", 0.3)):
        assert abs(len(parts[part]) - share * len(participants)) <= 1
    shuffled = list(participants)
    chance.shuffle(shuffled)
    assert divided(shuffled) == parts


# ---------------------------------------------------------------------------------------------------- the whole command


@pytest.fixture(scope="module")
def bulk(tmp_path_factory) -> Path:
    """Zips of twenty participants, 7000000 to 7000019."""
    folder = tmp_path_factory.mktemp("bulk")
    for i in range(20):
        zipped(folder / f"70000{i:02}_20209_2_0.zip", heart(roll=i))
    return folder


class Biobank:
    """A folder of zips and a table for four participants of each heart class, and a command line for them."""

    def __init__(self, root: Path, bulk: Path, capsys):
        self.root, self.capsys = root, capsys
        self.folder = root / "out" / "CMRI"
        shutil.copytree(bulk, root / "bulk")
        self.people = {f"70000{i:02}": name for i, name in enumerate(list(CODES) * 4)}
        self.rows = {eid: [eid, "", CODES[name], "", "", "2021-01-01"] for eid, name in self.people.items()}
        self.header = WIDE
        recipe_file(root / "recipe.yaml")
        (root / "salt").write_bytes(SALT)

    def add(self, eid: str, visit: str = "2_0", folder: str = "", **tags) -> Path:
        return zipped(self.root / "bulk" / folder / f"{eid}_20209_{visit}.zip", heart(**tags))

    def run(self, *more: str, status: int = 0) -> str:
        """What the command says; no word of it may be of a participant."""
        table(self.root / "table.csv", self.header, *self.rows.values())
        paths = {"bulk": "bulk", "phenotypes": "table.csv", "out": "out", "salt": "salt", "recipe": "recipe.yaml"}
        flags = [word for flag, path in paths.items() for word in (f"--{flag}", str(self.root / path))]
        assert main(["prepare", "cmri", *flags, *more]) == status
        printed = self.capsys.readouterr()
        assert not re.search(r"70000\d\d|Naam|Geheim|1950", printed.out + printed.err)
        return re.sub(" +", " ", printed.err if status else printed.out)

    @property
    def split(self) -> dict[str, list]:
        return json.loads((self.folder / "split_CMRI.json").read_text())

    def images(self) -> list[str]:
        return sorted(path.relative_to(self.folder / "CMRI").as_posix() for path in self.folder.glob("CMRI/*/*"))


@pytest.fixture
def biobank(tmp_path, bulk, capsys) -> Biobank:
    return Biobank(tmp_path, bulk, capsys)


def test_a_data_set_is_made_and_read(biobank):
    told = biobank.run()
    assert "cardiomyopathy 4 4 2 1 1\n" in told + "\n" and "left out" not in told
    wanted = {f"{name.replace(' ', '_')}/{alias(eid)}_2_s01_p00.png" for eid, name in biobank.people.items()}
    assert set(biobank.images()) == wanted
    data = load(biobank.root / "out", CMRI)
    assert [len(part) for part in (data.train_x, data.val, data.test)] == [10, 5, 5]
    assert data.classnames == list(CODES)
    for part in (data.train_x, data.val, data.test):
        assert len({item.label for item in part}) == 5
        for item in part:
            assert item.classname == Path(item.impath).parent.name.replace("_", " ") == list(CODES)[item.label]
    for i, (eid, name) in enumerate(biobank.people.items()):
        with Image.open(biobank.folder / "CMRI" / name.replace(" ", "_") / f"{alias(eid)}_2_s01_p00.png") as png:
            assert png.mode == "L" and png.format == "PNG" and not png.info
            np.testing.assert_array_equal(np.asarray(png), grey(10 + i))
    # The order by pseudonym decides, within each class.
    for name in CODES:
        ordered = sorted(alias(eid) for eid, held in biobank.people.items() if held == name)
        told = [
            [p[0].split("/")[1][:16] for p in biobank.split[part] if p[2] == name] for part in ("train", "val", "test")
        ]
        assert told == [ordered[:2], ordered[2:3], ordered[3:]]


def test_nothing_of_a_participant_is_left_in_names_or_files(biobank):
    biobank.add("7000001", visit="3_0", PixelData=b"\1")
    biobank.run()
    files = [path for path in (biobank.root / "out").rglob("*") if path.is_file()]
    assert len(files) == 20 + 3  # images, split, journal, lock
    for path in files:
        content = path.read_bytes()
        for secret in (*biobank.people, "Naam", "Geheim", "19500102", "2021-01-01", "2016", SALT.decode()):
            assert secret.encode() not in content and secret not in str(path.relative_to(biobank.root))


def test_visits_of_one_participant_are_in_one_part(biobank):
    for i, eid in enumerate(biobank.people):
        biobank.add(eid, visit="3_0", folder="more/deep", roll=100 + i)
    assert "normal heart 8 4 2 1 1\n" in biobank.run()
    where = {part: {path.split("/")[1][:16] for path, _, _ in items} for part, items in biobank.split.items()}
    assert Counter(path.split("_")[-3] for items in biobank.split.values() for path, _, _ in items) == {
        "2": 20,
        "3": 20,
    }
    assert [len(where[part]) for part in ("train", "val", "test")] == [10, 5, 5]
    assert not (where["train"] & where["val"] or where["train"] & where["test"] or where["val"] & where["test"])


def test_what_is_left_out_is_counted(biobank):
    rows, bulk = biobank.rows, biobank.root / "bulk"
    for eid in ("7000050", "7000051", "7000052", "7000053", "7000054", "7000055", "7000056"):
        biobank.add(eid)
    rows["7000050"] = ["7000050", "", "I48", "", "", "2020-07-01", "", "", "2008-01-01", "2016-01-01"]
    rows["7000051"] = ["7000051", "", "I340", "", "", "2021-01-01"]
    rows["7000052"] = ["7000052", "", "Chapter IX", "M545", "", "2021-01-01", "2021-01-01"]
    rows["7000053"] = ["7000053", "", "I48", "", "", "2021-01-01"]  # withdraws
    rows["7000054"] = ["7000054", "", "", "", "", "", "", "", "", "2021-01-01"]  # healthy and active
    rows["7000055"] = ["7000055", "", "I48", "", "", "2021-01-01"]  # 7000056 is in no row
    (bulk / "7000055_20209_2_0.zip").write_bytes(b"PK, but no zip")
    zipped(bulk / "7000002_20209_3_0.zip", {"manifest.csv": b"no images\n"})
    zipped(bulk / "7000002_20208_2_0.zip", {})
    zipped(bulk / "notes.zip", {})
    biobank.add("7000003", visit="2_1", roll=99)
    biobank.add("7000003", folder="again", roll=99)
    (biobank.root / "gone.txt").write_text("7000053\n7000099\n")
    told = biobank.run("--withdrawn", str(biobank.root / "gone.txt"))
    assert "normal heart 5 5 2 2 1\n" in told and "atrial fibrillation 4 4 2 1 1\n" in told
    for line in (
        "1 participants not active after 2020-07-01",
        "1 participants neither a class's codes nor normal",
        "1 participants no class's codes, but a diagnosis that is no ICD-10 code",
        "1 participants not in the table of participants",
        "1 participants withdrew",
        "2 zips a second zip of the same visit",
        "1 zips a zip, or DICOM files in it, that cannot be read",
        "1 zips a zip without the series",
        "1 zips a zip of another field than 20209",
        "1 zips a zip of another name than <eid>_<field>_<instance>_<array>.zip",
    ):
        assert f"\n {line}" in told, line
    assert len(told.strip().split("---\n")[-1].splitlines()) == 10
    assert len(biobank.images()) == 21
    (first,) = biobank.folder.glob(f"CMRI/*/{alias('7000003')}_*")
    np.testing.assert_array_equal(np.asarray(Image.open(first)), grey(10 + 3))  # array 0


def test_participants_of_several_rows_and_a_second_set(biobank):
    """A row without news takes nothing away; the liver's recipe reads its own field and series."""
    eid = next(eid for eid, name in biobank.people.items() if name == "heart failure")
    biobank.rows["again"] = [eid, "", "I489", "", "", "2021-01-01"]
    assert "heart failure 4 4" in biobank.run()
    codes = dict(zip(LMRI.classes, ["M545", "K760", "K746", "B181", "C220"], strict=True))
    biobank.rows = {}
    for i, name in enumerate(list(codes) * 2):
        eid = f"70000{i:02}"
        biobank.rows[eid] = [eid, "", codes[name], "", "", "2021-01-01"]
        files = {}
        for echo in range(3):
            own = {
                "SeriesDescription": "LMS IDEAL OPTIMISED LOW FLIP 6DYN",
                "EchoTime": 9 - echo,
                "InstanceNumber": echo,
            }
            files[str(echo)] = image(roll=3 * i + echo, **own)
        zipped(biobank.root / "bulk" / f"{eid}_20254_2_0.zip", files)
    table(biobank.root / "liver.csv", WIDE, *biobank.rows.values())
    line = f"prepare lmri --bulk {biobank.root}/bulk --phenotypes {biobank.root}/liver.csv --out {biobank.root}/out"
    assert main([*line.split(), "--salt", str(biobank.root / "salt")]) == 0
    data = load(biobank.root / "out", LMRI)
    assert [len(part) for part in (data.train_x, data.val, data.test)] == [5, 0, 5]
    path = biobank.root / "out" / "LMRI" / "LMRI" / "hepatitis" / f"{alias('7000003')}_2_s00_p00.png"
    np.testing.assert_array_equal(np.asarray(Image.open(path)), grey(3 * 3 + 2))
    assert len(load(biobank.root / "out", CMRI).train_x) == 10


def test_a_finished_visit_is_not_read_again(biobank, monkeypatch):
    told = biobank.run()
    split = biobank.split
    monkeypatch.setattr(prepare, "read_images", None)
    assert biobank.run() == told and biobank.split == split
    for path in (biobank.root / "bulk").iterdir():  # whoever brings zips in portions can delete them
        path.unlink()
    assert biobank.run() == told and biobank.split == split


def test_a_run_that_is_stopped_can_be_used_and_goes_on(biobank, monkeypatch):
    read_images, seen = dicom.read_images, []

    def until(count):
        def reader(path, recipe):
            if len(seen) >= count:
                raise KeyboardInterrupt
            seen.append(path.name)
            return read_images(path, recipe)

        return reader

    monkeypatch.setattr(prepare, "read_images", until(7))
    assert "goes on from here" in biobank.run(status=130)
    assert sum(map(len, biobank.split.values())) == len(biobank.images()) == 7
    with (biobank.folder / "prepared.jsonl").open("a") as file:
        file.write('{"participant": "beef')  # as if killed while writing
    lost = biobank.folder / "CMRI" / biobank.split["train"][0][0]
    lost.unlink()
    monkeypatch.setattr(prepare, "read_images", until(99))
    biobank.run()
    assert len(seen) == 7 + 13 + 1 and len(set(seen)) == 20 and lost.is_file()
    whole = biobank.split
    assert [len(part) for part in whole.values()] == [10, 5, 5]
    for path in biobank.folder.glob("*.json*"):
        path.unlink()
    biobank.run()
    assert biobank.split == whole


def test_who_withdraws_is_deleted_and_who_is_ill_moves(biobank, monkeypatch):
    biobank.run()
    monkeypatch.setattr(prepare, "read_images", None)
    (gone, first), (ill, second) = list(biobank.people.items())[:2]
    assert (first, second) == ("normal heart", "atrial fibrillation")
    (biobank.folder / "CMRI" / "normal_heart" / f".{alias(gone)}_2_s01_p00.png.77.tmp").write_bytes(b"of a killed run")
    biobank.rows[ill][2] = "I420"
    inactive = next(eid for eid, name in biobank.people.items() if name == "heart failure")
    biobank.rows[inactive][5] = "2019-01-01"
    (biobank.root / "gone.txt").write_text(gone)
    told = biobank.run("--withdrawn", str(biobank.root / "gone.txt"))
    assert "normal heart 3 3 2 0 1\n" in told and "atrial fibrillation 3 3 2 0 1\n" in told
    assert "heart failure 3 3" in told and "cardiomyopathy 5 5" in told
    held = {path.split("/")[1][:16]: path.split("/")[0] for path in biobank.images()}
    assert len(held) == len(biobank.images()) == 19
    assert alias(gone) not in " ".join(biobank.images()) and held[alias(ill)] == "cardiomyopathy"
    assert held[alias(inactive)] == "heart_failure"  # is kept, but in no part of the split
    listed = {path.split("/")[1][:16] for items in biobank.split.values() for path, _, _ in items}
    assert listed == held.keys() - {alias(inactive)}
    assert alias(gone) not in (biobank.folder / "prepared.jsonl").read_text()
    biobank.rows[inactive][5] = "2021-01-01"
    assert "heart failure 4 4" in biobank.run("--withdrawn", str(biobank.root / "gone.txt"))
    assert len(load(biobank.root / "out", CMRI).train_x + load(biobank.root / "out", CMRI).test) == 10 + 5


def test_images_of_before_the_diagnosis(biobank):
    recipe_file(biobank.root / "recipe.yaml", ("diagnosed: ever", "diagnosed: by visit"))
    header = {"cardiomyopathy": "2015-01-01", "heart failure": "2019-01-01"}
    for i, (eid, name) in enumerate(biobank.people.items()):
        biobank.add(eid, visit="3_0", roll=50 + i)
        day = header.get(name, "2021-01-01")
        biobank.rows[eid] = [eid, "", CODES[name], "", "", day, "", "", "2020-12-31", "2016-01-01"]
    biobank.header = [*WIDE[:8], "53-3.0", "53-2.0"]
    told = biobank.run()
    assert "normal heart 8 4" in told and "cardiomyopathy 8 4" in told and "heart failure 4 4" in told
    assert "atrial fibrillation 0 0" in told and "ischemic heart disease 0 0" in told
    assert "20 zips a visit before the diagnosis, or without a date" in told
    assert all("_3_" in path for items in biobank.split.values() for path, _, name in items if name == "heart failure")


def test_a_folder_of_other_images_is_left_alone(biobank):
    biobank.run()
    split, images = biobank.split, biobank.images()
    (biobank.root / "salt").write_bytes(b"another salt, and also a long one")
    assert f"Expected the salt that the images in {biobank.folder} were made with" in biobank.run(status=1)
    (biobank.root / "salt").write_bytes(SALT)
    recipe_file(biobank.root / "recipe.yaml", ("at: [0.5]", "at: [0.4, 0.6]"))
    assert f"Expected the choice of images that the images in {biobank.folder}" in biobank.run(status=1)
    recipe_file(biobank.root / "recipe.yaml")
    (biobank.folder / "prepared.jsonl").unlink()
    assert f"Expected no split at {biobank.folder / 'split_CMRI.json'}" in biobank.run(status=1)
    assert biobank.split == split and biobank.images() == images


def test_errors_are_one_sentence(biobank, monkeypatch):
    for more, said in (
        (["--bulk", str(biobank.root / "nowhere")], f"folder of zips at {biobank.root / 'nowhere'}"),
        (["--phenotypes", str(biobank.root / "no.csv")], f"table of participants at {biobank.root / 'no.csv'}"),
        (["--withdrawn", str(biobank.root / "no.txt")], f"withdrawn participants at {biobank.root / 'no.txt'}"),
        (["--recipe", str(biobank.root / "no.yaml")], f"a recipe at {biobank.root / 'no.yaml'}"),
        (["--bulk", str(FOLDER)], f"zips named <eid>_20209_<instance>_<array>.zip below {FOLDER}, but found none"),
    ):
        text = biobank.run(*more, status=1)
        assert text.startswith("error: Expected ") and text.count("\n") == 1 and said in text
    with FileLock(biobank.folder / ".lock"):
        assert "another process is working" in biobank.run(status=1)
    recipe_file(biobank.root / "recipe.yaml", ("at: [0.5]", "at: [0.0]"))  # no image is there that forbids it
    assert "normal heart 4 4" in biobank.run()
    monkeypatch.setitem(sys.modules, "pydicom", None)
    monkeypatch.delitem(sys.modules, "datasets.ukb.prepare")
    monkeypatch.delitem(sys.modules, "datasets.ukb.dicom")
    assert biobank.run(status=1) == (
        "error: Expected the package pydicom 3.0 or later, which reads DICOM files, but it is not installed: "
        'pip install -e ".[dicom]".\n'
    )


def test_pixels_that_cannot_be_decoded_are_told_once(biobank, no_decoder):
    for eid in list(biobank.people)[:3]:
        zipped(biobank.root / "bulk" / f"{eid}_20209_2_0.zip", compressed("MR_small_jpeg_ls_lossless.dcm"))
    told = biobank.run()
    assert told.endswith(f"\n 3 zips {no_decoder}\n") and told.count("pylibjpeg") == 1
    assert len(biobank.images()) == 17


def test_processes_make_the_same_images(biobank):
    for eid in list(biobank.people)[6:]:
        (biobank.root / "bulk" / f"{eid}_20209_2_0.zip").unlink()
    biobank.run("--workers", "2")
    several = {path: (biobank.folder / "CMRI" / path).read_bytes() for path in biobank.images()}
    split = biobank.split
    for path in (*biobank.folder.glob("CMRI/*/*"), *biobank.folder.glob("*.json*")):
        path.unlink()
    biobank.run()
    assert len(several) == 6 and split == biobank.split
    assert several == {path: (biobank.folder / "CMRI" / path).read_bytes() for path in biobank.images()}
