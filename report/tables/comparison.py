"""The runs of several methods on one data set, what is missing of them, and their tables."""

import os
import shlex
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from dassl.console import printable
from dassl.errors import UserError
from report.collect import PHANTOM_BACKBONE, FoundRun, find_runs
from report.gaps import fill_command
from report.groups import check_same_data, tell_llms_apart
from report.render import GAP, Table, mean_std, render_within
from report.scores import METRICS, Grid, Key, Scores, values_by
from report.tables.few_shot import DIFFERENCES, PAIRED, difference_cells, metrics_row, seen_note, shots_headers
from runs.changed import folder_part, in_words
from runs.layout import SETTING, context_with, place_of, seeds_folder
from runs.methods import (
    METHODS,
    SEEDLESS,
    check_method,
    protocol_of_name,
    row_name,
    split_protocol,
    title_of,
    trainer_name,
    trainer_of,
)

WIDTH = 120  # columns of notes, where nothing else is known
HEADERS = METRICS | {"balanced_accuracy": "balanced acc"}  # short, so that a row fits into 120 columns
SPREAD = "±: standard deviation over the seeds (of the population, divided by n); a single seed has none."


@dataclass(frozen=True)
class Comparison:
    """Runs of several methods on one data set.

    Attributes:
        output: folder of all runs.
        dataset: name under which its runs are kept.
        backbone: its name.
        shots: numbers of shots.
        runs: of each row, as tables call it, and each number of shots.
        rows: of each method, named as the user did: one, or one for each LLM.
        options: settings of the runs that are not those of the yaml files: pairs of key and value.
        others: runs of these methods with other settings, which are not compared.
    """

    output: Path
    dataset: str
    backbone: str
    shots: list[int]
    runs: dict[tuple[str, int], list[FoundRun]]
    rows: dict[str, list[str]]
    options: tuple[tuple[str, Any], ...] = ()
    others: tuple[FoundRun, ...] = ()

    @property
    def changed(self) -> dict[str, Any]:
        """The settings of these runs that are not those of the yaml files, by key; those asked for without any run."""
        every = self.finished()
        return {k: v for run in every for k, v in run.changed.items()} if every else dict(self.options)

    @property
    def title_words(self) -> str:
        """What was changed in all methods, in words; what is of one method stands in its row."""
        return in_words({key: value for key, value in self.changed.items() if not key.startswith("TRAINER.")})

    @property
    def file_part(self) -> str:
        """The end of the names of files of this comparison."""
        return folder_part({key.removeprefix("TRAINER."): value for key, value in self.changed.items()})

    @property
    def methods(self) -> list[str]:
        """The rows in the order asked for."""
        return list(dict.fromkeys(method for method, _ in self.runs))

    @property
    def phantom(self) -> bool:
        """Whether images or backbone are phantoms, by the backbone's name and by finished runs."""
        return self.backbone == PHANTOM_BACKBONE or any(run.phantom for run in self.finished())

    @property
    def phantom_images(self) -> bool:
        """Whether the images are rendered, by finished runs; without any, by the backbone's name."""
        every = self.finished()
        return any(run.phantom_images for run in every) or (self.phantom and not every)

    def finished(self, method: str | None = None, shots: int | None = None) -> list[FoundRun]:
        """Return the finished runs, all or those of one method, one number of shots, or both."""
        cells = [runs for (m, k), runs in self.runs.items() if method in (None, m) and shots in (None, k)]
        return [run for runs in cells for run in runs if run.finished]

    def scores(self, metric: str) -> dict[str, Scores]:
        """Return the scores of each method on a grid of all seeds that there are."""
        seeds = sorted({run.seed for run in self.finished()}, key=lambda seed: (seed is None, seed or 0))
        grid = Grid(tuple(self.methods), (self.dataset,), tuple(self.shots), tuple(seeds))
        found: dict[str, Scores] = {}
        for method in self.methods:
            values: dict[Key, float] = {
                (self.dataset, k, seed): value
                for k in self.shots
                for seed, value in values_by(self.finished(method, k), metric, lambda run: run.seed).items()
            }
            found[method] = Scores(values, grid, trainer_of(method) in SEEDLESS)
        return found


