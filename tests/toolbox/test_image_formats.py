"""Each kind of picture in the table of DATASETS.md, written by a program that is not the reader's own."""

import re
import sys
import zlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from PIL import Image

from dassl.errors import UserError
from dassl.images import SUFFIXES, read_image
from dassl.images.pillow import FORMATS
from tests.toolbox.pictures import EXAMPLES, chunk, png, rgb, seen, stretched

tifffile = pytest.importorskip("tifffile")
cv2 = pytest.importorskip("cv2")

RANDOM = np.random.default_rng(0)
GREY, COLOUR = (RANDOM.integers(100, 4096, shape).astype(np.uint16) for shape in ((20, 30), (20, 30, 3)))
EIGHT = (COLOUR >> 4).astype(np.uint8)
DEPTHS = ("u1", "i1", "u2", "i2", "f2", "u4", "i4", "f4", "u8", "i8", "f8")


def values_of(kind: str) -> np.ndarray:
    """Return values of a type, also negative ones and ones in the upper half of its range."""
    dtype = np.dtype(kind)
    if dtype.kind == "f":
        return RANDOM.normal(3, 20, (20, 30)).astype(dtype)
    limits = np.iinfo(dtype)
    return RANDOM.integers(limits.min // 2, limits.max, (20, 30), dtype, endpoint=True)


@pytest.mark.parametrize("kind", DEPTHS)
@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("packed", [None, "zlib"])
@pytest.mark.parametrize("photometric", ["minisblack", "miniswhite"])
def test_grey_tiff(tmp_path, kind, order, packed, photometric):
    values = values_of(kind)
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, values, byteorder=order, compression=packed, photometric=photometric)
    expected = values if kind == "u1" else stretched(values)
    expected = 255 - expected if photometric == "miniswhite" else expected
    np.testing.assert_array_equal(seen(path), rgb(expected))


@pytest.mark.parametrize("kind", ["u1", "u2"])
def test_grey_tiff_in_packbits(tmp_path, kind):
    values, path = values_of(kind), tmp_path / "a.tif"
    assert cv2.imwrite(str(path), values, [cv2.IMWRITE_TIFF_COMPRESSION, 32773])
    assert tifffile.TiffFile(path).pages[0].compression == 32773
    np.testing.assert_array_equal(seen(path), rgb(values if kind == "u1" else stretched(values)))


@pytest.mark.parametrize("values", [COLOUR, EIGHT, COLOUR.astype("f4"), COLOUR.astype("f8")], ids=str)
@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("packed", [None, "zlib"])
@pytest.mark.parametrize("planes", ["contig", "separate"])
def test_colour_tiff(tmp_path, values, order, packed, planes):
    written = values if planes == "contig" else np.moveaxis(values, 2, 0)
    path = tmp_path / "a.tif"
    tifffile.imwrite(
        path, written, byteorder=order, compression=packed, photometric="rgb", planarconfig=planes, rowsperstrip=7
    )
    np.testing.assert_array_equal(seen(path), values if values is EIGHT else stretched(values))


@pytest.mark.parametrize("values", [GREY, COLOUR], ids=["grey", "colour"])
@pytest.mark.parametrize("big", [False, True])
def test_tiles_and_bigtiff(tmp_path, values, big):
    photometric = "rgb" if values.ndim == 3 else "minisblack"
    tifffile.imwrite(
        tmp_path / "a.tif", values, tile=(16, 16), bigtiff=big, photometric=photometric, compression="zlib"
    )
    np.testing.assert_array_equal(seen(tmp_path / "a.tif"), rgb(stretched(values)))


