"""Small models of every family, with random weights, in the layouts in which they were published."""

from functools import cache

import pytest

from clip import Backbone, build_backbone, testing

NAMES = sorted(set(testing.writers()) - {"PhantomCLIP"})


@pytest.fixture(scope="session")
def weights(tmp_path_factory):
    """The folder `$VMFCOOP_WEIGHTS`, and `place(name)`, which writes a small model into it once."""
    root = tmp_path_factory.mktemp("weights")

    @cache
    def place(name: str) -> str:
        testing.write_model(name, root / name, small=True)
        return name

    return root, place


@pytest.fixture
def named(weights, monkeypatch):
    """`named(name)`: make a model known by its short name, which is returned."""
    monkeypatch.setenv("VMFCOOP_WEIGHTS", str(weights[0]))
    return weights[1]


@pytest.fixture(scope="session")
def built(weights):
    """`built(name)`: a small model, built once."""

    @cache
    def build(name: str) -> Backbone:
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("VMFCOOP_WEIGHTS", str(weights[0]))
            return build_backbone(weights[1](name))

    return build
