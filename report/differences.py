"""Paired differences between one method and each other, on the data sets, shots and seeds that both have run."""

from collections.abc import Mapping

from report.scores import Grid, Scores
from report.tables import GAP, Key, Paired, Table, harmonic_mean, paired_difference

NOTE = (
    "Mean difference in points on the same data set, shots and seed, and from five pairs on the two-sided p of "
    "Wilcoxon's signed-rank test. The pairs of one data set are not independent of each other and no p is corrected "
    "for the number of comparisons: read them as a description, not as a proof."
)
Points = Mapping[str, Mapping[Key, float]]  # of each method


def by_shots_table(scores: Mapping[str, Scores], grid: Grid, subject: str, metric: str, where: str) -> Table:
    """Few-shot: each other method at each number of shots, and at all of them together."""
    points = {method: each.points() for method, each in scores.items()}
    parts = {str(k): _at(points, k) for k in grid.shots}
    if len(parts) > 1:
        parts["all"] = points
    title = f"Few-shot: paired differences in {metric} (points), {where}"
    return _table("differences", title, "K", parts, subject)


def base2new_table(
    base: Mapping[str, Scores], new: Mapping[str, Scores], shots: int, subject: str, metric: str, where: str
) -> Table:
    """Base to novel at one number of shots: base, novel and the harmonic mean of each seed's pair."""
    bases = _at({method: each.points() for method, each in base.items()}, shots)
    news = _at({method: each.points() for method, each in new.items()}, shots)
    hms = {
        method: {key: harmonic_mean(value, news[method][key]) for key, value in each.items() if key in news[method]}
        for method, each in bases.items()
    }
    parts = {"base": bases, "novel": news, "HM": hms}
    title = f"Base to novel at K = {shots}: paired differences in {metric} (points), {where}"
    return _table(f"differences_base2new_{shots}", title, "on", parts, subject)


def _table(name: str, title: str, what: str, parts: Mapping[str, Points], subject: str) -> Table:
    rows = []
    for other in next(iter(parts.values())):
        for part, points in parts.items():
            if other != subject:
                rows.append([other, part, *_cells(paired_difference(points[subject], points[other]))])
    return Table(name, title, [f"{subject} minus", what, "points", "pairs", "Wilcoxon p"], rows, NOTE)


def _cells(paired: Paired) -> list[str]:
    if not paired.n:
        return [GAP, "0", GAP]
    return [f"{paired.mean:+.2f} ± {paired.std:.2f}", str(paired.n), GAP if paired.p is None else f"{paired.p:.2g}"]


def _at(points: Points, shots: int) -> Points:
    return {m: {key: value for key, value in each.items() if key[1] == shots} for m, each in points.items()}
