"""Bars and curves of a figure: run what is missing of them, and take their averages from the runs' records."""

import argparse
import shlex
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple
from urllib.parse import quote

from clip import build_backbone
from dassl.console import printable
from dassl.errors import UserError
from dassl.writing import atomic_write
from grid.plan import Grid, named_datasets, plan
from grid.run import run_grid
from report import scores
from report.collect import FoundRun, read_run
from report.groups import check_same_data
from report.render import GAP, Table, document, markdown, without_places
from report.scores import Scores, place_of_run, values_by
from runs.config import configure
from runs.options import positive, split_options
from runs.spec import RunSpec, pairs
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


class Page(NamedTuple):
    """A figure's page: its Markdown file, a folder that it must lie in (None for any), and the line that writes it."""

    path: Path
    within: Path | None
    line: str

    @property
    def picture(self) -> Path:
        """The PNG beside it."""
        return self.path.with_suffix(".png")


def span(datasets: Sequence[str], shots: Sequence[int], seeds: Sequence[int]) -> scores.Grid:
    """Return the points that a series spans; ["all"] stands for all named data sets.

    Raises:
        UserError: there is no such data set.
    """
    known = named_datasets()
    datasets = known if list(datasets) == ["all"] else datasets
    if unknown := [name for name in datasets if name not in known]:
        raise UserError(f'Expected data sets of {", ".join(known)}, but got "{unknown[0]}": correct it.')
    shots, seeds = sorted(set(shots)), sorted(set(seeds))
    return scores.Grid(("",), tuple(dict.fromkeys(datasets)), tuple(shots), tuple(seeds))


def run_missing(series: Iterable[Series], points: scores.Grid, devices: Sequence[str] | None = None) -> bool:
    """Run what is missing of each series, and return False if a user interrupts it.

    A backbone whose files cannot be had is left out, in one line.

    Raises:
        UserError: a name or a setting that is not known.
    """
    trainers: dict[RunSpec, list[str]] = {}
    for each in series:
        trainers.setdefault(replace(each.template, trainer=""), []).append(each.template.trainer)
    absent: dict[str, str] = {}
    for template, methods in trainers.items():
        seeds = [seed for seed in points.seeds if seed is not None]
        grid = Grid(methods, points.datasets, points.shots, seeds, template)
        if plan(grid)[0] and template.backbone not in absent:
            if reason := why_absent(template.backbone):
                print(f"left out: {printable(template.backbone)}: {printable(reason)}")
            absent[template.backbone] = reason
        if absent.get(template.backbone):
            continue
        print(f"== {grid}", flush=True)
        try:
            print(run_grid(grid, devices), flush=True)
        except KeyboardInterrupt:
            print("Interrupted: what is done stays, the same command goes on from there.", file=sys.stderr)
            return False
    return True


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
                if not (folder := Path(cfg.OUTPUT_DIR)).is_dir():
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
    """Return the kind of images in words, and "(phantom)" if they or a backbone's training images are rendered."""
    runs = list(runs)
    kind = "phantom images" if any(run.phantom_images for run in runs) else "real images"
    return kind + (" (phantom)" if any(run.phantom for run in runs) else "")


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


def conclude(page: Page, found: Sequence[Found], write: Callable[[Page], Table]) -> int:
    """Say what is missing, write picture and page of what has been run, and return 1 if anything is missing.

    Args:
        page: the file.
        found: all series.
        write: writes the picture, and returns its numbers.
    """
    for problem in dict.fromkeys(problem for each in found for problem in each.problems):
        print(f"not counted: {printable(problem)}")
    missing = [line for each in found for line in each.missing]
    for line in missing:
        print(f"missing: {printable(line)}")
    if not any(each.runs for each in found):
        print("Nothing to draw: no run has finished.", file=sys.stderr)
        return 1
    table = write(page)
    blocks = [
        document(table, "markdown", "#"),
        f"![{markdown(table.title)}]({quote(page.picture.name)})",
        f"Written by `{page.line}`.",
        *(["## Missing", "\n".join(f"* {markdown(each)}" for each in missing)] if missing else []),
    ]
    with atomic_write(page.path, within=page.within) as file:
        file.write("\n\n".join(blocks) + "\n")
    print(f"Written: {page.path}, with {page.picture.name} and {page.picture.with_suffix('.svg').name} beside it")
    return int(bool(missing))


def add_flags(cli: argparse.ArgumentParser, shots: Sequence[int], page: str) -> None:
    """Add the flags that all figures have to a command line."""
    several = " ".join(map(str, shots))
    cli.add_argument("--datasets", nargs="+", required=True, help="keys of data sets, such as btmri; or all")
    cli.add_argument("--shots", nargs="+", type=positive, default=list(shots), help=f"default: {several}")
    cli.add_argument("--seeds", nargs="+", type=int, default=[1, 2, 3], help="default: 1 2 3")
    cli.add_argument("--root", default="phantoms", help='folder of the data sets, or "phantoms" (default)')
    cli.add_argument("--output", default="output", help="root of all runs (default: output)")
    cli.add_argument("--to", help=f"the page; pictures lie beside it (default: OUTPUT/report/{page}.md)")
    cli.add_argument("--devices", nargs="+", help="as for python -m grid")
    cli.add_argument("--write-only", action="store_true", help="run nothing")


def read_line(
    cli: argparse.ArgumentParser, name: str, argv: Sequence[str], taken: Mapping[str, str]
) -> tuple[argparse.Namespace, RunSpec, Page]:
    """Return the flags of a command line, what its runs have in common, and the page; the first KEY ends the flags.

    Args:
        cli: the flags, `add_flags` among them.
        name: of the figure.
        argv: the words.
        taken: keys that are no options here -> the flag that sets them.

    Raises:
        UserError: one of those keys is among the options.
    """
    flags, words = split_options(argv)
    args, options = cli.parse_args(flags), pairs(words)
    for key, _ in options:
        if key in taken:
            raise UserError(f"Expected {taken[key]} to say what is run, but got the setting {key}: use the flag.")
    output = Path(args.output)
    path, within = (Path(args.to), None) if args.to else (output / "report" / f"{name}.md", output)
    line = shlex.join(["python", "-m", "reproduce", name, *without_places(argv)])
    return args, RunSpec(root=args.root, output=args.output, options=options), Page(path, within, line)
