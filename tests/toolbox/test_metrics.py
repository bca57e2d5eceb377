"""The figures of a classification, by hand and against their definitions."""

import json
import math

import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from dassl.errors import UserError
from dassl.evaluation import build_evaluator, group_accuracy, metrics

NAMES = ["a", "b", "c"]


def logits_of(*probabilities):
    return torch.tensor(probabilities).double().log()


def test_golden_figures_by_hand():
    # label 0: taken for 0, 0 and 1; label 1: taken for 1 and 2; label 2: taken for 2
    scores = logits_of(
        [0.70, 0.20, 0.10],
        [0.50, 0.25, 0.25],
        [0.30, 0.60, 0.10],
        [0.10, 0.80, 0.10],
        [0.20, 0.30, 0.50],
        [0.30, 0.10, 0.60],
    )
    found = metrics(scores, torch.tensor([0, 0, 0, 1, 1, 2]), NAMES)
    assert list(found) == ["accuracy", "macro_f1", "balanced_accuracy", "auroc", "ece", "per_class"]
    assert found["accuracy"] == pytest.approx(100 * 4 / 6)
    assert found["per_class"] == pytest.approx({"a": 100 * 2 / 3, "b": 50, "c": 100})
    assert found["balanced_accuracy"] == pytest.approx(100 * (2 / 3 + 1 / 2 + 1) / 3)
    # F1 = 2 hits / (images of the class + predictions of it): a 4/(3+2), b 2/(2+2), c 2/(1+2)
    assert found["macro_f1"] == pytest.approx(100 * (4 / 5 + 2 / 4 + 2 / 3) / 3)
    # AUROC, a: of 9 pairs .7, .5, .3 against .1, .2, .3 all but one tie are in order: 8.5 / 9;
    # b: .8 beats .2, .25, .6, .1 and .3 beats all but .6: 7 / 8; c: .6 beats all: 5 / 5
    assert found["auroc"] == pytest.approx(100 * (8.5 / 9 + 7 / 8 + 1) / 3)
    # ECE, bins of 1/15 by confidence: .5 (right) and .5 (wrong) in one, |1 - 1| / 6; .6 (wrong) and .6 (right) in
    # one, |1.2 - 1| / 6; .7 (right) |.7 - 1| / 6; .8 (right) |.8 - 1| / 6
    assert found["ece"] == pytest.approx(100 * (0 + 0.2 + 0.3 + 0.2) / 6)


def test_a_class_without_images_changes_no_mean_but_taking_an_image_for_it_is_an_error():
    labels = torch.tensor([0, 0, 0, 0, 1, 1, 1, 1])
    perfect = torch.eye(3)[labels] * 9
    found = metrics(perfect, labels, NAMES)
    assert [found[k] for k in ("accuracy", "macro_f1", "balanced_accuracy", "auroc")] == pytest.approx([100.0] * 4)
    assert found["per_class"] == {"a": 100.0, "b": 100.0, "c": None}
    perfect[0] = torch.tensor([0.0, 1.0, 9.0])
    found = metrics(perfect, labels, NAMES)
    assert found["per_class"] == {"a": 75.0, "b": 100.0, "c": None}
    assert found["macro_f1"] == pytest.approx(100 * (6 / 7 + 1) / 2)
    assert found["balanced_accuracy"] == 87.5
    # a against the rest: the image taken for c has less of a (1 / (1 + e + e^9)) than the four of b (1 / (2 + e^9)),
    # the three others have more: 12 of 16 pairs; b against the rest: all in order; c, without images, does not count
    assert found["auroc"] == pytest.approx(100 * (12 / 16 + 1) / 2)


def test_images_of_one_class_have_no_auroc_and_the_record_says_null():
    found = metrics(torch.tensor([[2.0, 1.0], [1.0, 2.0]]), torch.tensor([1, 1]), ["a", "b"])
    assert found["auroc"] is None and json.loads(json.dumps(found))["auroc"] is None
    assert found["per_class"] == {"a": None, "b": 50.0}
    assert (found["accuracy"], found["balanced_accuracy"]) == (50.0, 50.0)
    assert found["macro_f1"] == pytest.approx(100 * 2 / 3)


