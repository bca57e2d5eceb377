"""Confusion, bins and selective risk against scikit-learn, brute force and the metrics of a run."""

import itertools

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from sklearn.calibration import calibration_curve
from sklearn.metrics import confusion_matrix

from dassl.evaluation.metrics import BINS as BINS_OF_A_RUN
from dassl.evaluation.metrics import metrics
from report.page.calibration import (
    BINS,
    aurc,
    calibration_bins,
    confusion,
    edges,
    pooled,
    risk_at,
    risk_coverage,
    row_shares,
)

SIZES = [(1, 2), (7, 3), (200, 4), (1000, 11)]
CASES = st.lists(st.tuples(st.sampled_from([0.2, 0.35, 0.5, 0.75, 1.0]), st.booleans()), min_size=1, max_size=40)


def drawn(n: int, classes: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    return rng.integers(0, classes, n), rng.dirichlet(np.full(classes, 0.4), n)


def split(cases: list[tuple[float, bool]]) -> tuple[np.ndarray, np.ndarray]:
    confidence, hits = zip(*cases, strict=True)
    return np.array(confidence), np.array(hits)


@pytest.mark.parametrize(("n", "classes"), SIZES)
def test_confusion_is_that_of_scikit_learn(n, classes):
    labels, shares = drawn(n, classes)
    best = shares.argmax(axis=1)
    expected = confusion_matrix(labels, best, labels=range(classes))
    assert np.array_equal(confusion(labels, best, classes), expected)
    present = expected.sum(axis=1) > 0
    found = row_shares(expected.astype(float))
    assert np.allclose(found[present], confusion_matrix(labels, best, labels=range(classes), normalize="true")[present])
    assert np.isnan(found[~present]).all()


@pytest.mark.parametrize(("n", "classes"), SIZES)
def test_bins_are_those_of_scikit_learn_and_of_the_ece_of_a_run(n, classes):
    labels, shares = drawn(n, classes)
    confidence, hits = shares.max(axis=1), shares.argmax(axis=1) == labels
    bins = calibration_bins(confidence, hits)
    right, sure = calibration_curve(hits, confidence, n_bins=BINS)
    filled = bins.counts > 0
    assert np.allclose(bins.hits[filled] / bins.counts[filled], right)
    assert np.allclose(bins.confidence[filled] / bins.counts[filled], sure)
    told = metrics(torch.from_numpy(np.log(shares)), torch.from_numpy(labels), range(classes))
    assert bins.ece == pytest.approx(told["ece"], abs=1e-9) and BINS == BINS_OF_A_RUN


def test_an_edge_belongs_to_the_bin_below_it_as_in_the_ece_of_a_run():
    confidence = np.array([edges()[9], np.nextafter(edges()[9], 1), 1.0])
    assert np.flatnonzero(calibration_bins(confidence, np.array([True] * 3)).counts).tolist() == [8, 9, 14]


def test_bins_of_runs_together_hold_the_images_of_each():
    parts = [calibration_bins(*(split([(0.9, True), (0.3, hit)]))) for hit in (True, False)]
    together = calibration_bins(*split([(0.9, True), (0.3, True), (0.9, True), (0.3, False)]))
    assert all(np.allclose(a, b) for a, b in zip(pooled(parts), together, strict=True))


def brute_force(confidence: np.ndarray, hits: np.ndarray) -> np.ndarray:
    """Mean over all orders of the images, each with the most confident first."""
    curves = []
    for order in itertools.permutations(range(len(hits))):
        if all(confidence[a] >= confidence[b] for a, b in itertools.pairwise(order)):
            curves.append([sum(not hits[i] for i in order[:k]) / k for k in range(1, len(hits) + 1)])
    return np.mean(curves, axis=0)


@given(CASES.filter(lambda cases: len(cases) <= 6))
def test_risk_is_the_mean_over_all_orders(cases):
    assert np.allclose(risk_coverage(*split(cases)), brute_force(*split(cases)))


@given(CASES)
def test_what_holds_for_every_curve(cases):
    confidence, hits = split(cases)
    risk, n, wrong = risk_coverage(confidence, hits), len(hits), int((~hits).sum())
    assert risk[-1] == pytest.approx(1 - hits.mean()) and ((risk >= 0) & (risk <= 1)).all()
    k = np.arange(1, n + 1)
    best, worst = np.maximum(0, k - (n - wrong)) / k, np.minimum(k, wrong) / k  # errors last, errors first
    assert 100 * best.mean() - 1e-9 <= aurc(risk) <= 100 * worst.mean() + 1e-9
    bins = calibration_bins(confidence, hits)
    assert bins.counts.sum() == n and bins.hits.sum() == n - wrong and 0 <= bins.ece <= 100


@given(CASES)
def test_the_area_does_not_depend_on_the_order_of_the_images(cases):
    assert aurc(risk_coverage(*split(cases))) == pytest.approx(aurc(risk_coverage(*split(cases[::-1]))))


@given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4)), min_size=1))
def test_rows_of_a_confusion_matrix_sum_to_the_images_of_their_class(pairs):
    labels, best = (np.array(each) for each in zip(*pairs, strict=True))
    counts = confusion(labels, best, 5)
    assert np.array_equal(counts.sum(axis=1), np.bincount(labels, minlength=5))
    sums = row_shares(counts).sum(axis=1)
    assert np.allclose(sums[counts.sum(axis=1) > 0], 1)


@pytest.mark.parametrize(
    ("n", "share", "k"), [(100, 0.07, 7), (10, 0.25, 3), (3, 0.01, 1), (4, 1.0, 4), (1000, 0.9, 900)]
)
def test_a_coverage_is_reached_with_as_few_images_as_can_be(n, share, k):
    assert risk_at(np.arange(1, n + 1) / n, np.array([share]))[0] == k / n
