"""The critical-difference diagram of Demšar (2006)."""

from pathlib import Path

from report.plots import GREY, canvas, save, short
from report.ranks import Ranking

ROW, BAR = 0.55, 0.3  # heights of a name and of a bar, where a rank is 1 wide


def plot_ranks(
    ranking: Ranking, path: str | Path, title: str, svg: bool = False, within: str | Path | None = None
) -> None:
    """Writes a PNG: average ranks on a line, bars below it that join methods which are not told apart."""
    k, levels = len(ranking.ranks), _levels(ranking)
    names_top = -ROW - BAR * max(levels, default=0)
    bottom = names_top - ROW * ((k + 1) // 2)
    figure, axes = canvas(height=1.5 - 0.45 * bottom)
    axes.hlines(0, 1, k, color="black", linewidth=1.2)
    for tick in range(1, k + 1):
        axes.vlines(tick, 0, 0.12, color="black", linewidth=1.2)
        axes.text(tick, 0.2, str(tick), ha="center", va="bottom")

    margin = 0.06 * (k - 1)
    for i, (name, rank) in enumerate(ranking.ranks.items()):
        name = short(name)
        left = i < (k + 1) // 2  # the better half on the left, the best and the worst on top
        y = names_top - ROW * (i if left else k - 1 - i)
        end = 1 - margin if left else k + margin
        axes.plot([rank, rank, end], [0, y, y], color=GREY, linewidth=1)
        axes.plot(rank, 0, "o", color="black", markersize=5, zorder=3)
        if left:
            axes.text(end - 0.1 * margin, y, f"{name}  {rank:.2f}", ha="right", va="center")
        else:
            axes.text(end + 0.1 * margin, y, f"{rank:.2f}  {name}", ha="left", va="center")

    for level, clique in zip(levels, ranking.cliques, strict=True):
        ends = [ranking.ranks[clique[0]] - 0.03, ranking.ranks[clique[-1]] + 0.03]
        axes.plot(ends, [-BAR * level] * 2, color="black", linewidth=4, solid_capstyle="round")

    ruler = [1, 1 + ranking.critical_difference]
    axes.plot(ruler, [1, 1], color="black", linewidth=1.2)
    axes.vlines(ruler, 0.88, 1.12, color="black", linewidth=1.2)
    axes.text(sum(ruler) / 2, 1.2, f"CD = {ranking.critical_difference:.2f}", ha="center", va="bottom")
    axes.set_xlim(1 - 8 * margin, k + 8 * margin)
    axes.set_ylim(bottom, 1.8)
    axes.axis("off")
    save(figure, axes, path, title, svg, within)


def _levels(ranking: Ranking) -> list[int]:
    """How far below the line each bar is drawn, 1 being next to it: as near as no other bar is touched."""
    ends: list[float] = []  # of the last bar on each level
    levels = []
    for clique in ranking.cliques:
        first, last = ranking.ranks[clique[0]], ranking.ranks[clique[-1]]
        level = next((i for i, end in enumerate(ends) if end + 0.2 < first), len(ends))
        ends[level : level + 1] = [last]
        levels.append(level + 1)
    return levels
