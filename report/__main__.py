"""All tables and pictures of an output folder, and one HTML page with everything.

python -m report output
"""

import argparse
import os
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from dassl.console import printable
from dassl.errors import command
from dassl.names import check_availability, check_name
from dassl.writing import atomic_write
from report import implementation, lock, paper
from report.assemble import Request, assemble
from report.collect import FoundRun, find_all
from report.groups import check_same_data, group_runs, mixed_settings, usable
from report.render import FORMATS, Section, document, file_names, html, relative, render, shared
from report.scores import Wanted
from report.tables.by_setting import BY, runs_with
from report.tables.per_class import PER_CLASS, has_classes
from runs.changed import short_key
from runs.layout import CONTEXT_SETTINGS, SETTING, dataset_keys
from runs.methods import METHODS, both_protocols, check_method, row_name, with_setting

PAGE = "index.html"
PICTURES = 1_000_000  # bytes of the pictures of errors on a page, as files; in the page they take a third more
SUFFIXES = {"markdown": "md", "latex": "tex", "csv": "csv"}


def parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m report",
        description="Table 1 (methods by shots), Table 2 (ablation), Table 3 (base to novel), paired differences, "
        "curves and ranks of all runs in a folder. They span what has been run there, unless options say otherwise.",
    )
    parser.add_argument("output", nargs="?", default="output", help="OUTPUT of the scripts (default: output)")
    parser.add_argument("--to", help="folder to write to (default: OUTPUT/report)")
    parser.add_argument("--methods", nargs="+", help=f"of {', '.join(METHODS)}, or trainers' names")
    parser.add_argument("--datasets", nargs="+")
    parser.add_argument("--shots", nargs="+", type=int, help="of the few-shot tables")
    parser.add_argument("--seeds", nargs="+", type=int)
    parser.add_argument("--full", action="store_true", help="everything that the paper has run, so that all gaps show")
    parser.add_argument("--against", default="vmfcoop", help="method that is compared with all others")
    parser.add_argument("--by", default="", metavar="KEY", help="print the table of a setting's values alone")
    parser.add_argument(
        "--keyword",
        default="accuracy",
        help="metric (default: accuracy, as the paper's); per_class for tables of the classes",
    )
    parser.add_argument("--setting", default=SETTING, help=f"folder between method and seeds (default: {SETTING})")
    parser.add_argument("--format", default="text", choices=FORMATS, help="of what is printed; files come in all")
    parser.add_argument(
        "--with-paths", action="store_true", help="name folders of this machine in the page, which is then not to share"
    )
    parser.add_argument(
        "--pictures",
        action="store_true",
        help="show the most confident errors that python -m explain.errors has left beside the runs; the page then "
        "holds images of the data set, perhaps of patients",
    )
    return parser


def request_of(args: argparse.Namespace) -> Request:
    """Return what the command line asks for, `--full` filled in; what is named explicitly wins over it."""
    for flag in ("methods", "datasets", "against", "keyword", "setting", "by"):
        named = getattr(args, flag) or []
        for word in [named] if isinstance(named, str) else named:
            check_name(word, flag, f"--{flag}")
    methods = args.methods and [row_name(method) for method in args.methods]
    shots, seeds, datasets, novel_shots, ablated = args.shots, args.seeds, args.datasets, None, None
    novel_methods = methods
    if args.full:
        datasets, seeds = datasets or list(paper.DATASETS), seeds or [1, 2, 3]
        novel_methods = methods or [row_name(each) for each in both_protocols(with_setting("base2new"), "base2new")]
        methods = methods or paper.in_order(row_name(each) for each in both_protocols(METHODS))
        novel_shots = [paper.NOVEL_SHOTS]
        ablated = [k for k in paper.TABLE2["shots"] if k in (shots or paper.TABLE2["shots"])]
        shots = shots or paper.TABLE1["shots"]
    output = Path(args.output)
    return Request(
        output=output,
        within=_within(Path(args.to or output / "report"), output),
        metric=args.keyword,
        subject=row_name(args.against),
        few_shot=Wanted(methods, datasets, shots, seeds),
        base2new=Wanted(novel_methods, datasets, novel_shots, seeds),
        ablation=Wanted(None, datasets, ablated, seeds),
        by=args.by,
    )


def write_tables(section: Section, folder: Path, within: Path) -> None:
    """Write each table as Markdown, LaTeX and CSV."""
    for table in section.tables:
        for style, suffix in SUFFIXES.items():
            write(folder / f"{table.name}.{suffix}", f"{document(table, style)}\n", within)


