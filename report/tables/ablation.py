"""The ablation of vMFCoOp as in the paper's Table 2: which of its three terms each run was trained with."""

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from dassl.errors import UserError
from dassl.reading import read_yaml
from report import paper
from report.collect import FoundRun
from report.render import GAP, Table
from report.scores import Grid, Scores, hm_of_means
from report.tables.few_shot import AVERAGED, shots_headers
from runs.layout import of_earlier_settings
from runs.record import number

METHOD = "vMFCoOp"
LARGEST = 64 * 1024  # bytes of a config.yaml; ours have about 5,000, and a megabyte of yaml takes a minute to read


class Terms(NamedTuple):
    """L_SCE (else plain cross-entropy), L_anc and L_sc: used or not.

    >>> str(Terms(True, False, True))
    'SCE + sc'
    """

    sce: bool
    anc: bool
    sc: bool

    def __str__(self) -> str:
        return " + ".join(["SCE" if self.sce else "CE", *(["anc"] if self.anc else []), *(["sc"] if self.sc else [])])


TERM_KEYS = tuple(f"TRAINER.{METHOD.upper()}.{key}" for key in ("SCE", "LAMBDA_ANC", "LAMBDA_SC"))  # of settings
FULL = Terms(True, True, True)
ROWS = [Terms(*row["terms"]) for row in paper.TABLE2["rows"]]
NAMES = tuple(map(str, ROWS))


def terms_of(run: FoundRun) -> Terms | None:
    """Return the terms that a run was trained with, from its record or else its config.yaml.

    Other methods, and runs of vMFCoOp that left no settings, as those of other code bases do, count as FULL. Below the
    folder ablation/ a run that left none gives None.
    """
    return _terms_and_problem(run)[0]


def problem_of(run: FoundRun) -> str:
    """Return why the terms of a run cannot be read; "" where they can, are not there, or are not needed."""
    return _terms_and_problem(run)[1]


def _terms_and_problem(run: FoundRun) -> tuple[Terms | None, str]:
    if run.trainer != METHOD:
        return FULL, ""
    if run.record.method is None:
        return _terms_of_config(run.path)
    return _terms_and_reason(run.record.method, run.path / "metrics.json")


@cache
def _terms_of_config(folder: Path) -> tuple[Terms | None, str]:
    path = folder / "config.yaml"
    try:
        return _terms_and_reason(read_yaml(path, links=False, limit=LARGEST)["TRAINER"][METHOD.upper()], path)
    except UserError as error:
        return _unknown(path), str(error)
    except (FileNotFoundError, KeyError, TypeError):
        return _unknown(path), ""


def _terms_and_reason(settings: Mapping[str, Any], path: Path) -> tuple[Terms | None, str]:
    """Return the terms that settings of vMFCoOp switch on, and why they cannot be told."""
    try:
        weights = [number(settings[key], key, str(path)) for key in ("LAMBDA_ANC", "LAMBDA_SC")]
        if not isinstance(settings["SCE"], bool):
            raise UserError(f"Expected SCE to be true or false in {path}: delete it and run its script again.")
        return Terms(settings["SCE"], *map(bool, weights)), ""
    except UserError as error:
        return _unknown(path), str(error)
    except (KeyError, TypeError):
        return _unknown(path), ""


def _unknown(path: Path) -> Terms | None:
    return None if of_earlier_settings(path).startswith("ablation") else FULL


class Ablation(NamedTuple):
    """Scores of each row few-shot, and tested on the base and on the novel classes."""

    few_shot: dict[str, Scores]
    base: dict[str, Scores]
    new: dict[str, Scores]
    grid: Grid
    novel_grid: Grid


def ablation_table(scores: Ablation, source: str, metric: str, where: str) -> Table:
    """Return each row of the ablation, followed by the paper's if the metric is accuracy and it has the data sets."""
    grid, k = scores.grid, paper.NOVEL_SHOTS
    headers = ["L_SCE", "L_anc", "L_sc", "source", "base", "novel", "HM", *shots_headers(grid.shots)]
    rows = []
    for terms, printed in zip(ROWS, paper.TABLE2["rows"], strict=True):
        name, marks = str(terms), ["✓" if used else "" for used in terms]
        base, new = scores.base[name], scores.new[name]
        novel = [base.average(k), new.average(k), hm_of_means(base, new, k)]
        rows.append([*marks, source, *novel, *(scores.few_shot[name].average(k) for k in grid.shots)])
        if metric == "accuracy" and paper.has((*grid.datasets, *scores.novel_grid.datasets)):
            cells = dict(zip(paper.TABLE2["shots"], printed["mean"], strict=True))
            shots = [f"{cells[k]:.2f}" if k in cells else GAP for k in grid.shots]
            rows.append(
                [
                    *marks,
                    paper.of_sets(len(paper.DATASETS)),
                    *(f"{printed[key]:.2f}" for key in ("base", "novel", "hm")),
                    *shots,
                ]
            )
    note = (
        f"No mark under L_SCE: plain cross-entropy. {AVERAGED} "
        f"Base, novel and HM (harmonic mean of the averages) at K = {k}. "
        f"Data sets here: {', '.join(grid.datasets) or 'none'}; base to novel: "
        f"{', '.join(scores.novel_grid.datasets) or 'none'}. {' '.join(paper.TABLE2['inferred'])} "
        "The paper's HM of 74.71 in row 5 is no harmonic mean of its 74.35 and 74.08 (74.21)."
    )
    return Table("table2", f"Table 2: {metric} (%), ablation of vMFCoOp's three terms, {where}", headers, rows, note)
