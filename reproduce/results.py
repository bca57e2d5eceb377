"""The miniature tables: run what Tables 1 to 3 miss on the phantoms, then write docs/RESULTS.md.

    python -m reproduce.results                                              # all 14 data sets
    python -m reproduce.results --datasets btmri chmnist covid dermamnist
    python -m reproduce.results --write-only                                 # of what has been run

Finished runs are left alone, so the same command goes on where it was stopped. Below --output, default/ holds runs with
the settings of configs/, and tuned/ those with what `python -m tuning` chose, for each data set that has a file
configs/trainers/<Trainer>/tuned/<backbone>/<data set>.yaml. KEY VALUE pairs at the end go to all runs. Of the document,
what stands above the line that says so is kept: there is the place to say what the tables show.
"""

import argparse
import itertools
import shlex
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from dassl.errors import command
from dassl.names import file_name
from dassl.reading import read_text, read_yaml
from dassl.writing import atomic_write
from grid.__main__ import main as grid
from report import paper
from report.ablation_table import METHOD
from report.render import without_places
from reproduce.document import text
from reproduce.provenance import check, drawn_meanwhile, note
from runs.config import CONFIGS
from runs.layout import ABLATION
from runs.methods import METHODS, short_name, trainer_name, with_setting
from runs.options import split_options
from tuning.space import SPACE, checked, options

ROOT = Path(__file__).parents[1]
BACKBONE = "PhantomCLIP"
FIRST = "# Phantom results\n\n"  # the part of a new document that is kept
MARK = "<!-- What follows is written by scripts/results.sh; what stands above is kept. -->"