def find_comparison(
    output: Path,
    dataset: str,
    backbone: str,
    shots: Sequence[int],
    methods: Sequence[str],
    setting: str = SETTING,
    options: Sequence[tuple[str, Any]] = (),
) -> Comparison:
    """Return the runs of every method and number of shots that were made with these options.

    Raises:
        UserError: they were made of different data; or a name is no method, and has no runs of another code base.
    """
    runs: dict[tuple[str, int], list[FoundRun]] = {}
    rows: dict[str, list[str]] = {}
    others: list[FoundRun] = []
    for method in methods:
        name, _ = split_protocol(method)
        trainer = trainer_name(name)
        context = context_with(setting, trainer, options)
        tops = _tops(output, name)
        places = {k: [seeds_folder(top, dataset, k, name, backbone, context) for top in tops] for k in shots}
        every = {k: _find_variants(each, trainer, protocol_of_name(method)) for k, each in places.items()}
        found = {k: [run for run in runs_at if _made_with(run, options)] for k, runs_at in every.items()}
        others += [run for k in shots for run in every[k] if run.finished and not _made_with(run, options)]
        check_method(method, others=[name] if any(every.values()) else [])
        llms = sorted({run.llm for each in found.values() for run in each}, key=lambda llm: (not llm, llm)) or [""]
        several = len(llms) > 1
        names = {llm: row_name(method, llm=llm if several else "", changed=_own_words(found, llm)) for llm in llms}
        rows[method] = list(names.values())
        runs |= {(row, k): [run for run in found[k] if run.llm == llm] for llm, row in names.items() for k in shots}
    comparison = Comparison(output, dataset, backbone, list(shots), runs, rows, tuple(options), tuple(others))
    check_same_data(comparison.finished())
    return comparison


def _made_with(run: FoundRun, options: Sequence[tuple[str, Any]]) -> bool:
    """Return whether options make a run; the LLM stands in the name of its folder, if it reads sentences at all."""
    llm = dict(options).get("PROMPTS.LLM", run.llm)
    return run.made_with(options) and run.llm in ("", llm)


def _own_words(found: Mapping[int, Sequence[FoundRun]], llm: str) -> str:
    """Return the changed settings of a method itself, in words."""
    runs = [run for runs_at in found.values() for run in runs_at if run.llm == llm]
    return in_words({k: v for run in runs for k, v in run.changed.items() if k.startswith("TRAINER.")})


def other_settings(comparison: Comparison) -> str:
    """Return a sentence on the runs with other settings, which are not compared; "" if there are none."""
    if not (others := comparison.others):
        return ""
    where = shlex.quote(str(comparison.output))
    return (
        f"Not compared: {len(others)} runs of these methods with other settings, such as {others[0].path}; "
        f"python -m report {where} has a row for each."
    )


def _tops(output: Path, method: str) -> list[Path]:
    """Return the folders in which <data set>/shots_<K> may hold runs of a method: another checkout's have its name."""
    theirs = trainer_name(method) not in METHODS.values()
    return [output, *(path for path in sorted(output.glob("*/")) if theirs and not path.is_symlink())]


def _find_variants(folders: Sequence[Path], trainer: str, protocol: str) -> list[FoundRun]:
    """Return the runs of a trainer by a protocol in `folders`, and in those beside them whose names add more.

    Our CoOp with BiomedCLIP and another checkout's CoOp_BiomedCLIP have folders of one name: records tell them apart.
    """
    beside = [(path, each.name) for each in folders for path in each.parent.glob("*") if not path.is_symlink()]
    places = sorted({*folders, *(path for path, name in beside if _context(path) == name)})
    # logs that only test count: zero-shot methods have no others
    runs = (run for place in places for run in find_runs(place, test_log=True))
    return [run for run in runs if (run.record.names.get("trainer", trainer), run.protocol) == (trainer, protocol)]


def _context(folder: Path) -> str:
    """Return the first part of the name of a folder of runs, "" for any other folder."""
    try:
        return place_of(folder / "seed1").context
    except UserError:  # a name that no table may print
        return ""


def gap_lines(comparison: Comparison) -> list[str]:
    """Return a line per unfinished run, and per method and number of shots that lacks seeds which another one has."""
    data = "phantoms" if comparison.phantom_images else os.environ.get("DATA", "<folder>")
    lines = []
    for (method, k), runs in comparison.runs.items():
        lines += [f"unfinished: {run.problem}" for run in runs if not run.finished]
        single = trainer_of(method) in SEEDLESS  # one run stands for every number of shots and every seed
        seeds = {run.seed for run in comparison.finished(method, None if single else k)}
        known = {run.seed for run in comparison.finished(shots=k)}
        missing = sorted(seed for seed in known - seeds if seed is not None)
        if seeds and (single or not missing):
            continue
        asked = missing if seeds else []
        what = f"{title_of(method)} at K = {k}" + (f", seed {' '.join(map(str, asked))}" if asked else "")
        dataset, backbone, output = comparison.dataset, comparison.backbone, comparison.output
        changed = dict(comparison.options)
        line = fill_command(method, dataset, k, backbone, data=data, output=output, seeds=asked, changed=changed)
        lines.append(f"missing: {what}: {line}")
    return lines


