import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from report.stats import average_of_hms, ci95, harmonic_mean, hm_of_averages, paired_difference

PERCENT = st.floats(0.1, 100)


def keyed(*values, dataset="btmri", shots=16):
    return {(dataset, shots, seed): value for seed, value in enumerate(values, start=1)}


def test_ci95_golden():
    values = [76.0, 78.0, 80.0]  # population std sqrt(8 / 3) = 1.63299
    assert ci95(values) == pytest.approx(1.8479, abs=1e-4)


@given(st.lists(PERCENT, min_size=1, max_size=8))
def test_ci95_is_dassls(values):
    assert ci95(values) == pytest.approx(1.96 * np.std(values) / np.sqrt(len(values)), abs=1e-9)


def test_paired_difference_golden():
    ours, theirs = keyed(80.0, 75.0, 79.0), keyed(77.0, 74.0, 74.0)
    paired = paired_difference(ours, theirs)  # differences 3, 1, 5
    assert paired.mean == pytest.approx(3.0)
    assert paired.std == pytest.approx(math.sqrt(8 / 3))
    assert (paired.n, paired.p) == (3, None)


def test_only_common_keys_are_paired():
    ours = keyed(80.0, 70.0) | keyed(99.0, shots=8) | keyed(99.0, dataset="covid")
    theirs = keyed(79.0, 68.0, 10.0) | keyed(10.0, shots=4)
    assert paired_difference(ours, theirs)[:3] == (1.5, 0.5, 2)
    assert paired_difference(ours, keyed(1.0, dataset="busi")).n == 0


def test_wilcoxon_golden():
    theirs = keyed(*[0.0] * 6)
    assert paired_difference(keyed(1, 2, 3, 4, 5), theirs).p == pytest.approx(2 / 2**5)  # exact: all five positive
    assert paired_difference(keyed(1, -2, 3, 4, 5, 6), theirs).p == pytest.approx(6 / 2**6)  # W- = 2: {}, {1}, {2}
    assert paired_difference(keyed(0, 0, 0, 0, 0), theirs).p == 1.0
    assert paired_difference(keyed(1, 2, 3, 4), theirs).p is None


def test_harmonic_means_differ_and_are_named():
    base, novel = [90.0, 60.0], [30.0, 60.0]
    assert hm_of_averages(base, novel) == pytest.approx(2 * 75 * 45 / 120)  # 56.25
    assert average_of_hms(base, novel) == pytest.approx((45 + 60) / 2)  # 52.5
    assert hm_of_averages([77.35], [72.58]) == pytest.approx(74.89, abs=5e-3)  # the vMFCoOp paper's convention
    assert harmonic_mean(0.0, 50.0) == 0.0


@given(st.lists(st.tuples(PERCENT, PERCENT), min_size=1, max_size=11))
def test_average_of_hms_never_exceeds_hm_of_averages(pairs):
    base, novel = zip(*pairs, strict=True)
    assert average_of_hms(base, novel) <= hm_of_averages(base, novel) + 1e-9  # the harmonic mean is concave


def test_harmonic_means_need_pairs():
    for function in (hm_of_averages, average_of_hms):
        with pytest.raises(ValueError, match="2 and 1"):
            function([1.0, 2.0], [1.0])
