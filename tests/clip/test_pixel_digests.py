"""Equal pixels have equal digests, and each file is decoded once."""

import numpy as np
import pytest
from PIL import Image

from clip import pixel_digests
from clip.pixel_digests import PixelDigests
from dassl.errors import UserError
from dassl.images import Reading

PIXELS = np.random.default_rng(0).integers(0, 256, (20, 30, 3), np.uint8)


@pytest.fixture
def decoded(monkeypatch) -> list[str]:
    """Paths of the files that were decoded."""
    found, real = [], pixel_digests.picture_digest
    monkeypatch.setattr(
        pixel_digests, "picture_digest", lambda path, reading: (found.append(path), real(path, reading))[1]
    )
    return found


def test_the_same_picture_in_another_format_has_the_same_digest_and_is_decoded_once(tmp_path, decoded):
    paths = [str(tmp_path / name) for name in ("a.png", "b.bmp", "c.tif", "d.png")]
    for path in paths[:3]:
        Image.fromarray(PIXELS).save(path)
    Image.fromarray(PIXELS[:, ::-1]).save(paths[3])
    for _ in range(2):
        first, second, third, other = PixelDigests(tmp_path / "store").of_all(paths)
        assert first == second == third != other
    assert sorted(decoded) == sorted(paths)
    PixelDigests(tmp_path / "store", Reading(allow_constant=True)).of_all(paths[:1])
    assert len(decoded) == 5  # another way of reading


def test_size_counts(tmp_path):
    for name, pixels in (("a.png", PIXELS), ("b.png", PIXELS.reshape(30, 20, 3))):
        Image.fromarray(pixels).save(tmp_path / name)
    first, second = PixelDigests(tmp_path / "store").of_all([str(tmp_path / name) for name in ("a.png", "b.png")])
    assert first != second


def test_a_broken_image_is_named_and_the_memo_is_for_the_owner_alone(tmp_path):
    Image.fromarray(PIXELS).save(tmp_path / "a.png")
    PixelDigests(tmp_path / "store").of_all([str(tmp_path / "a.png")])
    memo = tmp_path / "store" / "pixels.tsv"
    assert memo.stat().st_mode & 0o777 == 0o600 and b"a.png" not in memo.read_bytes()
    (tmp_path / "broken.png").write_bytes(b"x")
    with pytest.raises(UserError, match=r"broken\.png"):
        PixelDigests(tmp_path / "store").of_all([str(tmp_path / "broken.png")])