def methods_table(comparison: Comparison, scores: Mapping[str, Scores], title: str, metric: str) -> Table:
    """Return every metric at one number of shots, or `metric` at each of several."""
    first = "method (phantom)" if comparison.phantom else "method"
    notes = [SPREAD, *_chance(comparison, metric)]
    if len(comparison.shots) == 1:
        rows = [[title_of(method), *metrics_row(comparison.finished(method))] for method in scores]
        headers = [first, *HEADERS.values(), "seeds", "seconds"]
        notes += ["A lower ECE is better, and a higher value of all others.", *_time_notes(comparison)]
    else:
        rows = [
            [title_of(method), *(mean_std(each.runs_at(comparison.dataset, k)) for k in comparison.shots)]
            for method, each in scores.items()
        ]
        headers = [first, *shots_headers(comparison.shots)]
        notes += ["Lower is better."] if metric == "ece" else []
    told = [replace(run, told=frozenset(run.changed)) for run in comparison.finished()]  # by the title
    seen = seen_note(tell_llms_apart(told), title_of)
    return Table("comparison", title, headers, rows, "\n".join(filter(None, [*notes, seen])))


def _chance(comparison: Comparison, metric: str) -> list[str]:
    """Return what guessing reaches, if the records say the classes."""
    counts = {len(run.record.classes) for run in comparison.finished() if run.record.classes}
    if len(counts) != 1:
        return []
    (count,) = counts
    known = {"accuracy": f"{100 / count:.2f} % accuracy ({count} classes)", "auroc": "50 % AUROC"}
    shown = [words for name, words in known.items() if len(comparison.shots) == 1 or name == metric]
    return [f"Chance: {', '.join(shown)}."] if shown else []


def _time_notes(comparison: Comparison) -> list[str]:
    """Return what the column of seconds holds, and which method encoded what others find in the store."""
    spent: dict[str, float] = {}
    for method in comparison.methods:
        spent[title_of(method)] = sum(run.record.spent.get("encode", 0) for run in comparison.finished(method))
    encoded = "; ".join(f"{title} {seconds:.0f} s" for title, seconds in spent.items() if seconds >= 0.5)
    timed = [run for run in comparison.finished() if run.record.spent]
    old = len([run for run in timed if "encode" not in run.record.spent])
    theirs = all(run.trainer not in METHODS.values() for run in timed if "encode" not in run.record.spent)
    notes = ["seconds: training and test of a seed, without encoding images and sentences."] if timed else []
    notes += [f"Encoding, by the first that needs it, then in the store: {encoded}."] if encoded else []
    whose = "another code base" if theirs else "an earlier version or another code base"
    earlier = f"{old} of {len(timed)} runs are of {whose}: encoding is in their seconds."
    return [*notes, earlier] if old else notes


def differences_table(
    scores: Mapping[str, Scores], subject: str, others: Sequence[str], phantom: bool, metric: str, chosen: bool
) -> Table:
    """Return the paired differences: the subject's value minus each other's.

    Args:
        scores: of each row.
        subject, others: rows.
        phantom: whether images or backbone are phantoms.
        metric: its name in tables.
        chosen: the subject was named, and is not just the last of the methods.
    """
    ours = scores[subject].points()
    rows = [[title_of(other), *difference_cells(ours, scores[other].points())] for other in others]
    notes = [] if chosen else [f"{title_of(subject)} is compared because it is named last; --against names another."]
    notes += [DIFFERENCES]
    notes += [f"p {GAP}: fewer than five pairs."] if any(row[-1] == GAP for row in rows) else []
    title = f"Paired differences in {metric}: {title_of(subject)} minus each other method"
    return Table("differences", title, ["minus" + (" (phantom)" if phantom else ""), *PAIRED], rows, "\n".join(notes))


def as_text(tables: Sequence[Table], width: int | None = None) -> str:
    """Return tables with titles and notes as text; what is wider than `width` columns is split."""
    parts = []
    for table in tables:
        notes = [printable(line) for line in table.note.split("\n")]
        lines = [textwrap.fill(line, width or WIDTH, break_on_hyphens=False) for line in notes]
        parts += [printable(table.title), render_within(table.headers, table.rows, width), "\n".join(lines)]
    return "\n\n".join(parts)
