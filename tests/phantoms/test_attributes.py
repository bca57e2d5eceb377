"""The attributes files of the phantoms, and the renderers that belong to them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from importlib import import_module
from itertools import combinations
from pkgutil import iter_modules

import numpy as np
import pytest

from dassl.reading import read_yaml
from datasets import phantoms
from datasets.catalogue import by_key
from datasets.phantoms import PHANTOMS, Phantom, find_phantom

# They say that something is absent, so that the picture is the same without them.
NOT_DRAWN = {"btmri": {"symmetric"}, "covid": {"angles", "normal_heart"}}


class Asked(frozenset):
    """Attributes of a picture; remembers in `names` which attributes a renderer looked for."""

    names: set[str]

    def __new__(cls, attributes, names: set[str]):
        self = super().__new__(cls, attributes)
        self.names = names
        return self

    def __contains__(self, name):
        self.names.add(name)
        return super().__contains__(name)

    def __and__(self, other):
        self.names |= set(other)
        return super().__and__(other)

    __rand__ = __and__


def options(phantom: Phantom, factor: str) -> list[set[str]]:
    """The sets of attributes that a factor can give, over all classes."""
    laws = [factors[factor] for factors in phantom.classes.values() if factor in factors]
    chosen = {name for law in laws if isinstance(law, Mapping) for name in law}
    return [{name} - {""} for name in sorted(chosen)] if len(chosen) > 1 else [set(), chosen or {factor}]


def pictures(phantom: Phantom, factor: str, names: set[str]) -> Iterator[list[np.ndarray]]:
    """Pictures that differ in one factor alone, one for each of its options, again and again for other cases."""
    found = options(phantom, factor)
    for classname in [name for name, factors in phantom.classes.items() if factor in factors]:
        for seed in range(3):
            rest = phantom.draw_attributes(np.random.default_rng(seed), classname) - set().union(*found)
            yield [phantom.draw(np.random.default_rng(seed), Asked(rest | option, names)) for option in found]


def test_there_is_a_phantom_of_every_data_set_with_its_classes_in_label_order():
    assert {key: (phantom.name, list(phantom.classes)) for key, phantom in PHANTOMS.items()} == {
        key: (cls.dataset_dir, list(cls.classes)) for key, cls in by_key().items()
    }


def test_every_module_that_draws_has_an_attributes_file():
    names = [module.name for module in iter_modules(phantoms.__path__)]
    assert list(PHANTOMS) == [name for name in names if hasattr(import_module(f"datasets.phantoms.{name}"), "draw")]


def test_unknown_phantom_is_answered_with_those_that_exist():
    assert find_phantom("covid") is find_phantom("COVID_19") is PHANTOMS["covid"]
    assert "mars" not in PHANTOMS
    with pytest.raises(ValueError, match=r"BTMRI, BUSI, CHMNIST, .*, RETINA.*'MARS'"):
        find_phantom("MARS")


@pytest.mark.parametrize("key", PHANTOMS)
def test_attributes_files_have_one_shape(key):
    path = PHANTOMS.files[key]
    held = read_yaml(path)
    assert path.read_text().startswith(f"# The {held['name']} phantom: ")
    lesion = ["lesion"] if "lesion" in held else []
    assert list(held) == ["name", "modality", *lesion, "every class", "classes", "phrases"]
    assert PHANTOMS[key].lesion == held.get("lesion", "")
    for factors in held["classes"].values():
        assert not set(factors) & set(held["every class"])
        for factor, law in (held["every class"] | factors).items():
            names = law if isinstance(law, dict) else [factor]
            assert all(isinstance(name, str) for name in [factor, *names])
    for phrases in [held["modality"], *held["phrases"].values()]:
        assert all(isinstance(phrase, str) and phrase == phrase.strip() != "" for phrase in phrases)


@pytest.mark.parametrize("key", PHANTOMS)
def test_every_attribute_has_several_phrases_and_every_phrase_an_attribute(key):
    phantom = PHANTOMS[key]
    used = set()
    for factors in phantom.classes.values():
        for factor, law in factors.items():
            if isinstance(law, Mapping):
                assert sum(law.values()) == pytest.approx(1)
                used |= set(law) - {""}
            else:
                assert 0 < law < 1
                used.add(factor)
    assert used == set(phantom.phrases)
    for attribute, phrases in phantom.phrases.items():
        assert len(set(phrases)) == len(phrases) >= 3, attribute
    assert len(phantom.modality) >= 3


@pytest.mark.parametrize("key", PHANTOMS)
def test_every_attribute_is_drawn_and_the_renderer_knows_no_other(key):
    phantom, looked_for, undrawn = PHANTOMS[key], set(), set()
    for factor in dict.fromkeys(factor for factors in phantom.classes.values() for factor in factors):
        left = set(combinations(range(len(options(phantom, factor))), 2))  # pairs of options that look the same so far
        for drawn in pictures(phantom, factor, looked_for):
            left = {(a, b) for a, b in left if np.array_equal(drawn[a], drawn[b])}
            if not left:
                break
        undrawn |= {name for pair in left for i in pair for name in options(phantom, factor)[i]}
    assert undrawn == NOT_DRAWN.get(key, set())
    assert looked_for <= set(phantom.phrases)


@pytest.mark.parametrize("key", PHANTOMS)
def test_any_two_classes_differ_in_how_often_they_show_some_attribute(key):
    phantom = PHANTOMS[key]
    rng = np.random.default_rng(0)
    cases = {name: [phantom.draw_attributes(rng, name) for _ in range(200)] for name in phantom.classes}
    assert all(attributes for drawn in cases.values() for attributes in drawn), "a case without attributes"
    rates = [np.array([np.mean([a in case for case in drawn]) for a in phantom.phrases]) for drawn in cases.values()]
    assert all(np.abs(first - second).max() > 0.35 for first, second in combinations(rates, 2))
