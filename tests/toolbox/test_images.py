"""The reader of images: settings, errors, and what it leaves as it is."""

import pickle
import re
import zlib

import numpy as np
import pytest
from PIL import Image

import clip.views
import dassl.images
import dassl.utils
from dassl.config import get_cfg_default
from dassl.errors import UserError
from dassl.images import SUFFIXES, Reading, is_dicom, notes_of, pixel_digest, read_image, reading_of
from tests.toolbox.pictures import seen, stretched

GREY = np.array([[0, 51, 102], [153, 204, 255]], np.uint8)


def test_there_is_one_reader():
    assert clip.views.read_image is dassl.utils.read_image is dassl.utils.images.read_image is dassl.images.read_image


@pytest.mark.parametrize("suffix", ["png", "tif"])
def test_sixteen_bits_are_stretched_to_eight(tmp_path, suffix):
    path = tmp_path / f"deep.{suffix}"
    Image.fromarray(1000 + 16 * GREY.astype(np.uint16)).save(path)
    assert Image.open(path).mode.startswith("I")
    np.testing.assert_array_equal(np.asarray(read_image(path)), np.repeat(GREY[..., None], 3, axis=2))


def test_floating_point_is_stretched(tmp_path):
    Image.fromarray(GREY.astype(np.float32) / 255 - 0.5).save(tmp_path / "float.tif")
    np.testing.assert_array_equal(np.asarray(read_image(tmp_path / "float.tif"))[..., 1], GREY)


def test_every_sixteen_bit_value_is_rounded_as_in_double_precision(tmp_path):
    every = np.arange(65536, dtype=np.uint16).reshape(256, 256)
    for low, high in ((0, 65535), (3, 700), (1000, 1001)):
        Image.fromarray(every.clip(low, high).astype(np.uint16)).save(tmp_path / "all.png")
        np.testing.assert_array_equal(seen(tmp_path / "all.png")[..., 0], stretched(every, low, high))


CONSTANT = {
    "deep.png": np.full((2, 3), 700, np.uint16),
    "grey.png": np.full((2, 3), 7, np.uint8),
    "colour.png": np.full((2, 3, 3), (1, 2, 3), np.uint8),
    "float.tif": np.full((2, 3), 0.5, np.float32),
    "clear.png": np.dstack([GREY, GREY, GREY, 0 * GREY]),  # all of it transparent
    "nan.tif": np.full((2, 3), np.nan, np.float32),
}


@pytest.mark.parametrize("name", CONSTANT)
def test_a_picture_with_one_value_everywhere_is_named(tmp_path, name):
    path = tmp_path / name
    Image.fromarray(CONSTANT[name]).save(path)
    with pytest.raises(
        UserError, match=rf"^Expected a readable image, but .*{re.escape(name)} is not \(.+\): "
    ) as error:
        read_image(path)
    assert "INPUT.ALLOW_CONSTANT True" in str(error.value) or name == "nan.tif"


def test_a_picture_with_one_value_everywhere_may_be_allowed_and_a_single_pixel_always_is(tmp_path):
    for name in ("deep.png", "grey.png", "float.tif"):
        Image.fromarray(CONSTANT[name]).save(tmp_path / name)
    assert (seen(tmp_path / "grey.png", allow_constant=True) == 7).all()
    assert not seen(tmp_path / "deep.png", allow_constant=True).any()
    assert not seen(tmp_path / "float.tif", allow_constant=True).any()
    Image.fromarray(GREY[:1, 1:2]).save(tmp_path / "pixel.png")
    assert seen(tmp_path / "pixel.png").tolist() == [[[51] * 3]]


def test_equal_pictures_in_different_files_have_one_digest(tmp_path):
    for name, pixels in (("a.png", GREY), ("b.tif", GREY), ("c.png", GREY.reshape(3, 2)), ("d.png", 255 - GREY)):
        Image.fromarray(pixels).save(tmp_path / name)
    a, b, c, d = (pixel_digest(read_image(tmp_path / name)) for name in ("a.png", "b.tif", "c.png", "d.png"))
    assert a == b and len({a, c, d}) == 3


