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


BACKBONES = {"tiny": TinyBackbone, "nearest": NearestBackbone, "PhantomCLIP": lambda: build_backbone("PhantomCLIP")}


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