def test_equal_scores_have_an_auroc_of_one_half_and_the_first_class_is_taken():
    found = metrics(torch.zeros(4, 2), torch.tensor([0, 1, 1, 1]), ["a", "b"])
    assert (found["auroc"], found["accuracy"], found["ece"]) == (50.0, 25.0, 25.0)


def test_sure_scores_keep_their_order():
    # in float32 both softmaxes are 1 and would tie
    found = metrics(torch.tensor([[30.0, 0.0], [25.0, 0.0]]), torch.tensor([0, 1]), ["a", "b"])
    assert found["auroc"] == 100.0


def test_confidences_of_one_bin_make_good_for_each_other_and_those_of_two_do_not():
    labels = torch.tensor([0, 1])  # the first is right, the second wrong
    one = metrics(logits_of([0.59, 0.41], [0.56, 0.44]), labels, ["a", "b"])  # both in (8/15, 9/15]
    two = metrics(logits_of([0.61, 0.39], [0.56, 0.44]), labels, ["a", "b"])
    assert one["ece"] == pytest.approx(100 * (0.59 + 0.56 - 1) / 2)
    assert two["ece"] == pytest.approx(100 * ((1 - 0.61) + 0.56) / 2)


def test_a_certain_prediction_is_in_the_last_bin():
    found = metrics(torch.tensor([[1e4, 0.0], [1e4, 0.0], [2.9, 0.0]]), torch.tensor([0, 1, 0]), ["a", "b"])
    last = 1 / (1 + math.exp(-2.9))  # .948, in the same bin
    assert found["ece"] == pytest.approx(100 * abs(1 + 1 + last - 2) / 3)


def test_scores_that_are_not_numbers_are_refused():
    with pytest.raises(UserError, match=r"finite scores, but those of 1 of 2 images"):
        metrics(torch.tensor([[1.0, 0.0], [float("nan"), 0.0]]), torch.tensor([0, 1]), ["a", "b"])


def auroc_by_definition(probabilities, labels) -> float | None:
    """Return the share of pairs of an image of the class and another one whose scores are in order; ties count 1/2."""
    areas = []
    for i in sorted(set(labels)):
        mine = [p[i] for p, label in zip(probabilities, labels, strict=True) if label == i]
        rest = [p[i] for p, label in zip(probabilities, labels, strict=True) if label != i]
        if rest:
            areas.append(sum((m > r) + 0.5 * (m == r) for m in mine for r in rest) / (len(mine) * len(rest)))
    return 100 * sum(areas) / len(areas) if areas else None


def ece_by_definition(probabilities, predicted, labels) -> float:
    bins = {}
    for p, guess, label in zip(probabilities, predicted, labels, strict=True):
        bins.setdefault(math.ceil(max(p) * 15), []).append((max(p), guess == label))
    gaps = (abs(sum(c for c, _ in held) - sum(hit for _, hit in held)) for held in bins.values())
    return 100 * sum(gaps) / len(labels)


def macro_f1_by_definition(predicted, labels) -> float:
    pairs, found = list(zip(predicted, labels, strict=True)), []
    for i in set(labels):
        hits, taken, there = pairs.count((i, i)), predicted.count(i), labels.count(i)
        precision, recall = hits / taken if taken else 0, hits / there
        found.append(2 * precision * recall / (precision + recall) if hits else 0)
    return 100 * sum(found) / len(found)