def test_eight_bits_stay_what_they_are(tmp_path):
    colour = np.random.default_rng(0).integers(40, 90, (4, 5, 3), dtype=np.uint8)
    Image.fromarray(colour).save(tmp_path / "colour.PNG")
    for grey_range in ("image", "type", "percentile:10", "50:60"):
        np.testing.assert_array_equal(seen(tmp_path / "colour.PNG", grey_range=grey_range), colour)


def test_grey_becomes_rgb(tmp_path):
    Image.fromarray(GREY).save(tmp_path / "grey.png")
    image = read_image(str(tmp_path / "grey.png"))
    assert (image.mode, image.size, image.getpixel((1, 0))) == ("RGB", (3, 2), (51, 51, 51))


# ------------------------------------------------------------------------------------------------------------- settings


def test_which_values_become_black_and_white(tmp_path):
    values = np.random.default_rng(0).integers(200, 3000, (40, 50)).astype(np.uint16)
    path = tmp_path / "deep.png"
    Image.fromarray(values).save(path)
    np.testing.assert_array_equal(seen(path)[..., 0], stretched(values))
    np.testing.assert_array_equal(seen(path, grey_range="type")[..., 0], stretched(values, 0, 65535))
    np.testing.assert_array_equal(seen(path, grey_range="500:900.5")[..., 0], stretched(values, 500, 900.5))
    np.testing.assert_array_equal(
        seen(path, grey_range="percentile:2.5")[..., 0], stretched(values, *np.percentile(values, (2.5, 97.5)))
    )


def test_a_fixed_range_means_the_same_in_every_file(tmp_path):
    """A CT of soft tissue between -160 and 240: two images with other extremes agree where their values do."""
    first = np.array([[-1000, -160, 80, 240, 3000]], np.int16)
    Image.fromarray(first.astype(np.int32)).save(tmp_path / "a.tif")
    Image.fromarray(first[:, 1:4].astype(np.int32)).save(tmp_path / "b.tif")
    a, b = (seen(tmp_path / name, grey_range="-160:240")[0, :, 0].tolist() for name in ("a.tif", "b.tif"))
    assert a == [0, 0, 153, 255, 255] and b == a[1:4]


GOOD_RANGES = ["image", "type", "percentile:0", "percentile:0.5", "percentile:49", "0:4095", "-160:240", "-1.5:2e3"]
BAD_RANGES = ["", "images", "percentile", "percentile:", "percentile:50", "percentile:-1", "percentile:nan", "5:5"]
BAD_RANGES += ["9:1", "nan:1", "0:inf", ":", "1:", ":1", "1:2:3", "type:1", "percentile:1:2"]


@pytest.mark.parametrize("value", GOOD_RANGES)
def test_ranges_that_are_known(value):
    cfg = get_cfg_default()
    cfg.INPUT.GREY_RANGE = value
    assert reading_of(cfg) == Reading(grey_range=value)


@pytest.mark.parametrize("value", BAD_RANGES)
def test_other_ranges_are_refused(value):
    cfg = get_cfg_default()
    cfg.INPUT.GREY_RANGE = value
    with pytest.raises(UserError, match=rf'^Expected INPUT.GREY_RANGE to be .* but got "{re.escape(value)}"\.$'):
        reading_of(cfg)


@pytest.mark.parametrize("value", ["", "second", "-1", "1.5", "1e3", "²", "9" * 10])
def test_other_frames_are_refused(value):
    cfg = get_cfg_default()
    cfg.INPUT.FRAME = value
    with pytest.raises(UserError, match=r"^Expected INPUT\.FRAME to be one of auto, first, middle, last or a number"):
        reading_of(cfg)


