"""Methods side by side on one data set.

python -m report.compare --dataset btmri --shots 16 --backbone PhantomCLIP --methods zeroshot coop biomedcoop vmfcoop
"""

import argparse
import os
import re
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from dassl.errors import UserError, command
from dassl.names import check_name, file_name, shared_name
from report.assemble import fill_command
from report.collect import PHANTOM_BACKBONE, FoundRun, find_runs
from report.few_shot_table import PAIRED, difference_cells, metrics_row, seen_note, shots_headers
from report.groups import check_same_data, tell_llms_apart
from report.render import mean_std, render
from report.scores import METRICS, Grid, Key, Scores, metric_name, values_by
from runs.layout import SETTING, data_name, own_datasets, place_of, seeds_folder
from runs.methods import (
    METHODS,
    SEEDLESS,
    ZERO_SHOT,
    check_protocol,
    protocol_of_name,
    row_name,
    split_protocol,
    trainer_name,
    trainer_of,
)
from runs.trying import commands_to_try

NUMBER = re.compile(r"\d{1,15}", re.ASCII)


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
    """

    output: Path
    dataset: str
    backbone: str
    shots: list[int]
    runs: dict[tuple[str, int], list[FoundRun]]
    rows: dict[str, list[str]]

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


def parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m report.compare", description="Methods side by side on one data set."
    )
    parser.add_argument("--output", default="output", help="folder of all runs (default: output)")
    parser.add_argument("--dataset", required=True)
    parser.add_argument("--root", help="folder of the images, needed for --dataset folder and table")
    parser.add_argument("--shots", nargs="+", required=True, help="one number, several, or all (those that have runs)")
    parser.add_argument("--backbone", required=True)
    parser.add_argument("--methods", nargs="+", required=True, help=f"of {', '.join(METHODS)}, or trainers' names")
    parser.add_argument(
        "--against", metavar="METHOD", help="method that is compared with the others (default: the last)"
    )
    parser.add_argument("--reference", metavar="METHOD", help="compare it with this one only (default: every other)")
    parser.add_argument("--keyword", default="accuracy", help="metric of differences and picture (default: accuracy)")
    parser.add_argument("--setting", default=SETTING, help=f"folder between method and seeds (default: {SETTING})")
    parser.add_argument("--format", default="text", choices=["text", "markdown", "latex"])
    parser.add_argument("--png", help="picture to write (default: beside the runs)")
    return parser


def parse_shots(words: list[str], folder: Path) -> list[int]:
    """Return the numbers of `words`, sorted; `all` stands for every shots_<K>/ that lies in `folder`.

    >>> parse_shots(["16 1", "4"], Path("output"))
    [1, 4, 16]

    Raises:
        UserError: other words, or none.
    """
    words = " ".join(words).split()
    if words == ["all"]:
        words = [path.name.removeprefix("shots_") for path in folder.glob("shots_*")]
    if not words or not all(NUMBER.fullmatch(word) and int(word) for word in words):
        found = " ".join(words) or f"no shots_<K>/ in {folder}"
        raise UserError(f"--shots expects numbers such as 1 2 4 8 16, or all, but got {found}.")
    return sorted({int(word) for word in words})


def find_comparison(
    output: Path, dataset: str, backbone: str, shots: Sequence[int], methods: Sequence[str], setting: str = SETTING
) -> Comparison:
    """Return the runs of every method and number of shots.

    Raises:
        UserError: they were made of different data, or a method's name has an unknown protocol.
    """
    runs: dict[tuple[str, int], list[FoundRun]] = {}
    rows: dict[str, list[str]] = {}
    for method in methods:
        name, protocol = split_protocol(method)
        check_protocol(protocol)
        tops = _tops(output, name)
        places = {k: [seeds_folder(top, dataset, k, name, backbone, setting) for top in tops] for k in shots}
        found = {k: _find_variants(each, trainer_name(name), protocol_of_name(method)) for k, each in places.items()}
        llms = sorted({run.llm for each in found.values() for run in each}, key=lambda llm: (not llm, llm)) or [""]
        names = {llm: row_name(method, llm=llm if len(llms) > 1 else "") for llm in llms}
        rows[method] = list(names.values())
        runs |= {(row, k): [run for run in found[k] if run.llm == llm] for llm, row in names.items() for k in shots}
    comparison = Comparison(output, dataset, backbone, list(shots), runs, rows)
    check_same_data(comparison.finished())
    return comparison


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
        what = f"{method} at K = {k}" + (f", seed {' '.join(map(str, asked))}" if asked else "")
        dataset, backbone, output = comparison.dataset, comparison.backbone, comparison.output
        line = fill_command(method, dataset, k, backbone, data=data, output=output, seeds=asked)
        lines.append(f"missing: {what}: {line}")
    return lines


def methods_table(comparison: Comparison, scores: Mapping[str, Scores]) -> tuple[list[str], list[list[str]]]:
    """Return headers and rows: every metric at one number of shots, or the scores at each of several."""
    first = "method (phantom)" if comparison.phantom else "method"
    if len(comparison.shots) == 1:
        rows = [[method, *metrics_row(comparison.finished(method))] for method in scores]
        return [first, *METRICS.values(), "seeds", "seconds per seed"], rows
    rows = [
        [method, *(mean_std(each.runs_at(comparison.dataset, k)) for k in comparison.shots)]
        for method, each in scores.items()
    ]
    return [first, *shots_headers(comparison.shots)], rows


def differences_table(
    scores: Mapping[str, Scores], subject: str, others: Sequence[str], phantom: bool
) -> tuple[list[str], list[list[str]]]:
    """Return headers and rows of the paired differences: the subject's value minus each other's."""
    ours = scores[subject].points()
    rows = [[other, *difference_cells(ours, scores[other].points())] for other in others]
    return [f"{subject} minus" + (" (phantom)" if phantom else ""), *PAIRED], rows


def draw(comparison: Comparison, scores: Mapping[str, Scores], title: str, metric: str, png: str | None) -> Path:
    """Write the picture to `png`, or beside the runs, and return its path."""
    from report.plots import plot_curves, plot_methods

    dataset, shots = comparison.dataset, comparison.shots
    folder = comparison.output / file_name(dataset) / (f"shots_{shots[0]}" if len(shots) == 1 else "")
    beside = folder / f"comparison_{file_name(comparison.backbone)}.png"
    path, within = (Path(png), None) if png else (beside, comparison.output)
    curves = {method: {k: each.runs_at(dataset, k) for k in shots} for method, each in scores.items()}
    if len(shots) == 1:
        dots = {name: curve[shots[0]] for name, curve in curves.items()}
        plot_methods(dots, path, title, metric, ZERO_SHOT, within=within)
    else:
        plot_curves(curves, path, title, metric, ZERO_SHOT, within=within)
    return path


@command
def main(argv: list[str] | None = None) -> int:
    """Print tables, differences and gaps, write the picture; return 1 if no run has finished."""
    cli = parser()
    args = cli.parse_args(argv)
    methods, output = list(dict.fromkeys(args.methods)), Path(args.output)
    for word, flag in [*((method, "methods") for method in methods), (args.dataset, "dataset")]:
        check_name(word, flag, f"--{flag}")
    if args.dataset in own_datasets() and not args.root:
        cli.error(f"--dataset {args.dataset} needs --root, the folder of the images, whose name its runs bear")
    dataset = data_name(args.dataset, args.root or "")
    subject = args.against or methods[-1]
    others = [args.reference] if args.reference else [method for method in methods if method != subject]
    for name in (subject, *others):
        if name not in methods:
            cli.error(f"{name} is none of --methods {' '.join(methods)}")
    if args.reference == subject:
        cli.error(f"--reference {subject} is the method that is compared itself: name another one with --against")
    try:
        shots = parse_shots(args.shots, output / file_name(dataset))
    except UserError as error:
        cli.error(str(error))

    comparison = find_comparison(output, dataset, args.backbone, shots, methods, args.setting)
    subject, *_ = comparison.rows[subject]
    others = [row for method in others for row in comparison.rows[method] if row != subject]
    scores, metric = comparison.scores(args.keyword), metric_name(args.keyword)
    found = any(each.values for each in scores.values())
    if found:
        title = f"{dataset}, K = {', '.join(map(str, shots))}, {shared_name(args.backbone)}"
        title += " (phantom)" if comparison.phantom else ""
        print(f"{title}: mean ± std over seeds, in percent\n")
        print(render(*methods_table(comparison, scores), args.format), end="\n\n")
        if seen := seen_note(tell_llms_apart(comparison.finished())):
            print(f"{seen}\n")
        if others:
            print(f"Paired difference in {metric} on the same shots and seeds\n")
            print(render(*differences_table(scores, subject, others, comparison.phantom), args.format), end="\n\n")
        print(f"Picture: {draw(comparison, scores, title, metric, args.png)}")
    else:
        where = output / dataset
        print(
            f"No finished run with {args.keyword!r} in {where}: expected those of the commands below.", file=sys.stderr
        )
    for line in gap_lines(comparison):
        print(line)
    if tried := comparison.finished(subject, shots[-1]):
        root = args.root or ("phantoms" if tried[0].phantom_images else "")
        lines = commands_to_try(tried[0].path, args.dataset, root, output)
        print("\nTry:", *lines, sep="\n    ")
    return int(not found)


if __name__ == "__main__":
    sys.exit(main())