@given(st.data(), st.integers(2, 5), st.integers(1, 25))
@settings(max_examples=60, deadline=None)
def test_figures_equal_their_definitions(data, classes, n):
    labels = data.draw(st.lists(st.integers(0, classes - 1), min_size=n, max_size=n))  # some classes may be absent
    level = st.integers(-4, 4)  # few levels: many ties
    rows = data.draw(st.lists(st.lists(level, min_size=classes, max_size=classes), min_size=n, max_size=n))
    logits = torch.tensor(rows).double() * 0.7
    probabilities, predicted = logits.softmax(dim=1).tolist(), logits.argmax(dim=1).tolist()
    found = metrics(logits, torch.tensor(labels), range(classes))
    assert found["accuracy"] == pytest.approx(100 * sum(map(int.__eq__, predicted, labels)) / n)
    assert found["macro_f1"] == pytest.approx(macro_f1_by_definition(predicted, labels))
    assert found["auroc"] == pytest.approx(auroc_by_definition(probabilities, labels))
    assert found["ece"] == pytest.approx(ece_by_definition(probabilities, predicted, labels), abs=1e-9)
    recalls = dict.fromkeys(range(classes))
    for i in set(labels):
        recalls[i] = 100 * sum(p == i == label for p, label in zip(predicted, labels, strict=True)) / labels.count(i)
    assert found["per_class"] == pytest.approx(recalls)
    present = [value for value in recalls.values() if value is not None]
    assert found["balanced_accuracy"] == pytest.approx(sum(present) / len(present))


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_the_evaluator_prints_the_figures_that_the_record_holds(cfg, capsys, dtype):
    # four answers of three classes, of which c has no image but is taken once
    scores = torch.eye(3)[[0, 0, 1, 2]].to(dtype).requires_grad_()
    labels = torch.tensor([0, 0, 1, 1])
    evaluator = build_evaluator(cfg)
    evaluator.process(scores[:3], labels[:3])
    evaluator.process(scores[3:], labels[3:])
    capsys.readouterr()
    results, found = evaluator.evaluate(), metrics(scores, labels, NAMES)
    log = capsys.readouterr().out
    assert results["macro_f1"] == found["macro_f1"] == pytest.approx(100 * (1 + 2 / 3) / 2)
    assert results["accuracy"] == found["accuracy"] == 75.0
    assert "* accuracy: 75.00%\n* error: 25.00%\n* macro_f1: 83.33%" in log


@given(st.data(), st.integers(2, 4), st.integers(1, 20))
@settings(max_examples=80, deadline=None)
def test_group_accuracy_equals_its_definition(data, classes, n):
    labels = data.draw(st.lists(st.integers(0, classes - 1), min_size=n, max_size=n))
    groups = data.draw(st.lists(st.sampled_from("abcdefgh"), min_size=n, max_size=n))
    rows = data.draw(st.lists(st.lists(st.integers(-4, 4), min_size=classes, max_size=classes), min_size=n, max_size=n))
    logits = torch.tensor(rows).float() * 0.7
    probabilities = logits.double().softmax(dim=1).tolist()
    hits, mixed = [], 0
    for name in set(groups):
        mine = [i for i, group in enumerate(groups) if group == name]
        sums = [sum(probabilities[i][c] for i in mine) for c in range(classes)]
        first, second = sorted(sums)[-1:-3:-1]
        assume(first - second > 1e-9)  # no ties, whose winner is a matter of rounding
        if len({labels[i] for i in mine}) > 1:
            mixed += 1
        else:
            hits.append(sums.index(first) == labels[mine[0]])
    accuracy, one, several = group_accuracy(logits, torch.tensor(labels), groups)
    assert (one, several) == (len(hits), mixed)
    assert accuracy == (pytest.approx(100 * sum(hits) / len(hits)) if hits else None)


def test_groups_of_one_image_have_the_accuracy_of_the_images():
    logits, labels = torch.tensor([[2.0, 0.0], [2.0, 0.0], [0.0, 1.0]]), torch.tensor([0, 1, 1])
    assert group_accuracy(logits, labels, ["c", "b", "a"]) == (pytest.approx(200 / 3), 3, 0)
    assert group_accuracy(logits, labels, ["a"] * 3) == (None, 0, 1)
