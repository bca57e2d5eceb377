"""Fixtures of the downloads: a server with an archive, and the folder that it is brought to."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.datasets.archives import Files, serving_btmri


@pytest.fixture
def files(tmp_path) -> Iterator[Files]:
    """The server of BTMRI's archive, whose images are in `tmp_path / "source"`."""
    with serving_btmri(tmp_path / "source") as files:
        yield files


@pytest.fixture
def root(tmp_path) -> Path:
    """The folder that data sets are brought to; it is not there yet."""
    return tmp_path / "data"