def test_defaults_are_those_of_the_configuration_and_of_one_that_lacks_the_keys():
    cfg = get_cfg_default()
    assert reading_of(cfg) == Reading()
    for key in ("GREY_RANGE", "FRAME", "ALLOW_CONSTANT"):
        del cfg.INPUT[key]
    assert reading_of(cfg) == Reading()
    assert pickle.loads(pickle.dumps(Reading())) == Reading()  # to worker processes


FRAMES = [("auto", 0), ("first", 0), ("middle", 1), ("last", 2), ("1", 1), ("2", 2)]


@pytest.mark.parametrize(("frame", "number"), FRAMES)
@pytest.mark.parametrize("suffix", ["tif", "webp", "png"])
def test_which_page_or_frame_is_seen(tmp_path, frame, number, suffix):
    pages = [Image.fromarray(np.roll(GREY, i, axis=1)).convert("RGB") for i in range(3)]
    path = tmp_path / f"stack.{suffix}"
    more = {"lossless": True} if suffix == "webp" else {}
    pages[0].save(path, save_all=True, append_images=pages[1:], **more)
    np.testing.assert_array_equal(seen(path, frame=frame), np.asarray(pages[number]))
    assert notes_of(read_image(path)) == ("frames",)
    with pytest.raises(
        UserError, match=r"is not \(3 pages or frames, and no number 3 counted from 0\): change INPUT.FR"
    ):
        read_image(path, Reading(frame="3"))
    pages[0].save(tmp_path / f"one.{suffix}", **more)
    assert notes_of(read_image(tmp_path / f"one.{suffix}")) == ()
    seen(tmp_path / f"one.{suffix}", frame="3")  # there is no choice


def test_a_blank_page_is_named_with_its_number(tmp_path):
    pages = [Image.fromarray(GREY), Image.fromarray(0 * GREY)]
    pages[0].save(tmp_path / "a.tif", save_all=True, append_images=pages[1:])
    with pytest.raises(UserError, match=r"is not \(page or frame 2 of 2 has one value everywhere\)"):
        read_image(tmp_path / "a.tif", Reading(frame="last"))


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_values_that_are_not_finite_are_black_and_told(tmp_path, value):
    values = np.linspace(2, 3, 12, dtype=np.float32).reshape(3, 4)
    values[1, 2] = value
    Image.fromarray(values).save(tmp_path / "f.tif")
    for grey_range in ("image", "percentile:0", "2:3"):
        expected = stretched(np.where(np.isfinite(values), values, 2), 2, 3)
        np.testing.assert_array_equal(seen(tmp_path / "f.tif", grey_range=grey_range)[..., 0], expected)
    assert notes_of(read_image(tmp_path / "f.tif")) == ("holes",)


@pytest.mark.parametrize("turn", range(1, 9))
@pytest.mark.parametrize(
    ("suffix", "deep"), [("png", False), ("jpg", False), ("webp", False), ("tif", False), ("png", True), ("tif", True)]
)
def test_pictures_are_turned_upright(tmp_path, turn, suffix, deep):
    upright = np.zeros((16, 24), np.uint16 if deep else np.uint8)
    upright[:8, :8], upright[8:, 16:] = 200, 90
    undone = {5: 5, 6: 8, 7: 7, 8: 6}.get(turn, turn)
    stored = Image.fromarray(turned_by_viewer(upright, undone))
    exif = Image.Exif()
    exif[0x0112] = turn
    path = tmp_path / f"photo.{suffix}"
    more = {"webp": {"lossless": True}, "jpg": {"quality": 100}}.get(suffix, {})
    stored.save(path, exif=exif, **more)
    expected = stretched(upright) if deep else upright
    assert np.abs(seen(path)[..., 0].astype(int) - expected).max() <= 3


