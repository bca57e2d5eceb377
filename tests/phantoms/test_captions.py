"""Captions of phantoms."""

from __future__ import annotations

import numpy as np
import pytest

from datasets.phantoms import PHANTOMS, write_caption


def captions(key: str, name_rate: float, count: int = 60) -> list[tuple[str, str]]:
    """(class name, caption) pairs of all classes of a data set."""
    rng, phantom = np.random.default_rng(3), PHANTOMS[key]
    return [
        (name, write_caption(rng, phantom, phantom.draw_attributes(rng, name), name, name_rate))
        for name in phantom.classes
        for _ in range(count)
    ]


@pytest.mark.parametrize("key", PHANTOMS)
def test_captions_never_name_a_class_when_names_are_off(key):
    for _, text in captions(key, 0.0):
        assert not any(name in text.lower() for name in PHANTOMS[key].classes), text


@pytest.mark.parametrize("key", PHANTOMS)
def test_no_phrase_contains_a_class_name(key):
    names = list(PHANTOMS[key].classes)
    for phrase in [p for phrases in PHANTOMS[key].phrases.values() for p in phrases] + list(PHANTOMS[key].modality):
        assert not any(name in phrase.lower() for name in names), phrase


@pytest.mark.parametrize("key", PHANTOMS)
def test_captions_name_their_own_class_when_names_are_on(key):
    assert all(name in text for name, text in captions(key, 1.0, 10))


@pytest.mark.parametrize("key", PHANTOMS)
def test_captions_put_attributes_of_the_picture_into_words(key):
    rng, phantom = np.random.default_rng(4), PHANTOMS[key]
    texts = set()
    for name in phantom.classes:
        for _ in range(30):
            attributes = phantom.draw_attributes(rng, name)
            text = write_caption(rng, phantom, attributes)
            spoken = {a for a, phrases in phantom.phrases.items() if any(p in text for p in phrases)}
            assert spoken & attributes, (text, attributes)
            assert "{" not in text and "  " not in text
            texts.add(text)
    assert len(texts) > 25 * len(phantom.classes), "captions repeat themselves"
