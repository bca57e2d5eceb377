"""Masks beside pictures: where they are found, what is none, and that they go the way of their picture."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from scipy.ndimage import binary_dilation

from clip.backbone import Backbone
from clip.image_input import ImageInput
from dassl.errors import UserError
from dassl.images import read_image
from datasets import load_dataset, phantoms
from datasets.masks import mask_of, mask_path, mask_transform, read_mask
from datasets.phantoms.folder import Counts
from tests.tiny_backbone import TinyBackbone

SIZES = [(64, 64), (90, 60), (60, 90), (31, 200), (500, 400)]
INPUTS = [("shortest", ()), ("squash", ()), ("shortest", ("pad_square",)), ("shortest", ("gray", "pad_square"))]


def block(size: tuple[int, int]) -> np.ndarray:
    """A mask [height, width] with one block, a little above and to the left of the middle."""
    width, height = size
    mask = np.zeros((height, width), bool)
    mask[height // 4 : height // 2 + 1, width // 3 : width // 2 + 1] = True
    return mask


def save(mask: np.ndarray, path: Path, lesion: int = 255) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(mask.astype(np.uint8) * lesion).save(path)
    return path


def backbone(side: int, mode: str, prepare: tuple[str, ...]) -> Backbone:
    tower = TinyBackbone()
    tower.image_input = ImageInput(side, (0.5,) * 3, (0.5,) * 3, "bilinear", mode, prepare)
    return tower


@pytest.mark.parametrize(("mode", "prepare"), INPUTS)
@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("side", [96, 32])
def test_a_mask_goes_where_its_picture_goes(size, mode, prepare, side):
    """The picture is white on the lesion: what the tower sees of it is bright where the mask is, but for the edges."""
    tower, mask = backbone(side, mode, prepare), block(size)
    seen = tower.preprocess(Image.fromarray(mask.astype(np.uint8) * 255).convert("RGB"))[0].numpy() > 0
    fitted = mask_transform(tower.image_size, tower.resize_mode, tower.prepare)(mask)
    assert fitted.shape == (side, side) and fitted.dtype == bool and fitted.any()
    around = np.ones((3, 3), bool)
    assert not (fitted & ~binary_dilation(seen, around)).any() and not (seen & ~binary_dilation(fitted, around)).any()


def test_nothing_is_changed_where_sizes_are_equal():
    mask = block((64, 64))
    assert np.array_equal(mask_transform(64)(mask), mask)


@pytest.mark.parametrize("name", ["17.png", "17.JPG", "17.tiff", "17.dcm", "17"])
def test_a_mask_has_the_name_of_its_picture_and_ends_with_png(tmp_path, name):
    assert mask_of(tmp_path / name) is None
    path = save(block((8, 8)), tmp_path / "mask" / "17.png")
    assert mask_of(tmp_path / name) == mask_path(str(tmp_path / name)) == path


def test_names_with_dots_are_whole():
    assert mask_path("a/1.2.840.113").as_posix() == "a/mask/1.2.840.113.png"


def test_links_stay_inside_unless_they_are_allowed(tmp_path):
    secret = save(block((8, 8)), tmp_path / "elsewhere" / "1.png")
    (tmp_path / "covid" / "mask").mkdir(parents=True)
    (tmp_path / "covid" / "mask" / "1.png").symlink_to(secret)
    with pytest.raises(UserError, match=r"mask/1\.png is a link that leads out"):
        mask_of(tmp_path / "covid" / "1.png")
    assert mask_of(tmp_path / "covid" / "1.png", links="anywhere")


@pytest.mark.parametrize("lesion", [255, 1, 128])
def test_all_but_black_is_lesion(tmp_path, lesion):
    mask = block((20, 10))
    assert np.array_equal(read_mask(save(mask, tmp_path / "m.png", lesion), (20, 10)), mask)


@pytest.mark.parametrize("filled", [False, True])
def test_a_mask_may_be_of_no_pixel_or_of_all(tmp_path, filled):
    assert (read_mask(save(np.full((10, 20), filled), tmp_path / "m.png"), (20, 10)) == filled).all()


def test_masks_of_16_bits_of_1_bit_and_with_a_palette(tmp_path):
    mask = block((20, 10))
    Image.fromarray(mask.astype(np.uint16)).save(tmp_path / "deep.png")
    Image.fromarray(mask).save(tmp_path / "bit.png")
    coloured = Image.fromarray(mask.astype(np.uint8), "P")
    coloured.putpalette([0, 0, 0, 128, 0, 0])
    coloured.save(tmp_path / "palette.png")
    for path in tmp_path.glob("*.png"):
        assert np.array_equal(read_mask(path, (20, 10)), mask), path


@pytest.mark.parametrize("size", [(10, 20), (21, 10), (40, 20)])
def test_a_mask_of_another_size_is_refused(tmp_path, size):
    path = save(block((20, 10)), tmp_path / "m.png")
    with pytest.raises(UserError, match=rf"mask of {size[0]} x {size[1]} pixels.*m\.png has 20 x 10: make it as large"):
        read_mask(path, size)


def test_a_picture_is_no_mask(tmp_path):
    Image.fromarray(np.arange(200, dtype=np.uint8).reshape(10, 20)).save(tmp_path / "m.png")
    with pytest.raises(UserError, match=r"black and one other value, but .*m\.png has more"):
        read_mask(tmp_path / "m.png", (20, 10))
    save(block((20, 10)), tmp_path / "m.png")
    inverted = Image.fromarray(np.where(block((20, 10)), 200, 100).astype(np.uint8))
    inverted.save(tmp_path / "m.png")
    with pytest.raises(UserError, match="black and one other value"):
        read_mask(tmp_path / "m.png", (20, 10))


@pytest.mark.parametrize("content", [b"", b"junk", b"\x89PNG\r\n\x1a\n" + b"\0" * 40])
def test_what_is_no_picture_is_refused_by_name(tmp_path, content):
    (tmp_path / "m.png").write_bytes(content)
    with pytest.raises(UserError, match=r"m\.png"):
        read_mask(tmp_path / "m.png", (20, 10))
    with pytest.raises(UserError, match=r"none\.png"):
        read_mask(tmp_path / "none.png", (20, 10))


def test_masks_of_a_phantom_data_set_are_found_and_read(tmp_path):
    phantoms.prepare("lmri", tmp_path, progress=False, counts=Counts(train=4, val=1, test_total=40))
    data = load_dataset("lmri", root=tmp_path, shots=-1)
    found = [(item, mask) for item in data.test if (mask := mask_of(item.impath))]
    assert {item.classname for item, _ in found} >= {"liver neoplasm"} and len(found) < len(data.test)
    for item, mask in found:
        assert read_mask(mask, read_image(item.impath).size).any()
