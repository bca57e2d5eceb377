"""Run the experiments of Tables 1 to 3 that are missing on the phantoms, then write docs/RESULTS.md.

    python -m reproduce.results                                              # all 14 data sets
    python -m reproduce.results --datasets btmri chmnist covid dermamnist
    python -m reproduce.results --write-only                                 # of what has been run

Finished runs are left alone, so the same command goes on where it was stopped. Below --output, default/ holds runs with
the settings of configs/, and tuned/ those with what was chosen by `python -m tuning`, for each data set that has a file
configs/trainers/<Trainer>/tuned/<backbone>/<data set>.yaml. KEY VALUE pairs at the end go to all runs. Of the document,
the text above the line that says so is kept: there is the place to say what the tables show.
"""

import argparse
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path

from dassl.errors import command
from grid.run import run_grid
from report import paper
from report.render import without_places
from reproduce.document import document_text
from reproduce.kept import write_below
from reproduce.plan import Document
from reproduce.provenance import check_alike, note_begun, versions_drawn_meanwhile
from runs.methods import CONFIGS, METHODS, both_protocols, method_of, row_name
from runs.options import split_options
from runs.spec import pairs

ROOT = Path(__file__).parents[1]
FIRST = "# Phantom results\n\n"  # the part of a new document that is kept
MARK = "<!-- What follows is written by scripts/results.sh; what stands above is kept. -->"


def parser() -> argparse.ArgumentParser:
    p = argparse.ArgumentParser(
        prog="python -m reproduce.results", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    p.add_argument(
        "--methods", nargs="+", default=both_protocols(METHODS), help="short names of methods (default: all)"
    )
    p.add_argument("--datasets", nargs="+", default=list(paper.DATASETS), help="default: all")
    p.add_argument("--shots", nargs="+", type=int, default=[1, 4, 16], help="of Table 1 (default: 1 4 16)")
    p.add_argument("--ablation-shots", nargs="+", type=int, default=[16], help="few-shot, of Table 2 (default: 16)")
    p.add_argument("--seeds", nargs="+", type=int, default=[1, 2, 3], help="of Tables 1 to 3 (default: 1 2 3)")
    p.add_argument("--paired-seeds", nargs="+", type=int, default=[1, 2, 3, 4, 5], help="of the paired test: five")
    p.add_argument("--devices", nargs="+", help="as for python -m grid")
    p.add_argument("--output", default="build/results", help="folder of all runs (default: build/results)")
    p.add_argument("--tuning", default="output/tuning", help="folder of the studies (default: output/tuning)")
    p.add_argument("--configs", default=str(CONFIGS / "trainers"), help="where <Trainer>/tuned/ lies")
    p.add_argument("--to", default=str(ROOT / "docs" / "RESULTS.md"), help="default: docs/RESULTS.md")
    p.add_argument("--write-only", action="store_true", help="run nothing")
    return p


def parse(argv: Sequence[str]) -> tuple[Document, argparse.Namespace]:
    """Return what the document spans, and the flags; the first KEY ends the flags."""
    flags, options = split_options(argv)
    args = parser().parse_args(flags)
    document = Document(
        methods=[method_of(row_name(method)) for method in args.methods],
        datasets=args.datasets,
        shots=args.shots,
        ablation_shots=args.ablation_shots,
        seeds=args.seeds,
        paired_seeds=args.paired_seeds,
        output=Path(args.output),
        tuning=Path(args.tuning),
        configs=Path(args.configs),
        options=pairs(options),
    )
    return document, args


def run_all(document: Document, devices: Sequence[str] | None = None) -> bool:
    """Run what is missing, and return whether all went well.

    Raises:
        UserError: the runs that are there had other phantoms or weights.
    """
    from datasets.phantoms import VERSION

    fine = True
    note_begun(document.output, [VERSION])
    for grid in document.grids():
        check_alike(document.output)
        print(f"== {grid}", flush=True)
        summary = run_grid(grid, devices)
        print(summary, flush=True)
        note_begun(document.output, versions_drawn_meanwhile(document.datasets))  # workers read the code anew
        fine &= not summary.failed
    return fine


@command
def main(argv: Sequence[str] | None = None) -> int:
    """Return 1 if a run failed or is missing."""
    words = list(sys.argv[1:] if argv is None else argv)
    document, args = parse(words)
    fine = args.write_only or run_all(document, args.devices)
    check_alike(document.output)
    line = shlex.join(["bash", "scripts/results.sh", *without_places(words)])
    blocks, missing = document_text(document, line)
    path = Path(args.to)
    write_below(path, MARK, "\n\n".join(blocks) + "\n", FIRST)
    for each in missing:
        print(f"missing: {each}")
    print(f"Written: {path}; pictures: {document.output / 'report'}")
    return int(not fine or bool(missing))


if __name__ == "__main__":
    sys.exit(main())
