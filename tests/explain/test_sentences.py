"""Sentences that speak for a class: known answers on hand-made features, and properties."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn.functional import normalize

from explain.moved import Movement, moved_sentences, steps
from explain.sentences import gain_directions, ranked_sentences
from explain.spoken import Spoken, sentence_centre, sentence_directions

D, COUNTS = 6, (4, 1, 3)  # dimensions, and sentences of three classes
TEXTS = [[f"sentence {i} of class {label}" for i in range(count)] for label, count in enumerate(COUNTS)]
ZERO = torch.zeros(D)
seeds = st.integers(0, 10_000)


def unit_rows(seed: int, *shape: int) -> torch.Tensor:
    return normalize(torch.randn(*shape, D, generator=torch.Generator().manual_seed(seed)), dim=-1)


def drawn(seed: int, n: int = 5):
    """Pictures [n, D], classes [n], gains [n, D], sentences of three classes and a centre [D]."""
    generator = torch.Generator().manual_seed(seed)
    classes = torch.randint(0, 3, (n,), generator=generator)
    sentences = [unit_rows(seed + 1 + label, count) for label, count in enumerate(COUNTS)]
    return unit_rows(seed + 10, n), classes, unit_rows(seed + 20, n), sentences, 0.3 * unit_rows(seed + 30, 1)[0]


def told(pictures, classes, gains, sentences, centre, count=9):
    return ranked_sentences(pictures, classes, gains, TEXTS, sentences, centre, count)


def same(one, other) -> bool:
    """Whether the same sentences have the same scores to rounding, in an order that may differ where scores do not."""
    tables = [[{each.text: each.score for each in some} for some in found] for found in (one, other)]
    pairs = list(zip(*tables, strict=True))
    return all(
        math.isclose(a.get(text, 0), b.get(text, 0), abs_tol=2e-6) for a, b in pairs for text in a.keys() | b.keys()
    )


def test_the_runner_up_decides_between_sentences_that_the_picture_shows_alike():
    texts = [["it is large", "it is round"], ["it is small"], ["it is jagged"]]
    sentences = [torch.eye(4)[:2], -torch.eye(4)[:1], -torch.eye(4)[1:2]]  # around (0, 0, 0, 0) but for a sixth
    picture = torch.tensor([[1.0, 1.0, 0.0, 0.0]]) / math.sqrt(2) + sentence_centre(sentences)
    against = {"it is large": torch.tensor([[1.0, 0, 0, 0]]), "it is round": torch.tensor([[0, 1.0, 0, 0]])}
    for first, gain in against.items():
        (found,) = ranked_sentences(picture, torch.tensor([0]), gain, texts, sentences, torch.zeros(4))
        assert found[0].text == first and {each.text for each in found} == {"it is large", "it is round"}
        assert found[0].score > found[1].score + 0.5


def test_scores_are_those_of_the_definition():
    pictures, classes, gains, sentences, centre = drawn(0)
    mean = torch.stack([some.double().mean(dim=0) for some in sentences]).mean(dim=0)
    for i, found in enumerate(told(pictures, classes, gains, sentences, centre)):
        x, g = (pictures[i] - centre).double(), gains[i].double()
        expected = {}
        for text, s in zip(TEXTS[classes[i]], sentences[classes[i]].double(), strict=True):
            y = s - mean
            shown, tells = x @ y / x.norm() / y.norm(), y @ g / y.norm() / g.norm()
            expected[text] = (shown * (1 + tells)).item()
        assert [each.text for each in found] == [
            text for text, score in sorted(expected.items(), key=lambda pair: -pair[1]) if score > 0
        ]
        assert all(each.score == pytest.approx(expected[each.text], abs=1e-6) for each in found)


@given(seeds)
def test_neither_a_gap_nor_a_rotation_nor_a_longer_gain_changes_a_score(seed):
    pictures, classes, gains, sentences, centre = drawn(seed)
    found = told(pictures, classes, gains, sentences, centre)
    gap = unit_rows(seed + 40, 1)[0]
    assert same(found, told(pictures + gap, classes, gains, sentences, centre + gap))
    assert same(found, told(pictures, classes, gains, [some + gap for some in sentences], centre))
    assert same(found, told(pictures, classes, 7 * gains, sentences, centre))
    turn = torch.linalg.qr(unit_rows(seed + 50, D).double()).Q
    turned = [some.double() @ turn for some in sentences]
    pair = (pictures.double() @ turn, gains.double() @ turn)
    assert same(found, told(pair[0], classes, pair[1], turned, centre.double() @ turn))


@given(seeds)
def test_a_picture_is_told_the_same_alone_and_among_others(seed):
    pictures, classes, gains, sentences, centre = drawn(seed)
    found = told(pictures, classes, gains, sentences, centre)
    alone = [told(pictures[i : i + 1], classes[i : i + 1], gains[i : i + 1], sentences, centre)[0] for i in range(5)]
    assert same(found, alone)
    assert all(
        each.label == label and each.score > 0 for some, label in zip(found, classes, strict=True) for each in some
    )


def test_a_sentence_is_told_once_and_equals_come_in_the_order_of_the_bank():
    texts = [["First.", "second", "Second. ", "first"], ["other"]]
    ring = torch.tensor([1.0, 0.0])
    sentences = [torch.stack([ring] * 4), -ring[None]]
    (found,) = ranked_sentences(ring[None], torch.tensor([0]), ring[None], texts, sentences, torch.zeros(2), count=4)
    assert [each.text for each in found] == ["First.", "second"] and found[0].score == pytest.approx(2)


def test_a_sentence_that_the_picture_denies_is_not_told():
    ring = torch.tensor([1.0, 0.0])
    (found,) = ranked_sentences(
        -ring[None], torch.tensor([0]), ring[None], [["a"], ["b"]], [ring[None], -ring[None]], 0 * ring
    )
    assert found == []


@pytest.mark.parametrize("count", [1, 2, 3])
def test_no_more_sentences_are_told_than_asked_for(count):
    found, whole = told(*drawn(3, n=30), count), told(*drawn(3, n=30))
    assert [some[:count] for some in whole] == found and max(map(len, whole)) == 4


def test_a_single_class_has_no_runner_up_and_is_explained_by_the_picture_alone():
    sentences, picture = [torch.eye(2)], torch.tensor([[1.0, 0.0]])

    def logits(features):
        return 9 * features @ torch.tensor([[1.0], [0.0]])

    only = torch.tensor([0])
    gain = gain_directions(logits, picture, only, only)
    assert torch.equal(gain, torch.zeros(1, 2))
    ((found,),) = ranked_sentences(picture, only, gain, [["a ring", "a mass"]], sentences, torch.zeros(2))
    assert found == Spoken("a ring", pytest.approx(math.sqrt(0.5)), 0) and str(found) == "a ring"


def test_no_picture_has_no_sentence():
    nothing = torch.zeros(0, D)
    assert told(nothing, torch.zeros(0).long(), nothing, drawn(0)[3], ZERO) == []


def test_a_sentence_in_the_middle_of_all_says_nothing():
    (alone,) = sentence_directions([torch.tensor([[0.6, 0.8]])])
    assert torch.equal(alone, torch.zeros(1, 2, dtype=torch.double))
    assert ranked_sentences(
        *(torch.eye(2), torch.tensor([0, 0]), torch.eye(2)), [["a"]], [torch.eye(2)[:1]], ZERO[:2]
    ) == [[], []]
    first, second, third = sentence_directions([torch.tensor([[3.0, 0.0], [1.0, 0.0], [2.0, 0.0]])])[0].tolist()
    assert first == [1, 0] and second == [-1, 0] and third == [0, 0]


@given(seeds)
def test_the_gain_of_any_method_is_the_gradient_of_the_difference(seed):
    weights = 10 * unit_rows(seed, 3).double()

    def logits(features):
        return torch.tanh(features @ weights.T) + features @ weights.T

    pictures = unit_rows(seed + 1, 4).double()
    classes, others = logits(pictures).topk(2, dim=1).indices.T
    found = gain_directions(logits, pictures, classes, others)
    for v, c, d, g in zip(pictures, classes, others, found, strict=True):
        slopes = 2 - torch.tanh(weights @ v).square()
        expected = slopes[c] * weights[c] - slopes[d] * weights[d]
        assert torch.allclose(g, expected, atol=1e-6)
    assert torch.equal(gain_directions(logits, pictures, classes, classes), torch.zeros(4, D).double())


def test_a_class_moves_towards_what_it_came_nearer_to():
    before, sentences = torch.eye(3), [torch.eye(3)[label : label + 1] for label in range(3)]
    after = 5 * torch.tensor([[0.8, 0.6, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]])
    texts = [["one"], ["two"], ["three"]]
    first, _, third = moved_sentences(before, after, texts, sentences, count=1)
    assert first.towards[0] == Spoken("two", pytest.approx(first.towards[0].score), 1)
    assert first.away[0].text == "one" and first.away[0].score < 0 < first.towards[0].score
    assert third.away[0].text == "two"  # which the mean of all classes came nearer to
    assert first.distance == pytest.approx(steps(before, after)[0].norm().item()) and first.distance > third.distance


def test_a_class_that_stays_does_not_move_though_others_do():
    eye = torch.eye(4)
    sentences = [eye[label : label + 1] for label in range(4)]
    found = moved_sentences(eye, eye[[1, 0, 2, 3]], [[str(label)] for label in range(4)], sentences)
    assert [bool(each.towards) for each in found] == [True, True, False, False] and found[3] == Movement([], [], 0.0)


@given(seeds, st.floats(0.1, 9))
def test_what_all_classes_have_in_common_and_a_longer_vector_are_no_movement(seed, length):
    before, common, sentences = unit_rows(seed, 3), unit_rows(seed + 1, 1), drawn(seed)[3]
    still = Movement([], [], 0.0)
    assert moved_sentences(before, length * before + common, TEXTS, sentences) == [still] * 3
    assert moved_sentences(before[:1], common, TEXTS[:1], sentences[:1]) == [still]


@given(seeds)
def test_towards_and_away_change_places_on_the_way_back(seed):
    before, after, sentences = unit_rows(seed, 3), unit_rows(seed + 1, 3), drawn(seed)[3]
    there, back = (moved_sentences(*pair, TEXTS, sentences) for pair in ((before, after), (after, before)))
    assert same([each.towards for each in there], [[s._replace(score=-s.score) for s in each.away] for each in back])
    assert all(len(each.towards) <= 3 and len(each.away) <= 3 for each in there)
