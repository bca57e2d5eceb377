"""Runs of the miniature BTMRI on a GPU, real or pretended, beside the same on the CPU."""

from functools import lru_cache
from unittest.mock import patch

import pytest

from tests.pretended_gpu import gpu  # noqa: F401
from tests.trainers.conftest import data_root, flags, own_store  # noqa: F401
from trainers import feature_trainer


@pytest.fixture(scope="package", autouse=True)
def both_stay_loaded():
    """Keep a backbone on either device, where a program needs one and keeps one."""
    with patch.object(feature_trainer, "frozen", lru_cache(maxsize=4)(feature_trainer.frozen.__wrapped__)):
        yield
