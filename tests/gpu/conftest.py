"""Runs of the miniature BTMRI on a GPU, real or pretended, beside the same on the CPU."""

from functools import lru_cache
from unittest.mock import patch

import pytest

from tests.pretended_gpu import gpu  # noqa: F401
from trainers.base import backbones


@pytest.fixture(scope="module", autouse=True)
def both_stay_loaded():
    """Keep a backbone on either device, where a program needs one and keeps one."""
    with patch.object(backbones, "load_backbone", lru_cache(maxsize=4)(backbones.load_backbone.__wrapped__)):
        yield
