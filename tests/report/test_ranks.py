import numpy as np
import pytest

from report.stats import rank

CASES = {"good": [90.0, 80.0, 70.0, 60.0], "fair": [80.0, 80.0, 60.0, 61.0], "bad": [10.0, 20.0, 30.0, 40.0]}


def test_average_ranks_golden():
    ranking = rank(CASES)  # ranks 1, 1.5, 1, 2; 2, 1.5, 2, 1; 3, 3, 3, 3
    assert ranking.ranks == {"good": 1.375, "fair": 1.625, "bad": 3.0}
    # Friedman: 12 * 4 / (3 * 4) * (1.375^2 + 1.625^2 + 3^2 - 12) = 6.125 over the tie correction 1 - 6 / (4 * 24)
    assert ranking.p == pytest.approx(np.exp(-(6.125 / (1 - 6 / 96)) / 2))  # chi2 with two degrees of freedom
    assert ranking.blocks == 4
    assert ranking.critical_difference == pytest.approx(2.343 * (12 / 24) ** 0.5, abs=1e-3)
    assert ranking.cliques == [["good", "fair", "bad"]]  # 3 - 1.375 = 1.625 < 1.657


def test_the_critical_differences_of_demsars_example():
    cases = {name: [float(i + j) for j in range(14)] for i, name in enumerate("abcd")}
    assert rank(cases).critical_difference == pytest.approx(1.25, abs=5e-3)
    assert rank(cases, alpha=0.1).critical_difference == pytest.approx(1.12, abs=5e-3)


@pytest.mark.parametrize(("k", "q"), [(3, 2.343), (5, 2.728), (8, 3.031), (10, 3.164)])
def test_critical_values_of_demsars_table(k, q):
    cases = {str(i): [float(i), float(i + 1)] for i in range(k)}
    assert rank(cases).critical_difference * (12 / (k * (k + 1))) ** 0.5 == pytest.approx(q, abs=1e-3)


def test_cliques_are_the_longest_ones():
    rng = np.random.default_rng(0)
    cases = {
        name: (mean + rng.normal(0, 1, 60)).tolist() for name, mean in zip("abcde", (9, 8.6, 6, 5.6, 0), strict=True)
    }
    assert rank(cases).cliques == [["a", "b"], ["c", "d"]]


def test_ties_and_too_few():
    assert rank({"a": [1.0, 2.0], "b": [1.0, 2.0], "c": [1.0, 2.0]}).p == 1.0
    assert rank({"a": [1.0], "b": [2.0], "c": [3.0]}) is None
    assert rank({"a": [1.0, 2.0], "b": [2.0, 1.0]}) is None
    assert rank({}) is None
