"""Methods side by side on one data set.

python -m report.compare --dataset btmri --shots 16 --backbone PhantomCLIP --methods zeroshot coop biomedcoop vmfcoop
"""

import argparse
import os
import re
import shutil
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from dassl.errors import UserError, command
from dassl.names import check_availability, check_name, file_name, shared_name
from dassl.writing import atomic_write
from report.groups import mixed_settings
from report.render import Table, document
from report.scores import Scores, metric_name
from report.tables.comparison import (
    Comparison,
    as_text,
    differences_table,
    find_comparison,
    gap_lines,
    methods_table,
    other_settings,
)
from report.tables.per_class import PER_CLASS, print_classes
from runs.layout import SETTING, data_name, dataset_keys, own_datasets
from runs.methods import METHODS, ZERO_SHOT, title_of
from runs.options import split_options
from runs.spec import pairs
from runs.trying import commands_to_try

NUMBER = re.compile(r"\d{1,15}", re.ASCII)
UNIT = "mean ± std over seeds, in percent"
FILES = {"txt": "text", "md": "markdown", "tex": "latex", "csv": "csv"}  # suffix -> format


def parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m report.compare",
        description="Methods side by side on one data set; KEY VALUE pairs at the end name runs with these settings.",
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
    parser.add_argument(
        "--keyword", default="accuracy", help="metric of differences and picture (default: accuracy), or per_class"
    )
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


def place_of_picture(comparison: Comparison, png: str | None) -> tuple[Path, Path | None]:
    """Return the path of the picture, `png` or beside the runs, and the folder that nothing is written outside of."""
    if png:
        return Path(png), None
    name = f"comparison_{file_name(shared_name(comparison.backbone))}{comparison.file_part}"
    return runs_folder(comparison) / f"{name}.png", comparison.output


def runs_folder(comparison: Comparison) -> Path:
    """Return the folder that holds all compared runs."""
    folder = comparison.output / file_name(comparison.dataset)
    return folder / f"shots_{comparison.shots[0]}" if len(comparison.shots) == 1 else folder


def seeds_place(comparison: Comparison) -> str:
    """Return the place of the runs, with <...> for what differs among them."""
    shots = "" if len(comparison.shots) == 1 else "shots_<K>/"
    backbone = file_name(shared_name(comparison.backbone))
    return f"{runs_folder(comparison)}/{shots}<trainer>_{backbone}/<settings>/seed<n>"


def save(tables: Sequence[Table], picture: Path, within: Path | None) -> None:
    """Write tables beside a picture, under its name: as text, Markdown and LaTeX, and the first one as CSV."""
    for suffix, style in FILES.items():
        if style == "text":
            text = as_text(tables)
        elif style == "csv":
            text = document(tables[0], style)
        else:
            text = "\n\n".join(document(table, style) for table in tables)
        with atomic_write(picture.with_suffix(f".{suffix}"), within=within) as file:
            file.write(f"{text}\n")


def draw(
    comparison: Comparison, scores: Mapping[str, Scores], title: str, metric: str, path: Path, within: Path | None
) -> None:
    """Write the picture, within a folder as for `atomic_write`."""
    from report.plots import plot_curves, plot_methods

    dataset, shots, reference = comparison.dataset, comparison.shots, title_of(ZERO_SHOT)
    curves = {title_of(method): {k: each.runs_at(dataset, k) for k in shots} for method, each in scores.items()}
    if len(shots) == 1:
        dots = {name: curve[shots[0]] for name, curve in curves.items()}
        plot_methods(dots, path, title, metric, reference, within=within)
    else:
        plot_curves(curves, path, title, metric, reference, within=within)


@command
def main(argv: list[str] | None = None) -> int:
    """Print tables, differences and gaps, write them and the picture; return 1 if no run has finished."""
    cli = parser()
    flags, words = split_options(sys.argv[1:] if argv is None else argv)
    args, options = cli.parse_args(flags), pairs(words)
    methods, output = list(dict.fromkeys(args.methods)), Path(args.output)
    for word, flag in [*((method, "methods") for method in methods), (args.dataset, "dataset")]:
        check_name(word, flag, f"--{flag}")
    if args.dataset in own_datasets() and not args.root:
        cli.error(f"--dataset {args.dataset} needs --root, the folder of the images, whose name its runs bear")
    dataset = data_name(args.dataset, args.root or "")
    if not (output / dataset).is_dir():
        check_availability(args.dataset, dataset_keys(), "data set")
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

    comparison = find_comparison(output, dataset, args.backbone, shots, methods, args.setting, options)
    if args.keyword == PER_CLASS:
        return print_classes(comparison, gap_lines(comparison), args.format)
    subject, *_ = comparison.rows[subject]
    others = [row for method in others for row in comparison.rows[method] if row != subject]
    scores, metric = comparison.scores(args.keyword), metric_name(args.keyword)
    found = any(each.values for each in scores.values())
    if found:
        title = f"{dataset}, K = {', '.join(map(str, shots))}, {shared_name(args.backbone)}"
        title += f", {comparison.title_words}" if comparison.title_words else ""
        title += " (phantom)" if comparison.phantom else ""
        tables = [methods_table(comparison, scores, f"{title}: {UNIT}", args.keyword)]
        if others:
            chosen = bool(args.against)
            tables.append(differences_table(scores, subject, others, comparison.phantom, metric, chosen))
        if args.format == "text":
            print(as_text(tables, _columns()), end="\n\n")
        else:
            print(*(document(table, args.format) for table in tables), sep="\n\n", end="\n\n")
        picture, within = place_of_picture(comparison, args.png)
        draw(comparison, scores, title, metric, picture, within)
        save(tables, picture, within)
        print(f"Picture: {picture}\nTables:  {picture.with_suffix('.txt')}, .md, .tex, and .csv of the first")
        print(f"Runs:    {seeds_place(comparison)}")
    else:
        where = output / dataset
        print(
            f"No finished run with {args.keyword!r} in {where}: expected those of the commands below.", file=sys.stderr
        )
    remarks = [*gap_lines(comparison), *mixed_settings(comparison.finished()), other_settings(comparison)]
    for line in filter(None, remarks):
        print(line)
    if tried := comparison.finished(subject, shots[-1]):
        root = args.root or ("phantoms" if tried[0].phantom_images else "")
        lines = commands_to_try(tried[0].path, args.dataset, root, output)
        print("\nTry:", *lines, sep="\n    ")
    return int(not found)


def _columns() -> int | None:
    """Return the width of the terminal, or what COLUMNS says; None if the output goes elsewhere."""
    if "COLUMNS" not in os.environ and not sys.stdout.isatty():
        return None
    return shutil.get_terminal_size((0, 0)).columns or None


if __name__ == "__main__":
    sys.exit(main())
