"""What a table still misses, and the shell line that fills it."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from report.commands import fill_command
from report.groups import Group
from report.scores import Grid, Scores
from report.table2 import Ablation
from runs.methods import short_name

DEFAULT = "output"  # folder of all runs, unless OUTPUT= names another


class Gap(NamedTuple):
    """Missing runs in words, and the command that makes them; finished ones are not run again.

    `shared` is the command with `<folder>` and `<output>` in place of paths of this machine.
    """

    what: str
    command: str
    shared: str


def method_gaps(scores: Sequence[dict[str, Scores]], grid: Grid, group: Group, output: Path, script: str) -> list[Gap]:
    """Gaps of one script ("few_shot" or "base2new"), a line per method and data set; a run must be in all `scores`."""
    gaps = []
    for method in grid.methods:
        for dataset in grid.datasets:
            missing = _missing([each[method] for each in scores], dataset)
            if missing:
                shots, seeds = missing
                if scores[0][method].single:
                    shots, seeds = shots[-1:], ()
                gaps.append(_gap(short_name(method), method, dataset, shots, seeds, group, output, script))
    return gaps


def ablation_gaps(scores: Ablation, group: Group, output: Path) -> list[Gap]:
    """Gaps of Table 2, a line per data set: its script runs all rows, and both protocols."""
    gaps = []
    for dataset in scores.grid.datasets:
        missing = _missing(list(scores.few_shot.values()), dataset)
        if not missing and dataset in scores.novel_grid.datasets:
            novel = _missing([*scores.base.values(), *scores.new.values()], dataset)
            missing = novel and (list(scores.grid.shots), novel[1])
        if missing:
            gaps.append(_gap("vmfcoop", "ablation", dataset, *missing, group, output, "ablation"))
    return gaps


def _missing(scores: Sequence[Scores], dataset: str) -> tuple[list[int], list[int]] | None:
    """Numbers of shots and seeds at which any of the scores has no value on a data set."""
    holes = [(k, seed) for each in scores for k in each.grid.shots for seed in each.missing(dataset, k)]
    return (sorted({k for k, _ in holes}), sorted({seed for _, seed in holes})) if holes else None


def _gap(
    folder: str,
    what: str,
    dataset: str,
    shots: Sequence[int],
    seeds: Sequence[int],
    group: Group,
    output: Path,
    script: str,
) -> Gap:
    places = [(os.environ.get("DATA", "<folder>"), str(output)), ("<folder>", DEFAULT)]
    if output != Path(DEFAULT):
        places[1] = "<folder>", "<output>"
    commands = [
        fill_command(
            folder,
            dataset,
            shots,
            group.backbone,
            data="phantoms" if group.rendered else data,
            output=where,
            seeds=seeds,
            script=script,
        )
        for data, where in places
    ]
    kind = {"few_shot": "few-shot", "base2new": "base to novel", "ablation": "of vMFCoOp"}[script]
    seed = f", seed {' '.join(map(str, seeds))}" if seeds else ""
    return Gap(f"{what} {kind} on {dataset} at K = {' '.join(map(str, shots))}{seed}", *commands)