@pytest.mark.parametrize("suffix", ["png", "tif", "jp2"])
@pytest.mark.parametrize("values", [GREY, COLOUR, EIGHT, EIGHT[..., 0]], ids=["grey16", "colour16", "colour8", "grey8"])
def test_pictures_that_opencv_wrote(tmp_path, suffix, values):
    """OpenCV compresses TIFFs by LZW with a predictor."""
    values = np.tile(values, (4, 4, 1)[: values.ndim])  # JPEG 2000 does not take less
    written = values[..., ::-1] if values.ndim == 3 else values
    path = tmp_path / f"a.{suffix}"
    assert cv2.imwrite(str(path), written, [cv2.IMWRITE_TIFF_COMPRESSION, 5] if suffix == "tif" else [])
    values = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)  # JPEG 2000 has changed a little
    values = values[..., ::-1] if values.ndim == 3 else values
    if suffix == "jp2" and values.ndim == 3 and values.dtype == np.uint16:
        with pytest.raises(UserError, match="colours of 16 bits"):
            read_image(path)
    else:
        np.testing.assert_array_equal(seen(path), rgb(values if values.dtype == np.uint8 else stretched(values)))


@pytest.mark.parametrize("suffix", ["pgm", "ppm", "pnm"])
@pytest.mark.parametrize("plain", [False, True])
@pytest.mark.parametrize("deep", [False, True])
def test_pnm(tmp_path, suffix, plain, deep):
    values = {"pgm": GREY}.get(suffix, COLOUR) if deep else {"pgm": EIGHT[..., 0]}.get(suffix, EIGHT)
    path = tmp_path / f"a.{suffix}"
    written = values[..., ::-1] if values.ndim == 3 else values
    assert cv2.imwrite(str(path), written, [cv2.IMWRITE_PXM_BINARY, int(not plain)])
    np.testing.assert_array_equal(seen(path), rgb(stretched(values) if deep else values))


def test_pnm_with_comments_names_its_highest_value(tmp_path):
    path = tmp_path / "a.pgm"
    path.write_text("P2\n# by hand\n3 # width\n2\n4095\n0 4095 7\n9 1000 3000\n")
    np.testing.assert_array_equal(seen(path, grey_range="type")[0, :, 0], [0, 255, 0])
    path.write_text("P2\n3 2\n1000\n0 4095 7\n9 1000 3000\n")
    with pytest.raises(UserError, match="values above 1000"):
        read_image(path)


@pytest.mark.parametrize("bits", [8, 10, 12, 16])
@pytest.mark.parametrize("signed", [False, True])
@pytest.mark.parametrize("box", [0, 1])
def test_jpeg_2000_keeps_its_units(tmp_path, bits, signed, box):
    openjpeg = pytest.importorskip("openjpeg.utils")
    values = RANDOM.integers(0, 2 ** (bits - 1), (64, 64)).astype(f"{'i' if signed else 'u'}{1 if bits == 8 else 2}")
    values = values - 20 if signed else values
    path = tmp_path / "a.jp2"
    path.write_bytes(openjpeg.encode_array(values, bits_stored=bits, codec_format=box))
    if bits == 8:
        np.testing.assert_array_equal(seen(path)[..., 0], values.astype(int) + 128 * signed)
    else:
        np.testing.assert_array_equal(seen(path)[..., 0], stretched(values))
        np.testing.assert_array_equal(seen(path, grey_range="5:300")[..., 0], stretched(values, 5, 300))


# --------------------------------------------------------------------------------------------------------- transparency


def on_black(values: np.ndarray, alpha: np.ndarray) -> np.ndarray:
    """Return values stretched by the range of the visible ones, and laid on black; alpha is from 0 to 1."""
    some = values[alpha > 0]
    alpha = alpha if values.ndim == 2 else alpha[..., None]
    return np.rint(stretched(values, some.min(), some.max()) * alpha)


ALPHA = RANDOM.integers(0, 65536, (20, 30)).astype(np.uint16)
ALPHA[0], ALPHA[1] = 0, 65535


@pytest.mark.parametrize("values", [GREY, COLOUR], ids=["grey", "colour"])
def test_deep_alpha_in_png(tmp_path, values):
    hidden = values.copy()
    hidden[0] = 65535  # under alpha 0, where it neither shows nor counts
    path = png(tmp_path / "a.png", np.dstack([hidden, ALPHA]), 4 if values.ndim == 2 else 6)
    np.testing.assert_allclose(seen(path), rgb(on_black(hidden, ALPHA / 65535)), atol=1)


