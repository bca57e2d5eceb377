"""Fixtures of the tests of trainers."""

from pathlib import Path

import pytest


@pytest.fixture
def build(build):
    """`build(trainer, key, value, ...)` as in the other tests, with the run's folder."""

    def make(*args, **kwargs):
        trainer = build(*args, **kwargs)
        Path(trainer.output_dir).mkdir(parents=True, exist_ok=True)
        return trainer

    return make
