"""`Backbone.preprocess` is the test transform of a run, so that a notebook and a run share stored features."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from clip import FeatureStore, build_backbone
from dassl.config import get_cfg_default
from dassl.data.transforms import build_transform
from tests.tiny_backbone import TinyBackbone
from trainers.base.backbones import set_input

ROOT = Path(__file__).parents[2]


class NearestBackbone(TinyBackbone):
    """Scales images without interpolation; its mean has whole numbers."""

    interpolation, mean = "nearest", (0, 1, 0)


class SquashedBackbone(TinyBackbone):
    """As SigLIP: both edges are scaled."""

    resize_mode = "squash"


class GrayBackbone(TinyBackbone):
    """As MedCLIP: grey values, padded to a square."""

    prepare = ("gray", "pad_square")


BACKBONES = {
    "tiny": TinyBackbone,
    "nearest": NearestBackbone,
    "squashed": SquashedBackbone,
    "gray": GrayBackbone,
    "PhantomCLIP": lambda: build_backbone("PhantomCLIP"),
}


@pytest.fixture(params=BACKBONES)
def backbone(request):
    return BACKBONES[request.param]()


@pytest.fixture
def run_transform(backbone):
    """The test transform of a run with this backbone."""
    cfg = get_cfg_default()
    cfg.merge_from_file(ROOT / "configs/common.yaml")
    set_input(cfg, backbone)
    return build_transform(cfg, is_train=False)


@pytest.fixture
def files(tmp_path) -> list[str]:
    """Images that are higher than wide, and wider than high."""
    rng = np.random.default_rng(0)
    paths = [str(tmp_path / f"{i}.png") for i in range(4)]
    for i, path in enumerate(paths):
        Image.fromarray(rng.integers(0, 255, (30 + 20 * i, 60, 3), dtype=np.uint8)).save(path)
    return paths


def test_pixels_are_those_of_a_run(backbone, run_transform, files):
    for path in files:
        pixels = backbone.preprocess(Image.open(path))
        assert pixels.shape == (3, backbone.image_size, backbone.image_size)
        assert torch.equal(pixels, run_transform(Image.open(path)))
    assert repr(backbone.preprocess) == repr(run_transform)


def test_a_run_finds_the_features_of_a_notebook(backbone, run_transform, files, tmp_path, monkeypatch):
    of_notebook = FeatureStore(backbone, tmp_path / "store").images(files)
    monkeypatch.setattr(backbone, "encode_image", None)  # not called again
    of_run = FeatureStore(backbone, tmp_path / "store").images(files, run_transform)
    assert torch.equal(of_run, of_notebook) and of_run.shape == (4, backbone.embed_dim)


def test_squashed_images_are_scaled_whole():
    wide = Image.fromarray(np.arange(0, 240, dtype=np.uint8)[None, :, None].repeat(60, 0).repeat(3, 2))
    whole = SquashedBackbone().preprocess(wide) * torch.tensor([0.3, 0.2, 0.1])[:, None, None]
    cropped = TinyBackbone().preprocess(wide) * torch.tensor([0.3, 0.2, 0.1])[:, None, None]
    assert np.ptp(whole[0].numpy()) > 0.8 and np.ptp(cropped[0].numpy()) < 0.3  # the centre is a quarter of the width


def test_grey_images_are_padded_in_black_around_the_centre():
    red = Image.new("RGB", (4, 6), (255, 0, 0))
    pixels = GrayBackbone().preprocess(red) * torch.tensor([0.3, 0.2, 0.1])[:, None, None]
    values = pixels + torch.tensor([0.4, 0.5, 0.6])[:, None, None]
    expected = torch.zeros(8, 8)
    expected[1:7, 2:6] = 76 / 255  # ITU-R 601: 0.299 of red
    assert torch.allclose(values, expected.expand(3, 8, 8), atol=1e-6)


def test_prepared_pictures_are_augmented_afterwards():
    cfg = get_cfg_default()
    cfg.merge_from_file(ROOT / "configs/common.yaml")
    set_input(cfg, GrayBackbone())
    first = build_transform(cfg, is_train=True).transforms[:3]
    assert [type(step).__name__ for step in first] == ["Grayscale", "PadToSquare", "RandomResizedCrop"]