@pytest.mark.parametrize("values", [GREY, COLOUR, COLOUR.astype("f4")], ids=["grey", "colour", "float"])
@pytest.mark.parametrize("extra", ["unassalpha", "assocalpha"])
def test_deep_alpha_in_tiff(tmp_path, values, extra):
    whole = 1.0 if values.dtype.kind == "f" else 65535
    alpha = (np.where(np.arange(600).reshape(20, 30) % 3, 0.5, 1) * whole).astype(values.dtype)
    shown = (
        values
        if extra == "unassalpha"
        else (values * (alpha / whole)[..., None] if values.ndim == 3 else values * (alpha / whole))
    )
    path = tmp_path / "a.tif"
    photometric = "rgb" if values.ndim == 3 else "minisblack"
    tifffile.imwrite(
        path,
        np.dstack([shown.astype(values.dtype), alpha]),
        photometric=photometric,
        extrasamples=[extra],
        planarconfig="contig",
    )
    np.testing.assert_allclose(seen(path), rgb(on_black(values, alpha / whole)), atol=1)


@pytest.mark.parametrize("mode", ["RGBA", "LA", "PA"])
@pytest.mark.parametrize("suffix", ["png", "tif", "webp"])
def test_eight_bit_alpha_lies_on_black(tmp_path, mode, suffix):
    alpha = (ALPHA >> 8).astype(np.uint8)
    image = (
        Image.fromarray(EIGHT).convert(mode.replace("A", "") or "L").convert(mode)
        if mode != "PA"
        else Image.fromarray(EIGHT).convert("P").convert("PA")
    )
    image.putalpha(Image.fromarray(alpha))
    if (mode, suffix) in {("PA", "png"), ("PA", "webp"), ("LA", "webp")}:
        image = image.convert("RGBA")
    path = tmp_path / f"a.{suffix}"
    image.save(path, **({"lossless": True, "exact": True} if suffix == "webp" else {}))
    expected = np.asarray(image.convert("RGBA"))[..., :3] * (alpha / 255)[..., None]
    assert np.abs(seen(path) - expected).max() <= 0.5 + 1e-9


