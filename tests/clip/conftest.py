"""Image files, and a feature store of a backbone that counts."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from clip import FeatureStore
from tests.clip.counting import CountingBackbone


@pytest.fixture
def files(tmp_path) -> list[str]:
    """Nine images of 8 x 8 pixels."""
    rng = np.random.default_rng(0)
    folder = Path(tmp_path, "images")
    folder.mkdir()
    paths = [str(folder / f"{i}.png") for i in range(9)]
    for path in paths:
        Image.fromarray(rng.integers(0, 255, (8, 8, 3), dtype=np.uint8)).save(path)
    return paths


@pytest.fixture
def store(tmp_path) -> FeatureStore:
    return FeatureStore(CountingBackbone(), tmp_path / "store", batch_size=4)
