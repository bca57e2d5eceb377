"""Experiments below a folder: the seeds of each, and which of them may be averaged over data sets."""

import sys
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from statistics import fmean, pstdev
from typing import NamedTuple

from dassl.errors import UserError
from dassl.names import file_name
from report.collect import FoundRun, find_experiments, find_runs
from report.groups import check_same_data, mixed_settings
from report.render import GAP
from report.stats import ci95
from runs.changed import in_words
from runs.layout import PARTS
from runs.methods import METHODS, check_method, row_name, split_protocol, trainer_name

CLASSES = {"all": "", "base": "base classes", "new": "novel classes"}  # that were tested -> in words
BOTH = "both"  # base and novel classes
MOST_NAMED = 20  # averages that could be asked for


class Asked(NamedTuple):
    """The runs that a command line asks for; "" and None for all.

    Attributes:
        method: a method's short name or its trainer's, with a protocol after a colon or without.
        shots: images per class.
        backbone: its name.
        setting: "few_shot", "base2new", or the name of the folder between method and seeds.
        subsample: classes of the test, a key of CLASSES or BOTH.
        test_log: logs that only test count as well.
    """

    method: str = ""
    shots: int | None = None
    backbone: str = ""
    setting: str = ""
    subsample: str = ""
    test_log: bool = False

    def __bool__(self) -> bool:
        """Whether anything is asked for, beside logs that only test."""
        return self._replace(test_log=False) != Asked()

    def __contains__(self, run: object) -> bool:
        """Whether a run is asked for."""
        return isinstance(run, FoundRun) and all(test(run) for test in self._tests())

    def _tests(self) -> Iterable[Callable[[FoundRun], bool]]:
        if self.method:
            name, protocol = split_protocol(self.method)
            names = {name, trainer_name(name)}
            yield lambda run: bool(names & {run.trainer, f"{run.trainer}_{run.backbone_folder}"})
            yield lambda run: protocol in ("", run.protocol)
        if self.shots is not None:
            yield lambda run: run.shots == self.shots
        if self.backbone:
            yield lambda run: file_name(self.backbone) in (file_name(run.backbone), run.backbone_folder)
        if self.setting:
            yield lambda run: self.setting in (run.setting, run.context, run.path.parent.name)
        if self.subsample:
            yield lambda run: run.subsample in (("base", "new") if self.subsample == BOTH else (self.subsample,))


class Kind(NamedTuple):
    """All that experiments share whose values may be averaged; "" and None for what neither record nor path says.

    Attributes:
        place: folders between the directory and that of the data set.
        row: method and protocol.
        shots: images per class.
        backbone: as part of a folder's name.
        classes: that were tested, a key of CLASSES.
        settings: name of the folder between method and seeds.
        llm: whose sentences were read.
        phantom_images: the images are rendered.
    """

    place: str = ""
    row: str = ""
    shots: int | None = None
    backbone: str = ""
    classes: str = "all"
    settings: str = ""
    llm: str = ""
    phantom_images: bool = False

    @property
    def title(self) -> str:
        """The kind in words, "" if nothing is known of it."""
        shots = "" if self.shots is None else f"K = {self.shots}"
        llm = "" if self.settings else self.llm
        where = f"in {self.place}" if self.place else ""
        images = "phantom images" if self.phantom_images else ""
        words = self.row, shots, self.backbone, images, CLASSES.get(self.classes, ""), self.settings, llm, where
        return ", ".join(filter(None, words))


class Experiment(NamedTuple):
    """The runs of one folder that count, the mean of their values, and its spread, which is 0 for a single run."""

    folder: Path
    runs: Sequence[FoundRun]
    mean: float
    spread: float

    @property
    def single(self) -> bool:
        """Whether it has one run, whose spread says nothing."""
        return len(self.runs) == 1

    @property
    def phantom(self) -> bool:
        """Whether images or backbone are phantoms."""
        return any(run.phantom for run in self.runs)

    @property
    def dataset(self) -> str:
        """Key of its data set, "" if it is not known."""
        return self.runs[0].dataset

    @property
    def cells(self) -> list[str]:
        """Mean, spread and number of runs, as cells of a table."""
        return [*cells_of(*average([self])), str(len(self.runs))]


def average(experiments: Sequence[Experiment]) -> tuple[float, float | None]:
    """Return the averages of means and of spreads, None for the latter if an experiment has a single run."""
    spread = None if any(each.single for each in experiments) else fmean(each.spread for each in experiments)
    return fmean(each.mean for each in experiments), spread


def cells_of(mean: float, spread: float | None) -> list[str]:
    """Return mean and spread as cells of a table.

    >>> cells_of(77.5, 1.0), cells_of(77.5, None)
    (['77.50', '1.00'], ['77.50', '-'])
    """
    return [f"{mean:.2f}", GAP if spread is None else f"{spread:.2f}"]


