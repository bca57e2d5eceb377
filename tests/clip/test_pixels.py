"""Images of any depth as 8-bit RGB."""

import numpy as np
import pytest
from PIL import Image

from clip.pixels import read_image
from dassl.errors import UserError

GREY = np.array([[0, 51, 102], [153, 204, 255]], np.uint8)


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


@pytest.mark.parametrize("content", [b"", b"no image", b"\x89PNG\r\n\x1a\n broken"])
def test_an_unreadable_file_is_named(tmp_path, content):
    path = tmp_path / "broken.png"
    path.write_bytes(content)
    with pytest.raises(UserError, match=r"Expected a readable image, but .*broken\.png is not \(.*\): restore it"):
        read_image(path)
