"""Statistics of values in percent: intervals, paired differences, harmonic means, and ranks of methods.

Every std here is the population's (`numpy.std`, divided by n), as Dassl's own script has it.
"""

import math
from collections.abc import Hashable, Mapping, Sequence
from functools import cache
from statistics import fmean, pstdev
from typing import NamedTuple, TypeVar

from dassl.errors import UserError

FEWEST_PAIRS = 5  # of a test
K = TypeVar("K", bound=Hashable)


class Paired(NamedTuple):
    """Differences in points between two methods on what both have run; `p` is None below five pairs."""

    mean: float
    std: float
    n: int
    p: float | None


class Ranking(NamedTuple):
    """Average ranks of methods.

    Attributes:
        ranks: average rank per method, best first; 1 is best.
        blocks: the number of cases.
        p: of Friedman's test.
        critical_difference: by Nemenyi, between two average ranks.
        cliques: groups of methods that are not told apart.
    """

    ranks: dict[str, float]
    blocks: int
    p: float
    critical_difference: float
    cliques: list[list[str]]


def ci95(values: Sequence[float]) -> float:
    """Return the half-width of the normal 95 % interval of the mean, 1.96 std / sqrt(n).

    >>> round(ci95([76.0, 78.0, 80.0]), 4)
    1.8479
    """
    return 1.96 * pstdev(values) / math.sqrt(len(values))


def paired_difference(ours: Mapping[K, float], theirs: Mapping[K, float]) -> Paired:
    """Return ours minus theirs over the keys that both have, from five pairs on with Wilcoxon's two-sided p.

    >>> paired_difference({1: 80.0, 2: 70.0, 3: 60.0}, {1: 79.0, 2: 68.0})
    Paired(mean=1.5, std=0.5, n=2, p=None)
    """
    differences = [ours[key] - theirs[key] for key in ours if key in theirs]
    if not differences:
        return Paired(math.nan, math.nan, 0, None)
    p = _wilcoxon(differences) if len(differences) >= FEWEST_PAIRS else None
    return Paired(fmean(differences), pstdev(differences), len(differences), p)


def _wilcoxon(differences: Sequence[float]) -> float:
    """Return the two-sided p of Wilcoxon's signed-rank test; differences of zero are left out."""
    nonzero = [difference for difference in differences if difference]
    if not nonzero:
        return 1.0
    from scipy.stats import wilcoxon

    return float(wilcoxon(nonzero).pvalue)


def harmonic_mean(base: float, novel: float) -> float:
    """Return the harmonic mean of two accuracies, 0 where either is 0.

    >>> round(harmonic_mean(80.0, 60.0), 2)
    68.57
    """
    return 2 * base * novel / (base + novel) if base and novel else 0.0


def hm_of_averages(base: Sequence[float], novel: Sequence[float]) -> float:
    """Return the harmonic mean of the averages over data sets: the convention of the vMFCoOp paper.

    >>> round(hm_of_averages([80.0, 90.0], [60.0, 30.0]), 2)
    58.85
    """
    _check_pairs(base, novel)
    return harmonic_mean(fmean(base), fmean(novel))


def average_of_hms(base: Sequence[float], novel: Sequence[float]) -> float:
    """Return the average over data sets of each one's harmonic mean, which other papers print under the same name.

    >>> round(average_of_hms([80.0, 90.0], [60.0, 30.0]), 2)
    56.79
    """
    _check_pairs(base, novel)
    return fmean(harmonic_mean(*pair) for pair in zip(base, novel, strict=True))


def _check_pairs(base: Sequence[float], novel: Sequence[float]) -> None:
    if len(base) != len(novel) or not base:
        raise UserError(f"Expected one base and one novel value per data set, but got {len(base)} and {len(novel)}.")


def rank(cases: Mapping[str, Sequence[float]], alpha: float = 0.05) -> Ranking | None:
    """Return the ranking of methods after Demšar (2006): Friedman's test, then Nemenyi's critical difference.

    Friedman's p is corrected for ties. The critical difference is q_alpha sqrt(k (k + 1) / (6 n)) for k methods and n
    cases, where q_alpha is a quantile of the studentized range divided by sqrt(2).

    Args:
        cases: equally many values of each method, higher being better.
        alpha: level of the critical difference.

    Returns:
        The ranking; None below three methods or two cases.
    """
    k, n = len(cases), min(map(len, cases.values()), default=0)
    if k < 3 or n < 2:
        return None
    import numpy as np
    from scipy.stats import friedmanchisquare, rankdata

    values = np.array(list(cases.values()))  # [method, case]
    tied = (values == values[0]).all()  # the test would divide by zero
    p = 1.0 if tied else float(friedmanchisquare(*values).pvalue)
    averages = rankdata(-values, axis=0).mean(axis=1)
    ranks = dict(sorted(zip(cases, averages.tolist(), strict=True), key=lambda pair: pair[1]))
    difference = _critical_value(k, alpha) * math.sqrt(k * (k + 1) / (6 * n))
    return Ranking(ranks, n, p, difference, _cliques(ranks, difference))


@cache
def _critical_value(k: int, alpha: float) -> float:
    from scipy.stats import studentized_range  # takes seconds

    return float(studentized_range.ppf(1 - alpha, k, math.inf)) / math.sqrt(2)


def _cliques(ranks: Mapping[str, float], difference: float) -> list[list[str]]:
    """Return the longest runs of neighbours that lie within the difference, none inside another."""
    names = list(ranks)
    cliques: list[list[str]] = []
    for i, first in enumerate(names):
        clique = [name for name in names[i:] if ranks[name] - ranks[first] <= difference]
        if len(clique) > 1 and not (cliques and clique[-1] == cliques[-1][-1]):
            cliques.append(clique)
    return cliques