def turned_by_viewer(pixels: np.ndarray, tag: int) -> np.ndarray:
    """Return pixels as a viewer shows them with a tag of orientation, by array operations alone."""
    return {
        1: lambda p: p,
        2: lambda p: p[:, ::-1],
        3: lambda p: p[::-1, ::-1],
        4: lambda p: p[::-1],
        5: lambda p: p.T,
        6: lambda p: np.rot90(p, -1),
        7: lambda p: np.rot90(p, 2).T,
        8: lambda p: np.rot90(p),
    }[tag](pixels).copy()


def test_broken_exif_changes_nothing(tmp_path):
    Image.fromarray(GREY).save(tmp_path / "x.png", exif=b"Exif\0\0II*\0\xff\xff\xff\xff")
    np.testing.assert_array_equal(seen(tmp_path / "x.png")[..., 0], GREY)


# --------------------------------------------------------------------------------------------------------------- errors


@pytest.mark.parametrize(
    "content", [b"", b"<html>404</html>", b"\x89PNG\r\n\x1a\n broken", b"II*\0", b"P5\n3 2\n4095\n"]
)
def test_an_unreadable_file_is_named(tmp_path, content):
    path = tmp_path / "broken.png"
    path.write_bytes(content)
    with pytest.raises(
        UserError, match=r"Expected a readable image, but .*broken\.png is not \(.+\): restore or"
    ) as error:
        read_image(path)
    assert "object at" not in str(error.value) and "\n" not in str(error.value)


@pytest.mark.parametrize("suffix", ["png", "jpg", "tif", "bmp", "webp", "ppm", "jp2"])
def test_half_an_image_is_named(tmp_path, suffix):
    path = tmp_path / f"cut.{suffix}"
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype="uint8")).save(path)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(UserError, match=rf"readable image, but .*cut\.{suffix} is not"):
        read_image(path)


def test_an_image_too_large_to_decode_is_named(tmp_path, monkeypatch):
    Image.fromarray(np.zeros((64, 64), np.uint8)).save(tmp_path / "large.png")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 64)  # Pillow's error is neither an OSError nor a ValueError
    with pytest.raises(UserError, match=r"large\.png is not \(.*decompression bomb"):
        read_image(tmp_path / "large.png")


def test_a_decoder_may_raise_anything(tmp_path, monkeypatch):
    Image.fromarray(GREY).save(tmp_path / "x.png")

    def broken(*_):
        raise zlib.error()

    monkeypatch.setattr(Image.Image, "convert", broken)
    with pytest.raises(UserError, match=r"x\.png is not \(error\)"):
        read_image(tmp_path / "x.png")


def test_memory_that_runs_out_is_named(tmp_path, monkeypatch):
    Image.fromarray(GREY).save(tmp_path / "x.png")

    def full(*_):
        raise MemoryError

    monkeypatch.setattr(Image.Image, "convert", full)
    with pytest.raises(UserError, match=r"^Expected memory for the image .*x\.png"):
        read_image(tmp_path / "x.png")


def test_a_missing_image_is_named(tmp_path):
    with pytest.raises(UserError, match=r"Expected an image at .*none\.png, but there is no file"):
        read_image(tmp_path / "none.png")


def test_suffixes_and_the_mark_of_dicom(tmp_path):
    assert {".png", ".jpg", ".tif", ".bmp", ".webp", ".ppm", ".dcm"} <= SUFFIXES and all(
        s == s.lower() for s in SUFFIXES
    )
    (tmp_path / "IM0001").write_bytes(b"\0" * 128 + b"DICM")
    (tmp_path / "other").write_bytes(b"DICM" * 40)
    (tmp_path / "short").write_bytes(b"\0" * 128 + b"DIC")
    assert is_dicom(tmp_path / "IM0001") and not is_dicom(tmp_path / "short")
    assert not is_dicom(tmp_path) and not is_dicom(tmp_path / "none")
    assert is_dicom(tmp_path / "other")  # a mark is a mark
