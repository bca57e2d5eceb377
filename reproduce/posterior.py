"""Measure what the posterior is worth, beside everything it has to face: few-shot, and base to novel.

    python -m reproduce posterior                       # the confirmation half of the phantoms, five seeds
    python -m reproduce posterior --datasets btmri --shots 1 4 --seeds 1 2 --to build/posterior.md
    python -m reproduce posterior --root data --to build/posterior.md     # your data sets, BiomedCLIP
    python -m reproduce posterior --write-only          # the tables of what has been run

Methods are trained and tested where they have not been (as python -m grid does). Rows with the posterior test the
prompts that their method has learned: the training is the same, and is not done twice. Accuracies are averages over the
data sets, and the differences are paired by data set and seed. In --to the text above the mark is kept.
"""

import argparse
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path

from dassl.errors import command
from report.render import without_places
from reproduce.kept import write_below
from reproduce.posterior_runs import METHODS, POSTERIORS, VARIANTS, Study
from reproduce.posterior_tables import text_of
from reproduce.series import span
from runs.options import positive, split_options
from runs.spec import PHANTOMS, pairs

ROOT = Path(__file__).parents[1]
CONFIRMATION = ("kneexray", "kvasir", "lmri", "lungcolon", "octmnist", "pmri", "retina")
MARK = "<!-- What follows is written by python -m reproduce posterior; what stands above is kept. -->"


def parser() -> argparse.ArgumentParser:
    p = argparse.ArgumentParser(
        prog="python -m reproduce posterior", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    p.add_argument("--datasets", nargs="+", default=list(CONFIRMATION), help="default: the confirmation half")
    p.add_argument("--shots", nargs="+", type=positive, default=[1, 4, 16], help="few-shot (default: 1 4 16)")
    p.add_argument("--novel-shots", type=positive, default=16, help="base to novel (default: 16)")
    p.add_argument("--seeds", nargs="+", type=int, default=[1, 2, 3, 4, 5], help="default: 1 2 3 4 5")
    p.add_argument("--root", default=PHANTOMS, help='folder of the data sets, or "phantoms" (default)')
    p.add_argument("--output", default="build/posterior", help="folder of all runs (default: build/posterior)")
    p.add_argument("--to", default=str(ROOT / "docs" / "POSTERIOR.md"), help="default: docs/POSTERIOR.md")
    p.add_argument("--write-only", action="store_true", help="run nothing")
    return p


@command
def main(argv: Sequence[str] | None = None) -> int:
    """Return 1 if a run failed or is missing."""
    words = list(sys.argv[1:] if argv is None else argv)
    flags, options = split_options(words)
    args = parser().parse_args(flags)
    study = Study(
        span(args.datasets, args.shots, args.seeds), Path(args.output), args.root, args.novel_shots, pairs(options)
    )
    fine = args.write_only or study.run([*METHODS, *POSTERIORS, *VARIANTS])
    everything = [*METHODS, *POSTERIORS, *VARIANTS]
    line = shlex.join(["python", "-m", "reproduce", "posterior", *without_places(words)])
    text, whole = text_of(study, everything, line)
    path = Path(args.to)
    write_below(path, MARK, text)
    print(f"Written: {path}" + ("" if whole else "; runs are missing, and their cells a gap"))
    return int(not (fine and whole))


if __name__ == "__main__":
    sys.exit(main())
