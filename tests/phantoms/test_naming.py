"""Which attributes a sentence names, by rule."""

import numpy as np
import pytest

from datasets.phantoms import PHANTOMS, find_phantom, write_caption
from datasets.phantoms.naming import namer, probabilities, telling, words_of


@pytest.mark.parametrize("key", PHANTOMS)
def test_a_caption_names_the_attributes_that_it_was_written_from(key):
    rng, phantom = np.random.default_rng(0), PHANTOMS[key]
    names = namer(phantom.phrases, phantom.classes)
    for attribute in phantom.phrases:
        for _ in range(5):
            caption = write_caption(rng, phantom, [attribute])
            assert attribute in names(caption), caption


def test_sentences_of_an_llm_are_named_as_a_person_would():
    retina = find_phantom("retina")
    names = namer(retina.phrases, retina.classes)
    told = {
        "Fluffy white cotton-wool spots lie along the superior arcade.": {"cotton_wool"},
        "Dark blot hemorrhages occupy all four quadrants, deep and round, with smudged borders.": {"blots"},
        "Yellow-brown tint from nuclear sclerosis colors the entire picture as though seen through tea.": {"amber"},
        "Small pupil, and nothing else of note.": set(),
        "The fundus is free of cotton-wool spots.": set(),
        "Cotton-wool spots and dark blot hemorrhages are absent.": set(),
    }
    assert {sentence: set(names(sentence)) for sentence in told} == told


def test_the_name_of_a_class_names_no_attribute():
    phrases = {"opacity": ["opacity of the lungs"], "clear": ["clear lungs"]}
    sentence = "Lung opacity lungs after a week."
    assert namer(phrases)(sentence) == {"opacity"}
    assert namer(phrases, ["lung opacity lungs"])(sentence) == set()


def test_a_word_that_many_attributes_have_counts_for_less():
    phrases = {
        "ring": ["a bright ring of the lesion"],
        "core": ["a dark core of the lesion"],
        "rim": ["rim of the lesion"],
    }
    names = namer(phrases)
    assert names("A bright ring.") == {"ring"} and names("The lesion has a core.") == set()
    assert names("The lesion has a rim.") == {"rim"} and names("A rim.") == set()  # one word of two is not enough


def test_what_is_denied_is_another_word_until_the_part_of_the_sentence_ends():
    assert words_of("No mass with oedema, but a midline shift.") == {"no mas", "no edema", "midlin", "shift"}
    assert words_of("Borders free of spicules") == {"border", "no spicul"} and "fre" in words_of("free precession")
    assert words_of("A grey centre of tumours") == words_of("a gray center of tumors")
    assert words_of("Ring of fibre, red") == {"ring", "fiber", "red"}


@pytest.mark.parametrize("key", PHANTOMS)
def test_telling_attributes_are_those_with_another_probability_in_some_class(key):
    phantom = PHANTOMS[key]
    chances = [probabilities(phantom, name) for name in phantom.classes]
    rng, counts = np.random.default_rng(0), []
    for name in phantom.classes:
        drawn = [phantom.draw_attributes(rng, name) for _ in range(300)]
        counts.append({a: sum(a in some for some in drawn) / 300 for a in set().union(*drawn)})
    for chance, count in zip(chances, counts, strict=True):
        assert count.keys() <= chance.keys()
        assert all(abs(count.get(a, 0) - p) < 0.15 for a, p in chance.items())
    told = telling(phantom)
    for attribute in set().union(*chances):
        found = {chance.get(attribute, 0) for chance in chances}
        assert (attribute in told) == (len(found) > 1)
    assert not {"axial", "t1", "macula_view", "fatty", "short_axis"} & told