def write(path: Path, text: str, within: Path) -> None:
    """Write a text file that lies in the folder `within`."""
    with atomic_write(path, within=within) as file:
        file.write(text)


def print_section(section: Section, style: str) -> None:
    """Print tables, gaps and unfinished runs."""
    print(f"# {section.title}\n")
    for table in section.tables:
        print(f"{table.title}\n\n{render(table.headers, table.rows, style)}\n")
    for gap in section.gaps:
        print(f"missing: {gap.what}: {gap.command}")
    for problem in section.unfinished:
        print(f"unfinished: {problem}")
    for problem in section.unseen:
        print(f"no picture: {problem}")
    for remark in section.untold:
        print(f"predictions: {remark}")
    print()


def only(section: Section, name: str) -> Section:
    """Return a section with those of its tables alone whose name begins with `name`."""
    tables = [table for table in section.tables if table.name.startswith(name)]
    return Section(section.title, section.phantom, tables, gaps=[], unfinished=section.unfinished)


def _within(to: Path, output: Path) -> Path:
    """Return the folder that nothing is written outside of: the runs' if it is below them."""
    inner, outer = (Path(os.path.abspath(path)) for path in (to, output))  # noqa: PTH100 - links are not followed
    return output if outer in inner.parents else to


def _check_names(args: argparse.Namespace, runs: Sequence[FoundRun]) -> None:
    """Raise a UserError for a method or a data set that is none of ours, and of which there are no runs either."""
    trainers = sorted({run.trainer for run in runs} - set(METHODS.values()))
    for method in [*(args.methods or ()), args.against]:
        check_method(method, trainers)
    for dataset in args.datasets or ():
        check_availability(dataset, [*dataset_keys(), *sorted({run.dataset for run in runs})], "data set")


@command
def main(argv: list[str] | None = None) -> int:
    """Print the tables, write all files and say where; return 1 if no run has finished."""
    args = parser().parse_args(argv)
    asked = request_of(args)
    to = Path(args.to or asked.output / "report")
    of_context = args.by.rpartition(".")[2] in CONTEXT_SETTINGS  # whose values lie in folders of other names
    runs, remarks = usable(find_all(asked.output), "" if of_context else args.setting)
    groups, known = group_runs(runs), {name for run in runs for name in run.metrics if "/" not in name}
    remarks += [sentence for group in groups for sentence in mixed_settings(group.runs)]
    known |= {PER_CLASS} if has_classes(runs) else set()
    for remark in remarks:
        print(printable(remark), file=sys.stderr)
    if not groups:
        expected = "the run folders that scripts/<method>/few_shot.sh and base2new.sh leave"
        print(f"No runs in {args.output}: expected {expected}.", file=sys.stderr)
        return 1
    if known and args.keyword not in known:
        print(f"No run has {args.keyword!r}: expected one of {', '.join(sorted(known))}.", file=sys.stderr)
        return 1
    if args.by and not any(runs_with(group, args.by) for group in groups):
        keys = ", ".join(sorted({short_key(key) for run in runs for key in run.changed})) or "none"
        print(f"No run has the setting {args.by!r}; settings that runs have changed: {keys}.", file=sys.stderr)
        return 1
    if args.pictures:
        asked = replace(asked, pictures=PICTURES // len(groups))
    _check_names(args, runs)
    sections, folders = [], [to / name for name in file_names((group.folder for group in groups), [PAGE])]
    for group, folder in zip(groups, folders, strict=True):
        check_same_data(group.runs)
        told = implementation.write(group, folder, asked.within)
        sections.append(assemble(group, asked, folder)._replace(implementation=told))
        write_tables(sections[-1], folder, asked.within)
        print_section(only(sections[-1], BY) if args.by else sections[-1], args.format)
    title = f"Report of {len(runs)} runs"
    if args.with_paths:
        title = f"Runs in {args.output}"
    else:
        sections = [shared(each, asked.output) for each in sections]
        remarks = [relative(remark, asked.output) for remark in remarks]
    if args.pictures:
        remarks = ["With images of the data sets: look whether they may be passed on before this page is.", *remarks]
    write(to / PAGE, html(title, sections, remarks), asked.within)
    for line in lock.write(runs, to, asked.within):
        print(line)
    print(f"Page: {to / PAGE}; tables and pictures: {', '.join(map(str, folders))}")
    print(f"For a paper: {implementation.NAME}.md and .tex beside the tables")
    return int(not known)


if __name__ == "__main__":
    sys.exit(main())