def experiment_of(
    folder: Path, found: Sequence[FoundRun], metric: str, with_ci95: bool = False, one_line: bool = False
) -> Experiment | None:
    """Return the experiment of a folder, None if no run counts; say on stderr what is not counted.

    Args:
        folder: of the runs.
        found: its runs.
        metric: the figure that is averaged.
        with_ci95: the spread is half of the 95 % interval, instead of the std.
        one_line: all that is unfinished is told in one line.
    """
    finished = [run for run in found if run.finished]
    problems = [run.problem for run in found if not run.finished]
    if one_line and problems:
        told = [f"Not counted: {len(problems)} of {len(found)} runs in {folder}, such as: {problems[0]}"]
    else:
        told = [f"Unfinished, not counted: {problem}" for problem in problems]
    for run in finished:
        if metric not in run.metrics:
            known = ", ".join(sorted(run.metrics))
            told.append(f"Not counted: {run.path} has no metric {metric!r}; it has {known}.")
    for line in told:
        print(line, file=sys.stderr)
    counted = [run for run in finished if metric in run.metrics]
    if not counted:
        return None
    check_same_data(counted)
    values = [run.metrics[metric] for run in counted]
    return Experiment(folder, counted, fmean(values), ci95(values) if with_ci95 else pstdev(values))


def kind_of(run: FoundRun, directory: Path) -> Kind:
    """Return what a run below `directory` shares with those that it may be averaged with."""
    if not (run.dataset and run.trainer):
        return Kind(phantom_images=run.phantom_images)
    parts = run.path.relative_to(directory).parts
    shots = next((i for i, part in enumerate(parts) if part.startswith("shots_")), 0)
    return Kind(
        "/".join(part for part in parts[: max(0, shots - 1)] if part not in PARTS.values()),
        row_name(run.trainer, run.protocol),
        run.shots,
        run.backbone_folder or file_name(run.backbone),
        run.subsample,
        ", ".join(filter(None, [run.path.parent.name if run.context else "", in_words(run.changed)])),
        run.llm,
        run.phantom_images,
    )


def find_kinds(directory: Path, asked: Asked, metric: str, with_ci95: bool = False) -> dict[Kind, list[Experiment]]:
    """Return the experiments below a folder by what may be averaged; say on stderr what is not counted.

    Args:
        directory: folder of them all.
        asked: which of them are wanted.
        metric, with_ci95: as for `experiment_of`.

    Raises:
        UserError: there are runs, but none that is asked for.
    """
    folders, left_out = find_experiments(directory)
    for run in left_out:
        print(f"Not counted: {run.problem}", file=sys.stderr)
    found = {folder: find_runs(folder, asked.test_log) for folder in folders}
    if empty := [str(folder) for folder, runs in found.items() if not runs and _has_no_file(folder)]:
        print(f"Nothing found in {', '.join(empty)}: expected sub-folders such as seed1/.", file=sys.stderr)
    chosen = {folder: [run for run in runs if run in asked] for folder, runs in found.items()}
    every = [run for runs in found.values() for run in runs]
    if every and not any(chosen.values()):
        _nothing_of_it(directory, asked, every)
    kinds: dict[Kind, list[Experiment]] = {}
    for folder, runs in chosen.items():
        places = [(kind_of(run, directory), run.dataset) for run in runs]
        for kind, dataset in dict.fromkeys(places):  # one, unless the folder mixes what does not belong together
            own = [run for run, place in zip(runs, places, strict=True) if place == (kind, dataset)]
            if experiment := experiment_of(folder, own, metric, with_ci95, one_line=True):
                kinds.setdefault(kind, []).append(experiment)
    for experiments in kinds.values():
        for remark in mixed_settings(run for each in experiments for run in each.runs):
            print(remark, file=sys.stderr)
    return dict(each for named in kinds.items() for each in _apart(*named, directory))


def _has_no_file(folder: Path) -> bool:
    return not any(path.is_file() for path in folder.rglob("*"))


def _nothing_of_it(directory: Path, asked: Asked, every: Sequence[FoundRun]) -> None:
    """Raise the UserError that tells what could be asked for."""
    if asked.method:
        check_method(asked.method, sorted({run.trainer for run in every} - {"", *METHODS.values()}))
    known = list(dict.fromkeys(kind_of(run, directory).title for run in every))
    more = [f"{len(known) - MOST_NAMED} more"] if len(known) > MOST_NAMED else []
    raise UserError(
        f"Expected runs of what is asked for in {directory}, but it has: "
        f"{'; '.join([*filter(None, known[:MOST_NAMED]), *more]) or 'others'}: ask for one of these."
    )


def _apart(kind: Kind, experiments: list[Experiment], directory: Path) -> Iterable[tuple[Kind, list[Experiment]]]:
    """Yield experiments of one kind; each alone if two are of one data set, such as values of a setting."""
    datasets = [each.dataset for each in experiments if each.dataset]
    if len(set(datasets)) == len(datasets):
        yield kind, experiments
        return
    for each in experiments:
        yield kind._replace(place=each.folder.relative_to(directory).as_posix()), [each]
