"""Publish which images are drawn: python -m datasets.draws btmri --shots 16 --seeds 1 2 3 --root data --out draws.json

Writes the names of the drawn images of each class and seed, with digests of the split and of the files, and no path of
this machine. `--from draws.json` takes published draws instead: checks that split and images here are the same, and has
runs use what they would not draw themselves. KEY VALUE pairs are settings as for train.py, such as DATASET.DRAWS
biomedcoop.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from dassl.config import merge_pairs
from dassl.console import printable
from dassl.errors import command
from dassl.writing import write_json
from datasets.catalogue import names
from datasets.draws.published import publish, take
from datasets.load import configure


def parser() -> argparse.ArgumentParser:
    """Return the command line."""
    p = argparse.ArgumentParser(
        prog="python -m datasets.draws", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    p.add_argument("dataset", choices=names(), metavar="dataset", help=", ".join(names()))
    p.add_argument("--root", default="phantoms", help="folder of the data sets (default: phantoms)")
    p.add_argument("--shots", type=int, default=16, help="images per class (default: 16)")
    p.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3], help="(default: 1 2 3)")
    p.add_argument("--out", type=Path, default=Path("draws.json"), help="file to write (default: draws.json)")
    p.add_argument("--from", dest="source", type=Path, help="file of published draws to be used here")
    p.add_argument("opts", nargs="*", help="KEY VALUE ... settings")
    return p


@command
def main(argv: Sequence[str] | None = None) -> int:
    """Write draws, or take those of a file."""
    args = parser().parse_intermixed_args(argv)
    cfg = configure(args.dataset, args.root)
    merge_pairs(cfg, args.opts)
    cfg.DATASET.ROOT, cfg.DATASET.NUM_SHOTS, cfg.DATASET.SUBSAMPLE_CLASSES = args.root, args.shots, "all"
    if args.source:
        for line in take(args.source, args.dataset, cfg):
            print(printable(line))
        return 0
    found = publish(args.dataset, cfg, args.seeds)
    write_json(found, args.out)
    phantom = " (phantom)" if found["phantom"] else ""
    print(f"Draws of seeds {' '.join(found['seeds'])}, {args.shots} shots, {args.dataset}{phantom}: {args.out}")
    print("It holds the names of image files: look whether these may be passed on.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
