"""Run folders of an output folder: found without following a link, and read from metrics.json or else a log."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, NamedTuple

from dassl.errors import UserError
from dassl.names import OWN_FOLDER, file_name, natural_key
from report.logs import parse_log, read_log, says_phantoms, tested
from runs.changed import in_words, made_with, of_folder
from runs.layout import SEED, place_of
from runs.methods import row_name
from runs.record import Record, read_record

PHANTOM_BACKBONE = "PhantomCLIP"
LOGS = 20  # of one run, the newest
PLACE = f"{OWN_FOLDER}<folder>"  # a backbone in a folder, known only from the name of the run's folder
DEEPEST = 30  # folders below each other
MOST = 500_000  # files and folders in all
NOTHING = Record({}, {}, None, False, None, {}, {}, {}, 0, False)  # of a run that left no record


@dataclass(frozen=True)
class FoundRun:
    """A run folder, with the facts about it that its record has, or else its path.

    Attributes:
        path: the folder.
        dataset, trainer, backbone, shots, seed, subsample, context, protocol, llm: as in `runs.layout.Place`.
        changed: its settings that are not those of the yaml files, by key.
        told: keys of these that the title of its tables tells, so that its row does not.
        setting: "few_shot" or "base2new".
        phantom_images: its images are rendered.
        record: what it left; without figures unless it finished.
        problem: why it is not finished, "" if it is.
        backbone_folder: the part of its path that stands for the backbone: it tells apart two folders of one name.
        several_llms: its tables have runs of the same method with sentences of another LLM.
    """

    path: Path
    dataset: str = ""
    trainer: str = ""
    backbone: str = ""
    shots: int | None = None
    seed: int | None = None
    subsample: str = "all"
    context: str = ""
    protocol: str = "best"
    llm: str = ""
    changed: Mapping[str, Any] = field(default_factory=dict)
    told: frozenset[str] = frozenset()
    setting: str = "few_shot"
    phantom_images: bool = False
    record: Record = NOTHING
    problem: str = ""
    backbone_folder: str = ""
    several_llms: bool = False

    @property
    def row(self) -> str:
        """Name of its row in tables: trainer, protocol, the LLM where runs of several are shown, changed settings."""
        changed = {key: value for key, value in self.changed.items() if key not in self.told}
        return row_name(self.trainer, self.protocol, self.llm if self.several_llms else "", in_words(changed))

    @property
    def settings(self) -> dict[str, Any]:
        """All its settings that are recorded, by key."""
        return {**self.record.every_setting(self.trainer), **self.changed}

    def made_with(self, options: Sequence[tuple[str, Any]]) -> bool:
        """Return whether it is what these options make of its method, as `runs.changed.made_with`."""
        return made_with(options, self.changed, self.settings)

    @property
    def finished(self) -> bool:
        """Whether its figures count."""
        return not self.problem

    @property
    def metrics(self) -> dict[str, float]:
        """Figures in percent by name."""
        return self.record.metrics

    @property
    def phantom(self) -> bool:
        """Whether its images are rendered, or its backbone was trained on rendered images."""
        told = self.record.phantom_backbone
        return self.phantom_images or (self.backbone == PHANTOM_BACKBONE if told is None else told)


class Tree(NamedTuple):
    """Folders of runs, links (never followed), folders that cannot be looked into, and whether there are more."""

    runs: list[Path]
    links: list[Path]
    unread: list[Path]
    cut: bool


def read_run(folder: str | Path, test_log: bool = False) -> FoundRun:
    """Return one run; what is missing, half-written, unfinished or strange gives it a `problem`.

    Args:
        folder: of the run.
        test_log: a log that only tests counts as well.
    """
    folder = Path(folder)
    run = FoundRun(folder)
    try:
        run = _from_path(folder)
        names = [path.name for path in folder.iterdir()]
        if "metrics.json" in names:
            return _with_record(run, read_record(folder / "metrics.json"))
        return _with_logs(run, sorted(filter(is_run_file, names), reverse=True), test_log)
    except UserError as error:
        return replace(run, problem=str(error))
    except OSError as error:
        return replace(run, problem=f"{folder} cannot be read ({error.strerror}): change its rights.")


def _from_path(folder: Path) -> FoundRun:
    place = place_of(folder)
    backbone = PLACE if place.backbone.startswith(file_name(OWN_FOLDER)) else place.backbone
    return FoundRun(
        folder,
        **place._replace(backbone=backbone, changed="")._asdict()
        | {"changed": of_folder(place.changed, place.trainer) if place.changed else {}},
        setting=_setting(place.subsample),
        phantom_images=backbone == PHANTOM_BACKBONE,  # a guess, which a log or a record corrects
        backbone_folder=place.backbone,
    )


def _setting(subsample: str) -> str:
    return "few_shot" if subsample == "all" else "base2new"


def _with_record(run: FoundRun, record: Record) -> FoundRun:
    """Return a run with the facts of its record; those of the path stay if the record does not have them.

    A record of an earlier version has no `key`, but the data set's name in the registry ("COVID_19" for runs in
    covid/): then data set, shots and seed are those of the path, so far as it says them.
    """
    names = dict(record.names)
    if "key" in names:
        names["dataset"] = names.pop("key")
    else:
        names |= {key: told for key in ("dataset", "shots", "seed") if (told := getattr(run, key)) not in ("", None)}
    names.setdefault("setting", _setting(names.get("subsample", run.subsample)))
    names["llm"] = record.prompts.get("llm", run.llm)
    changed = run.changed if record.settings is None else record.changed
    return replace(run, **names, changed=changed, phantom_images=record.phantom_images, record=record)


def _with_logs(run: FoundRun, logs: list[str], test_log: bool) -> FoundRun:
    """Return a run with the newest of its logs that shows a result; it has a problem if none does."""
    if not logs:
        return replace(
            run, problem=f"{run.path} holds neither metrics.json nor log.txt: run its script again to fill it."
        )
    problem = ""
    for log in (run.path / name for name in logs[:LOGS]):
        try:
            text = read_log(log)
        except UserError as error:
            problem = problem or str(error)
            continue
        if (rendered := says_phantoms(text)) is not None:
            run = replace(run, phantom_images=rendered)
        if metrics := parse_log(text, test_log):
            return replace(run, record=NOTHING._replace(metrics=metrics))
        hint = "read it with --test-log if it only tests" if tested(text) and not test_log else "resume its run"
        problem = problem or f"{log} does not reach the result that ends a run: {hint}."
    return replace(run, problem=problem)


def find_runs(directory: str | Path, test_log: bool = False) -> list[FoundRun]:
    """Return the runs in `directory` (or itself, if it is one), seed 2 before seed 10."""
    directory = Path(directory)
    if _holds_run(directory):
        return [read_run(directory, test_log)]
    return [
        _link(folder) if folder.is_symlink() else read_run(folder, test_log)
        for folder in _subfolders(directory)
        if folder.is_symlink() or _holds_run(folder) or SEED.search(folder.name)
    ]


def find_all(directory: str | Path) -> list[FoundRun]:
    """Return all runs below `directory`, and what could not be looked into, which has a `problem`.

    Logs that only test count, since zero-shot has no others.
    """
    experiments, left_out = find_experiments(directory)
    runs = [run for folder in experiments for run in find_runs(folder, test_log=True)]
    known = {run.path for run in runs}
    changes = {run.path.parent.name: run.changed for run in runs if run.finished}
    # What an unfinished run changed is told in full by finished ones of the same settings.
    runs = [
        run if run.finished else replace(run, changed=changes.get(run.path.parent.name, run.changed)) for run in runs
    ]
    return runs + [run for run in left_out if run.path not in known]


def find_experiments(directory: str | Path) -> tuple[list[Path], list[FoundRun]]:
    """Return the folders below `directory`, at any depth, that hold run folders, and what could not be looked into.

    A sub-folder without any is listed itself. The runs in the second list have a `problem`: links, which are not
    followed, and folders that are too deep, too many or may not be read.
    """
    directory = Path(directory)
    tree = find_run_folders(directory)
    parents: dict[str, set[Path]] = {folder.name: set() for folder in _subfolders(directory) if not folder.is_symlink()}
    for run in tree.runs:
        top, *below = run.relative_to(directory).parts or [""]
        if below:
            parents[top].add(run.parent)
    experiments = [
        folder for top, each in parents.items() for folder in sorted(each or [directory / top], key=natural_key)
    ]
    left_out = [_link(path) for path in sorted(tree.links, key=natural_key)]
    left_out += [
        FoundRun(path, problem=f"{path} cannot be looked into: too deep, or no right to.") for path in tree.unread
    ]
    if tree.cut:
        words = "holds more files and folders than are looked at: only some of its runs are here; name a folder in it"
        left_out.append(FoundRun(directory, problem=f"{directory} {words}."))
    return experiments, left_out if directory.is_dir() else []


def _link(path: Path) -> FoundRun:
    problem = f"{path} is a symbolic link, which is not followed: put the folder itself there, or report on that one."
    try:
        return replace(_from_path(path), problem=problem)
    except UserError:
        return FoundRun(path, problem=problem)


def find_run_folders(top: Path) -> Tree:
    """Return the folders in `top` and below with a metrics.json, a log, or the name seed<n>; hidden ones left out."""
    found, waiting, seen = Tree([], [], [], False), [(top, 0)], 0
    while waiting:
        folder, depth = waiting.pop()
        holds = folder != top and bool(SEED.search(folder.name))
        try:
            with os.scandir(folder) as entries:
                for entry in entries:
                    seen += 1
                    if seen > MOST:
                        return found._replace(cut=True)
                    holds |= is_run_file(entry.name)
                    if entry.name.startswith("."):
                        continue
                    path = folder / entry.name
                    if entry.is_dir(follow_symlinks=False):
                        if depth < DEEPEST:
                            waiting.append((path, depth + 1))
                        else:
                            found.unread.append(path)
                    elif entry.is_symlink() and path.is_dir():
                        found.links.append(path)
        except OSError:
            found.unread.append(folder)
        if holds:
            found.runs.append(folder)
    return found


def is_run_file(name: str) -> bool:
    """Return whether a file of this name makes its folder a run's; Dassl adds the time to the name of a second log."""
    return name == "metrics.json" or name.startswith("log.txt")


def _holds_run(folder: Path) -> bool:
    try:
        return any(is_run_file(path.name) for path in folder.iterdir())
    except OSError:
        return False


def _subfolders(directory: Path) -> list[Path]:
    try:
        found = (path for path in directory.iterdir() if path.is_dir() and not path.name.startswith("."))
        return sorted(found, key=natural_key)
    except OSError:
        return []