def parser() -> argparse.ArgumentParser:
    p = argparse.ArgumentParser(
        prog="python -m reproduce.results", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    p.add_argument("--methods", nargs="+", default=list(METHODS), help="short names of methods (default: all)")
    p.add_argument("--datasets", nargs="+", default=list(paper.DATASETS), help="default: all")
    p.add_argument("--shots", nargs="+", type=int, default=[1, 4, 16], help="of Table 1 (default: 1 4 16)")
    p.add_argument("--ablation-shots", nargs="+", type=int, default=[16], help="few-shot, of Table 2 (default: 16)")
    p.add_argument("--seeds", nargs="+", type=int, default=[1, 2, 3], help="of Tables 1 to 3 (default: 1 2 3)")
    p.add_argument("--paired-seeds", nargs="+", type=int, default=[1, 2, 3, 4, 5], help="of the paired test: five")
    p.add_argument("--devices", nargs="+", help="as for python -m grid")
    p.add_argument("--output", default="build/results", help="folder of all runs (default: build/results)")
    p.add_argument("--tuning", default="build/tuning", help="folder of the studies (default: build/tuning)")
    p.add_argument("--configs", default=str(CONFIGS / "trainers"), help="where <Trainer>/tuned/ lies")
    p.add_argument("--to", default=str(ROOT / "docs" / "RESULTS.md"), help="default: docs/RESULTS.md")
    p.add_argument("--write-only", action="store_true", help="run nothing")
    return p


def parse(argv: Sequence[str]) -> argparse.Namespace:
    """The flags, the first KEY ends them; and what follows from them: folders, methods and data sets of each table."""
    flags, options = split_options(argv)
    args = parser().parse_args(flags)
    args.opts, args.command = (
        options,
        shlex.join(["bash", "scripts/results.sh", *without_places(argv)]),
    )
    args.default, args.tuned = (Path(args.output) / name for name in ("default", "tuned"))
    args.methods = [short_name(trainer_name(method)) for method in args.methods]
    args.with_novel = [method for method in with_setting("base2new") if method in args.methods]
    args.novel = [dataset for dataset in args.datasets if dataset not in paper.WITHOUT_NOVEL]
    args.pair = [method for method in map(short_name, SPACE) if method in args.methods]
    args.chosen = [d for d in args.datasets if any(tuned_file(args, method, d).is_file() for method in args.pair)]
    return args


def tuned_file(args: argparse.Namespace, method: str, dataset: str) -> Path:
    folder = Path(args.configs) / file_name(trainer_name(method)) / "tuned" / file_name(BACKBONE)
    return folder / f"{file_name(dataset)}.yaml"


def tuned_settings(path: Path, trainer: str) -> list[str]:
    """Return the settings of a trainer in a config file as KEY VALUE words.

    Raises:
        UserError: it holds anything else than numbers of the method's search space.
    """
    found = read_yaml(path)
    for key in ("TRAINER", trainer.upper()):
        found = found[key] if isinstance(found, dict) and list(found) == [key] else None
    return options(trainer, checked(found, SPACE[trainer], str(path), every=False))


def ablation_rows() -> list[list[str]]:
    """The rows of Table 2 that lack a term: a name, then the settings that switch terms off."""
    command = ["bash", str(ROOT / "scripts" / "vmfcoop" / "ablation.sh"), "--rows"]
    lines = subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()
    return [row for row in map(str.split, lines) if len(row) > 1]


def grids(args: argparse.Namespace) -> Iterator[list[str]]:
    """Every run of the document, a command line of `python -m grid` at a time."""

    def grid_of(output: Path, methods, datasets, shots, seeds, *opts: str, setting: str = "few_shot") -> list[str]:
        flags = {"--methods": methods, "--datasets": datasets, "--shots": shots, "--seeds": seeds}
        flags |= {"--setting": [setting], "--backbone": [BACKBONE], "--devices": args.devices, "--output": [output]}
        return [*(str(word) for flag, each in flags.items() if each for word in (flag, *each)), *args.opts, *opts]

    yield grid_of(args.default, args.methods, args.datasets, args.shots, args.seeds)
    if args.pair:
        yield grid_of(args.default, args.pair, args.datasets, args.shots, args.paired_seeds)
    novel = (args.novel, [paper.NOVEL_SHOTS], args.seeds)
    if args.novel and args.with_novel:
        yield grid_of(args.default, args.with_novel, *novel, setting="base2new")
    for name, *off in ablation_rows() if short_name(METHOD) in args.methods else ():
        output, method = args.default / ABLATION / name, [short_name(METHOD)]
        yield grid_of(output, method, args.datasets, args.ablation_shots, args.seeds, *off)
        if args.novel:
            yield grid_of(output, method, *novel, *off, setting="base2new")
    for method, dataset in itertools.product(args.pair, args.chosen):
        if (path := tuned_file(args, method, dataset)).exists():
            settings = tuned_settings(path, trainer_name(method))
            yield grid_of(args.tuned, [method], [dataset], args.shots, args.paired_seeds, *settings)


def run(args: argparse.Namespace) -> bool:
    """Run what is missing; whether all went well.

    Raises:
        UserError: phantoms or weights are not, or not any more, those of the runs that are there.
    """
    from datasets.phantoms import VERSION

    output, fine = Path(args.output), True
    note(output, [VERSION])
    for words in grids(args):
        check(output)
        print(f"python -m grid {shlex.join(words)}", flush=True)
        status = grid(words)
        if status == 130:  # interrupted by hand
            raise KeyboardInterrupt
        note(output, drawn_meanwhile(args.datasets))  # workers read the code anew
        fine &= status == 0
    return fine


def kept(document: Path) -> str:
    """What stands above the written part."""
    return read_text(document).partition(MARK)[0] if document.exists() else FIRST


@command
def main(argv: Sequence[str] | None = None) -> int:
    """Returns 1 where a run failed or is missing."""
    args = parse(sys.argv[1:] if argv is None else argv)
    try:
        fine = args.write_only or run(args)
        check(Path(args.output))
    except KeyboardInterrupt:
        print("Interrupted: the same command goes on from there.", file=sys.stderr)
        return 130
    blocks, missing = text(args)
    document = Path(args.to)
    words = kept(document) + "\n\n".join([MARK, *blocks]) + "\n"
    with atomic_write(document) as file:
        file.write(words)
    for line in missing:
        print(f"missing: {line}")
    print(f"Written: {document}; pictures: {Path(args.output) / 'report'}")
    return int(not fine or bool(missing))


if __name__ == "__main__":
    sys.exit(main())
