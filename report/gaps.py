"""The gaps of a report: what has not been run, and the commands that fill it."""

import os
import re
import shlex
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from dassl.console import IN_NAME
from dassl.names import OWN_FOLDER
from report.groups import Group
from report.render import Gap
from report.scores import Grid, Scores
from report.tables.ablation import METHOD, Ablation
from runs.changed import CUT, as_options
from runs.layout import LLM, of_own_images, own_datasets
from runs.methods import METHODS, llm_of, method_of, split_protocol, without_llm, without_settings
from runs.options import PLAIN_KEY

ROOT = Path(__file__).parents[1]
FLAG = re.compile(r"-+[A-Za-z]")  # begins what argparse would take for a flag
OUTPUT = "output"  # folder of all runs, unless OUTPUT= names another
KINDS = {"few_shot": "few-shot", "base2new": "base to novel", "ablation": "of vMFCoOp"}  # script -> in words


def row_of(method: str, rows: Iterable[str]) -> str | None:
    """Return the row of a method: the first that names an LLM, else its own, which has runs of earlier versions too.

    One with changed settings is taken only where there is no other.
    """
    own = [row for row in rows if method in (without_settings(row), without_llm(row))]
    own = [row for row in own if row == without_settings(row)] or own
    return next((row for row in own if row != method), own[0] if own else None)


def method_gaps(
    scores: Sequence[Mapping[str, Scores]], grid: Grid, group: Group, output: Path, script: str
) -> list[Gap]:
    """Return the gaps of one script, a line per method and data set; a run must be in all `scores`."""
    gaps = []
    # Settings and LLM of a row: a finished run tells them in full.
    runs = {run.row: run for run in sorted(group.runs, key=lambda run: run.finished)}
    for method in grid.methods:
        plain = method == without_settings(method)
        if plain and row_of(method, grid.methods) != method and not llm_of(method):
            continue  # runs of an earlier version, which named no LLM: those of today have a row of their own
        for dataset in grid.datasets:
            if missing := _missing([each[method] for each in scores], dataset):
                shots, seeds = missing
                if scores[0][method].single:
                    shots, seeds = shots[-1:], []
                run = runs.get(method)
                changed, llm = (run.changed, run.llm) if run else (group.common, "")
                gaps.append(_gap(method, method, dataset, shots, seeds, group, output, script, changed, llm))
    return gaps


def ablation_gaps(scores: Ablation, group: Group, output: Path, changed: Mapping[str, Any], llm: str = "") -> list[Gap]:
    """Return the gaps of Table 2, a line per data set: its script runs all rows, and both protocols.

    `changed` are the settings of all rows that are not those of the yaml files, and `llm` is whose sentences they read.
    """
    gaps = []
    for dataset in scores.grid.datasets:
        missing = _missing(list(scores.few_shot.values()), dataset)
        if not missing and dataset in scores.novel_grid.datasets:
            novel = _missing([*scores.base.values(), *scores.new.values()], dataset)
            missing = novel and (list(scores.grid.shots), novel[1])
        if missing:
            gaps.append(_gap("ablation", METHOD, dataset, *missing, group, output, "ablation", changed, llm))
    return gaps


def _missing(scores: Sequence[Scores], dataset: str) -> tuple[list[int], list[int]] | None:
    """Return numbers of shots and seeds at which any of the scores has no value on a data set; None for none."""
    holes = [(k, seed) for each in scores for k in each.grid.shots for seed in each.missing(dataset, k)]
    return (sorted({k for k, _ in holes}), sorted({seed for _, seed in holes})) if holes else None


def _gap(
    what: str,
    method: str,
    dataset: str,
    shots: Sequence[int],
    seeds: Sequence[int],
    group: Group,
    output: Path,
    script: str,
    changed: Mapping[str, Any],
    llm: str = "",
) -> Gap:
    hidden = OUTPUT if output == Path(OUTPUT) else "<output>"
    places = [(os.environ.get("DATA", "<folder>"), str(output)), ("<folder>", hidden)]
    commands = [
        fill_command(
            method,
            dataset,
            shots,
            group.backbone,
            data="phantoms" if group.phantom_images else data,
            output=where,
            seeds=seeds,
            script=script,
            changed=changed,
            llm="" if llm == LLM or of_own_images(dataset) else llm,
        )
        for data, where in places
    ]
    seed = f", seed {' '.join(map(str, seeds))}" if seeds else ""
    return Gap(f"{what} {KINDS[script]} on {dataset} at K = {' '.join(map(str, shots))}{seed}", *commands)


def fill_command(
    method: str,
    dataset: str,
    shots: int | Sequence[int],
    backbone: str,
    *,
    data: str,
    output: str | Path = OUTPUT,
    seeds: Sequence[int] = (),
    script: str = "few_shot",
    changed: Mapping[str, Any] | None = None,
    llm: str = "",
) -> str:
    """Return the shell line that makes the runs of a gap, or a sentence if there is none.

    Args:
        method: a short name, a trainer's name or a row of a table.
        dataset: name under which the runs are kept.
        shots: one or several numbers.
        backbone: its name; if only the last part of a folder is known, it gets `<folder>` before it.
        data: folder of the data sets, or "phantoms".
        output: folder of all runs.
        seeds: none for those that are run by default.
        script: of the method.
        changed: settings of the runs that are not those of the yaml files, by key.
        llm: whose sentences the runs read, if the row does not name it.

    >>> fill_command("coop", "btmri", [1, 16], "BiomedCLIP", data="/my data", seeds=[1])
    "DATA='/my data' SEEDS=1 bash scripts/coop/few_shot.sh btmri '1 16' BiomedCLIP"
    """
    if changed and CUT in changed:
        return "no command: nothing has finished with these settings, and the folder's name is too short for them"
    llm, method = llm_of(method) or llm, method_of(method)
    options = [*(["PROMPTS.LLM", llm] if llm else []), *as_options(changed or {})]
    if not all(PLAIN_KEY.fullmatch(key) for key in options[::2]) or any(map(FLAG.match, options[1::2])):
        return "no command: its settings are none that a command line takes"
    if split_protocol(method)[0] not in METHODS:
        return f"train {shlex.quote(method)}: trainers/ has no such method; for another checkout's, train.py --with"
    output = Path(output)
    if output.parent.name == "base2new":  # .../base2new/train_base and test_new come from one script
        output, script = output.parent.parent, "base2new"
    several = str(shots) if isinstance(shots, int) else " ".join(map(str, shots))
    settings = {
        "DATA": data,
        "SEEDS": " ".join(map(str, seeds)),
        "OUTPUT": "" if output == Path(OUTPUT) else str(output),
        "OPTS": shlex.join(options),
    }
    words = [f"{name}={shlex.quote(value)}" for name, value in settings.items() if value]
    dataset = next((own for own in own_datasets() if dataset.startswith(f"{own}-")), dataset)
    file = f"scripts/{method}/{script}.sh"
    call = ["bash", file] if (ROOT / file).is_file() else ["bash", f"scripts/{script}.sh", method]
    if backbone.startswith(OWN_FOLDER) and "/" not in backbone and "<" not in backbone:
        backbone = f"{OWN_FOLDER}<folder>/{backbone.removeprefix(OWN_FOLDER)}"
    line = " ".join([*words, shlex.join([*call, dataset, several, backbone])])
    if IN_NAME.search(line):  # a shell may obey it while it is pasted, whatever stands around it
        return "no command: a name in it has control characters"
    return line
