"""The page of a figure: its command line, and its file with picture, numbers and what is missing."""

import argparse
import shlex
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple
from urllib.parse import quote

from dassl.console import printable
from dassl.errors import UserError
from dassl.writing import atomic_write
from report.render import Table, document, markdown, without_places
from report.scores import Grid
from reproduce.series import Found, Series, find, run_missing
from runs.options import positive, split_options
from runs.spec import RunSpec, pairs


class Page(NamedTuple):
    """A figure's page: its Markdown file, a folder that it must lie in (None for any), and the line that writes it."""

    path: Path
    within: Path | None
    line: str

    @property
    def picture(self) -> Path:
        """The PNG beside it."""
        return self.path.with_suffix(".png")


Draw = Callable[[Page, Sequence[Found]], Table]  # draws the picture, and returns its numbers


def make(
    page: Page,
    asked: Sequence[Series],
    points: Grid,
    draw: Draw,
    devices: Sequence[str] | None = None,
    write_only: bool = False,
) -> int:
    """Run what is missing unless nothing is to be run, then write the page; return the status of the command."""
    fine = True
    if not write_only:
        fine = run_missing(asked, points, devices)
    whole = write(page, [find(each, points) for each in asked], draw)
    return int(not (fine and whole))


def write(page: Page, found: Sequence[Found], draw: Draw) -> bool:
    """Say what is missing, write picture and page of what has been run, and return whether nothing is missing."""
    for problem in dict.fromkeys(problem for each in found for problem in each.problems):
        print(f"not counted: {printable(problem)}")
    missing = [line for each in found for line in each.missing]
    for line in missing:
        print(f"missing: {printable(line)}")
    if not any(each.runs for each in found):
        print("Nothing to draw: no run has finished.", file=sys.stderr)
        return False
    table = draw(page, found)
    blocks = [
        document(table, "markdown", "#"),
        f"![{markdown(table.title)}]({quote(page.picture.name)})",
        f"Written by `{page.line}`.",
        *(["## Missing", "\n".join(f"* {markdown(each)}" for each in missing)] if missing else []),
    ]
    with atomic_write(page.path, within=page.within) as file:
        file.write("\n\n".join(blocks) + "\n")
    print(f"Written: {page.path}, with {page.picture.name} and {page.picture.with_suffix('.svg').name} beside it")
    return not missing


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
