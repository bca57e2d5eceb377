"""Images of any depth as 8-bit RGB."""

import zlib

import numpy as np
import pytest
from PIL import Image

import clip.pixels
import dassl.utils
from dassl.errors import UserError
from dassl.utils import read_image

GREY = np.array([[0, 51, 102], [153, 204, 255]], np.uint8)


def test_there_is_one_reader():
    assert clip.pixels.read_image is dassl.utils.read_image is dassl.utils.images.read_image


@pytest.mark.parametrize("suffix", ["png", "tif"])
def test_sixteen_bits_are_stretched_to_eight(tmp_path, suffix):
    path = tmp_path / f"deep.{suffix}"
    Image.fromarray(1000 + 16 * GREY.astype(np.uint16)).save(path)
    assert Image.open(path).mode.startswith("I")
    np.testing.assert_array_equal(np.asarray(read_image(path)), np.repeat(GREY[..., None], 3, axis=2))


def test_floating_point_is_stretched_and_a_constant_is_black(tmp_path):
    Image.fromarray(GREY.astype(np.float32) / 255 - 0.5).save(tmp_path / "float.tif")
    np.testing.assert_array_equal(np.asarray(read_image(tmp_path / "float.tif"))[..., 1], GREY)
    Image.fromarray(np.full((2, 3), 700, np.uint16)).save(tmp_path / "flat.png")
    assert not np.asarray(read_image(tmp_path / "flat.png")).any()


def test_eight_bits_stay_what_they_are(tmp_path):
    colour = np.random.default_rng(0).integers(40, 90, (4, 5, 3), dtype=np.uint8)
    Image.fromarray(colour).save(tmp_path / "colour.png")
    np.testing.assert_array_equal(np.asarray(read_image(tmp_path / "colour.png")), colour)


def test_grey_becomes_rgb(tmp_path):
    Image.fromarray(np.full((3, 5), 7, "uint8")).save(tmp_path / "grey.png")
    image = read_image(str(tmp_path / "grey.png"))
    assert (image.mode, image.size, image.getpixel((0, 0))) == ("RGB", (5, 3), (7, 7, 7))


@pytest.mark.parametrize("content", [b"", b"<html>404</html>", b"\x89PNG\r\n\x1a\n broken"])
def test_an_unreadable_file_is_named(tmp_path, content):
    path = tmp_path / "broken.png"
    path.write_bytes(content)
    with pytest.raises(UserError, match=r"Expected a readable image, but .*broken\.png is not \(.+\): restore or"):
        read_image(path)


@pytest.mark.parametrize("suffix", ["png", "jpg", "tif", "bmp"])
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


def test_a_missing_image_is_named(tmp_path):
    with pytest.raises(UserError, match=r"Expected an image at .*none\.png, but there is no file"):
        read_image(tmp_path / "none.png")
