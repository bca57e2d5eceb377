"""Bars and curves of a figure: run what is missing of them, and take their averages from the runs' records."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from clip import build_backbone
from dassl.console import printable
from dassl.errors import UserError
from dassl.names import check_availability
from datasets.catalogue import named_datasets
from grid.plan import Grid
from grid.run import run_grid
from report import scores
from report.collect import FoundRun, read_run
from report.groups import check_same_data
from report.render import GAP
from report.scores import Scores, place_of_run, values_by
from runs.config import configure
from runs.spec import RunSpec
from trainers.base.digests import config_digest

METRIC = "accuracy"
AVERAGES = ["K", "mean", "std", "seeds", "data sets"]  # headers of `rows`


@dataclass(frozen=True)
class Series:
    """The runs of one bar or curve, which differ in data set, shots and seed alone.

    Attributes:
        names: what tells it from others, such as ("vMFCoOp", "BiomedCLIP", "claude").
        template: trainer, backbone, root, output and options of the runs.
    """

    names: tuple[str, ...]
    template: RunSpec

    def __str__(self) -> str:
        return ", ".join(self.names)


@dataclass(frozen=True)
class Found:
    """A series as far as it has been run.

    Attributes:
        series: what was asked for.
        scores: accuracies of the runs that count.
        runs: those runs.
        problems: a sentence on each run that is there and does not count.
    """

    series: Series
    scores: Scores
    runs: list[FoundRun]
    problems: list[str]

    @property
    def missing(self) -> list[str]:
        """A line for the missing runs; data sets that lack the same ones share it."""
        datasets: dict[tuple, list[str]] = {}
        for dataset in self.scores.grid.datasets:
            shots: dict[tuple[int, ...], list[int]] = {}  # by the seeds that lack them
            for k in self.scores.grid.shots:
                if seeds := self.scores.missing(dataset, k):
                    shots.setdefault(tuple(seeds), []).append(k)
            for lacking, several in shots.items():
                datasets.setdefault((tuple(several), lacking), []).append(dataset)
        return [
            f"{self.series} on {_words(names)}, K = {_words(several)}, seed {_words(lacking)}"
            for (several, lacking), names in datasets.items()
        ]

    @property
    def curve(self) -> dict[int, list[float]]:
        """The average over the data sets of each seed, by number of shots; none where a data set is incomplete."""
        grid = self.scores.grid
        return {k: self.scores.seed_averages(grid.datasets, k) for k in grid.shots}


def _words(values: Iterable) -> str:
    return " ".join(map(str, values))


def span(datasets: Sequence[str], shots: Sequence[int], seeds: Sequence[int]) -> scores.Grid:
    """Return the points that a series spans; ["all"] stands for all named data sets.

    Raises:
        UserError: there is no such data set.
    """
    known = named_datasets()
    datasets = known if list(datasets) == ["all"] else datasets
    for name in datasets:
        check_availability(name, known, "data set")
    shots, seeds = sorted(set(shots)), sorted(set(seeds))
    return scores.Grid(("",), tuple(dict.fromkeys(datasets)), tuple(shots), tuple(seeds))


def run_missing(series: Iterable[Series], points: scores.Grid, devices: Sequence[str] | None = None) -> bool:
    """Run what is missing of each series, and return whether no run failed.

    A backbone whose files cannot be had is left out, in one line.

    Raises:
        UserError: a name or a setting that is not known.
    """
    alike: dict[RunSpec, list[Series]] = {}  # those that differ in their trainer alone are one grid
    for each in series:
        alike.setdefault(replace(each.template, trainer=""), []).append(each)
    absent, fine = dict[str, str](), True
    for template, several in alike.items():
        backbone = template.backbone
        if backbone not in absent and any(find(each, points).missing for each in several):
            absent[backbone] = why_absent(backbone)
            if absent[backbone]:
                print(f"left out: {printable(backbone)}: {printable(absent[backbone])}")
        if absent.get(backbone):
            continue
        seeds = [seed for seed in points.seeds if seed is not None]
        grid = Grid([each.template.trainer for each in several], points.datasets, points.shots, seeds, template)
        print(f"== {grid}", flush=True)
        summary = run_grid(grid, devices)
        print(summary, flush=True)
        fine &= not summary.failed
    return fine


def why_absent(backbone: str) -> str:
    """Return why a backbone cannot be built, in a sentence; "" if it can, after which its files are on this machine."""
    try:
        build_backbone(backbone)
    except UserError as error:
        return str(error)
    return ""


def find(series: Series, points: scores.Grid) -> Found:
    """Return what has been run of a series with its settings."""
    runs, problems = [], []
    for dataset in points.datasets:
        for k in points.shots:
            for seed in points.seeds:
                cfg = configure(replace(series.template, dataset=dataset, shots=k), -1 if seed is None else seed)
                folder = Path(cfg.OUTPUT_DIR)
                if not (folder / "metrics.json").is_file():
                    continue
                run = read_run(folder)
                if not run.finished:
                    problems.append(run.problem)
                elif run.record.hashes.get("config") != config_digest(cfg):
                    problems.append(f"{folder} had other settings than these: choose another --output, or remove it.")
                else:
                    runs.append(run)
    return Found(series, Scores(values_by(runs, METRIC, place_of_run), points), runs, problems)


def check_runs(runs: Sequence[FoundRun]) -> None:
    """Raise a UserError if runs of one data set were tested on other images, or drew others, whatever the backbone."""
    check_same_data(runs)
    images = [replace(run, backbone="", record=run.record._replace(hashes=_images(run.record.hashes))) for run in runs]
    check_same_data(images)


def _images(hashes: dict[str, str | None]) -> dict[str, str | None]:
    return {what: hashes.get(what) for what in ("test", "support")}


def average_of(points: scores.Grid) -> str:
    """Return over what figures are averaged, in words."""
    return f"average over {len(points.datasets)} data sets" if len(points.datasets) > 1 else points.datasets[0]


def images_of(runs: Iterable[FoundRun]) -> str:
    """Return the kind of images in words, with "(phantom)" if those that a backbone learned from alone are rendered."""
    runs = list(runs)
    if any(run.phantom_images for run in runs):
        return "phantom images"
    return "real images" + (" (phantom)" if any(run.phantom for run in runs) else "")


def rows(found: Found) -> list[list[str]]:
    """Return a row of averages for each number of shots; a gap where a data set or a seed is missing."""
    grid, lines = found.scores.grid, []
    for k in grid.shots:
        averages, complete = found.scores.averages(k), len(found.scores.complete(k))
        fewest = min(len(found.scores.at(dataset, k)) for dataset in grid.datasets)
        mean, std = (f"{value:.2f}" for value in averages) if averages else (GAP, GAP)
        of = _part(fewest, len(grid.seeds)), _part(complete, len(grid.datasets))
        lines.append([*found.series.names, str(k), mean, std if len(grid.seeds) > 1 else GAP, *of])
    return lines


def _part(count: int, whole: int) -> str:
    """Return a number, with what it is a part of.

    >>> _part(2, 3), _part(3, 3)
    ('2/3', '3')
    """
    return str(whole) if count == whole else f"{count}/{whole}"


def note(points: scores.Grid) -> str:
    """Return how to read the averages of `rows`."""
    return (
        "mean and std: both over seeds per data set (population std, divided by n), then averaged over the data sets; "
        "a gap until every data set has all seeds. seeds: of the data set that has the fewest. "
        f"Data sets: {', '.join(points.datasets)}."
    )