@pytest.mark.parametrize("depth", [1, 2, 4, 8, 16])
def test_a_transparent_grey_of_a_png(tmp_path, depth):
    values = RANDOM.integers(0, 2**depth, (9, 16))
    values[0, 0] = hidden = 2**depth - 1
    path = png(tmp_path / "a.png", values, 0, depth, chunk(b"tRNS", int(hidden).to_bytes(2, "big")))
    expected = (
        values * (255 // (2**depth - 1)) if depth <= 8 else stretched(values, values.min(), np.unique(values)[-2])
    )
    found = seen(path, allow_constant=True)
    np.testing.assert_array_equal(found, rgb(np.where(values == hidden, 0, expected)))


@pytest.mark.parametrize("depth", [8, 16])
def test_a_transparent_colour_of_a_png(tmp_path, depth):
    values = (EIGHT if depth == 8 else COLOUR).copy()
    values[2:4] = hidden = (255, 1, 2)
    path = png(tmp_path / "a.png", values, 2, depth, chunk(b"tRNS", b"".join(v.to_bytes(2, "big") for v in hidden)))
    others = np.delete(values, (2, 3), axis=0)
    expected = values if depth == 8 else stretched(values, others.min(), others.max())
    expected = np.where((values == hidden).all(axis=2)[..., None], 0, expected)
    np.testing.assert_array_equal(seen(path), expected)


def test_a_palette_with_transparency(tmp_path):
    index = RANDOM.integers(0, 4, (9, 16))
    palette = np.array([[9, 8, 7], [200, 100, 50], [1, 255, 3], [60, 70, 80]], np.uint8)
    alpha = np.array([255, 128, 0, 255])
    before = chunk(b"PLTE", palette.tobytes()) + chunk(b"tRNS", bytes(alpha.tolist()))
    path = png(tmp_path / "a.png", index, 3, 8, before)
    expected = palette[index] * (alpha[index] / 255)[..., None]
    assert np.abs(seen(path) - expected).max() <= 0.5 + 1e-9


# ------------------------------------------------------------------------------------------------------- other colours


@pytest.mark.parametrize("mode", ["1", "L", "P", "RGB", "CMYK", "YCbCr", "LAB"])
@pytest.mark.parametrize(
    "suffix", sorted(SUFFIXES - {".dcm", ".dicom", ".j2k", ".pbm", ".pgm", ".pnm", ".jpeg", ".tiff"})
)
def test_other_kinds_of_colour_are_what_pillow_makes_of_them(tmp_path, mode, suffix):
    image = Image.fromarray(EIGHT)
    image = Image.frombytes("LAB", image.size, image.tobytes()) if mode == "LAB" else image.convert(mode)
    path = tmp_path / f"a{suffix.upper()}"
    try:
        image.save(path)
    except OSError:
        return  # such a file does not exist
    with Image.open(path) as file:
        np.testing.assert_array_equal(seen(path), np.asarray(file.convert("RGB")))


@pytest.mark.parametrize("bits", [1, 4, 8])
def test_inverted_grey_of_few_bits(tmp_path, bits):
    values = RANDOM.integers(0, 2**bits, (16, 24)).astype(np.uint8)
    path = tmp_path / "a.tif"
    if bits == 4:
        pytest.importorskip("imagecodecs")
    tifffile.imwrite(path, values.astype(bool) if bits == 1 else values, photometric="miniswhite", bitspersample=bits)
    np.testing.assert_array_equal(seen(path), rgb(255 - values * (255 // (2**bits - 1))))


@pytest.mark.parametrize("channels", [2, 5, 6])
@pytest.mark.parametrize("kind", ["u1", "u2", "f4"])
@pytest.mark.parametrize("photometric", ["minisblack", "rgb"])
def test_channels_that_no_one_says_how_to_see_are_named(tmp_path, channels, kind, photometric):
    if photometric == "rgb" and channels < 5:
        photometric = "minisblack"
    values = RANDOM.integers(0, 100, (20, 30, channels)).astype(kind)
    tifffile.imwrite(tmp_path / "a.tif", values, photometric=photometric, planarconfig="contig")
    with pytest.raises(
        UserError, match=rf"a\.tif is not \(it has {channels} channels\): save those that should be seen"
    ):
        read_image(tmp_path / "a.tif")


def test_a_tiff_that_needs_more_packages_names_them(tmp_path, monkeypatch):
    tifffile.imwrite(tmp_path / "a.tif", values_of("f8"))
    monkeypatch.setitem(sys.modules, "tifffile", None)
    with pytest.raises(
        UserError, match=r"a kind of TIFF that Pillow does not read.*: pip install tifffile, or convert"
    ):
        read_image(tmp_path / "a.tif")


@pytest.mark.parametrize("table", ["DECOMPRESSORS", "UNPREDICTORS"])
def test_a_tiff_whose_compression_needs_more_packages_names_them(tmp_path, monkeypatch, table):
    tifffile.imwrite(tmp_path / "a.tif", values_of("f8"), compression="zlib")
    monkeypatch.setattr(tifffile.TIFF, table, {})
    with pytest.raises(UserError, match=r"compressed as ADOBE_DEFLATE\): pip install imagecodecs, or convert"):
        read_image(tmp_path / "a.tif")


@pytest.mark.parametrize("kind", [b"zTXt", b"tEXt", b"iTXt", b"iCCP"])
def test_what_lies_beside_the_pixels_of_a_png_may_be_large(tmp_path, kind):
    text = zlib.compress(b"a" * 3_000_000) if kind in (b"zTXt", b"iCCP") else b"a" * 3_000_000
    path = png(tmp_path / "a.png", EIGHT, 2, 8, chunk(kind, b"x\0\0" + text))
    np.testing.assert_array_equal(seen(path), EIGHT)
    path = png(tmp_path / "a.png", COLOUR, 2, 16, chunk(kind, b"x\0\0" + text))
    np.testing.assert_array_equal(seen(path), stretched(COLOUR))


# --------------------------------------------------------------------------------------------------- any picture at all

SHAPES = st.tuples(st.integers(1, 17), st.integers(2, 17))
QUICK = settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck))


@QUICK
@given(
    data=st.data(), kind=st.sampled_from(DEPTHS), order=st.sampled_from("<>"), packed=st.sampled_from([None, "zlib"])
)
def test_any_grey_tiff_is_seen_as_tifffile_reads_it(tmp_path_factory, data, kind, order, packed):
    some = {"allow_nan": False, "allow_infinity": False} if kind[0] == "f" else {}
    values = data.draw(arrays.arrays(kind, SHAPES, elements=arrays.from_dtype(np.dtype(kind), **some)))
    path = tmp_path_factory.getbasetemp() / "any.tif"
    tifffile.imwrite(path, values, byteorder=order, compression=packed, photometric="minisblack")
    read = tifffile.imread(path)
    check(path, read if kind == "u1" else None, read)


@QUICK
@given(
    data=st.data(),
    kind=st.sampled_from(["u1", "u2"]),
    suffix=st.sampled_from(["png", "tif", "ppm"]),
    channels=st.sampled_from([1, 3, 4]),
)
def test_any_picture_is_seen_as_opencv_reads_it(tmp_path_factory, data, kind, suffix, channels):
    height, width = data.draw(SHAPES)
    channels = 3 if suffix == "ppm" else channels
    values = data.draw(arrays.arrays(kind, (height, width, channels), elements=arrays.from_dtype(np.dtype(kind))))
    path = tmp_path_factory.getbasetemp() / f"any.{suffix}"
    assert cv2.imwrite(str(path), values[..., 0] if channels == 1 else values)
    read = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    read = read if read.ndim == 2 else read[..., [2, 1, 0, 3][: read.shape[2]]]
    alpha = read[..., 3] / np.iinfo(read.dtype).max if channels == 4 else None
    colours = read[..., :3] if read.ndim == 3 else read
    check(path, colours if kind == "u1" else None, colours, alpha)


def check(path: Path, exact: np.ndarray | None, values: np.ndarray, alpha: np.ndarray | None = None) -> None:
    """Check that a file of 8 bits is seen as it is, and a deeper one stretched by its visible values."""
    found = seen(path, allow_constant=True) if alpha is None or alpha.any() else None
    if found is None:
        return
    if exact is None:
        some = values.astype(float) if alpha is None else values[alpha > 0].astype(float)
        if some.max() == some.min():
            assert alpha is not None or not found.any()
            return
        scale = some.max() / 2 - some.min() / 2  # the difference of the largest numbers is none
        exact = np.clip((values.astype(float) / 2 - some.min() / 2) / scale * 255, 0, 255)
    else:
        exact = exact.astype(float)
    if alpha is not None:
        exact = exact * (alpha if exact.ndim == 2 else alpha[..., None])
    assert np.abs(found - rgb(exact)).max() <= (0.5 if alpha is None else 1.01) + 1e-4


# ------------------------------------------------------------------------------------------------------------ the table


def test_the_table_in_the_documentation_names_what_is_read():
    text = (Path(__file__).parents[2] / "DATASETS.md").read_text(encoding="utf-8")
    table = text.partition("## What a model sees")[2].partition("\n## ")[0]
    names = {"JPEG2000": "JPEG 2000", "PPM": "PNM", "WEBP": "WebP"}
    for name in FORMATS:
        assert names.get(name, name) in table
    listed = set(re.findall(r"`(\.[a-z0-9]+)`", table))
    assert listed == SUFFIXES
    for key in ("INPUT.GREY_RANGE", "INPUT.FRAME", "INPUT.ALLOW_CONSTANT"):
        assert key in table
