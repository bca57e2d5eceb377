"""Average ranks of methods over data sets, after Demšar (2006): Friedman's test, then Nemenyi's critical difference."""

import math
from collections.abc import Mapping, Sequence
from functools import cache
from typing import NamedTuple

from report.scores import Grid, Scores


class Ranking(NamedTuple):
    """`ranks`: average rank per method, best first (1 is best); `cliques`: groups that are not told apart."""

    ranks: dict[str, float]
    blocks: int
    p: float
    critical_difference: float
    cliques: list[list[str]]


def complete_cases(scores: Mapping[str, Scores], grid: Grid) -> dict[str, list[float]]:
    """Means over seeds of each method on the pairs of data set and shots that every method has completed."""
    methods = {name: each for name, each in scores.items() if each.values}
    cases = [[each.mean(dataset, k) for each in methods.values()] for dataset in grid.datasets for k in grid.shots]
    complete = [case for case in cases if None not in case]
    return {name: [case[i] for case in complete] for i, name in enumerate(methods)}


def rank(cases: Mapping[str, Sequence[float]], alpha: float = 0.05) -> Ranking | None:
    """Ranking of methods by equally many values each, higher being better; None below three methods or two cases.

    Friedman's p is corrected for ties. The critical difference is q_alpha sqrt(k (k + 1) / (6 n)) for k methods and n
    cases, where q_alpha is a quantile of the studentized range divided by sqrt(2).
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
    """Longest runs of neighbours that lie within the difference, none inside another."""
    names = list(ranks)
    cliques: list[list[str]] = []
    for i, first in enumerate(names):
        clique = [name for name in names[i:] if ranks[name] - ranks[first] <= difference]
        if len(clique) > 1 and not (cliques and clique[-1] == cliques[-1][-1]):
            cliques.append(clique)
    return cliques
