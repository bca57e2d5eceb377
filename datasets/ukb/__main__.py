"""The command line: `python -m datasets.ukb prepare {cmri,lmri,pmri} --bulk DIR --phenotypes FILE --out DIR`."""

import argparse
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from filelock import Timeout
from platformdirs import user_config_dir

from dassl.errors import command
from datasets.ukb.phenotypes import read_withdrawn
from datasets.ukb.pseudonym import pseudonyms
from datasets.ukb.recipe import SETS, read_recipe

SALT = Path(user_config_dir("vmfcoop")) / "ukb.salt"


def parser() -> argparse.ArgumentParser:
    """Return the command line."""
    commands = argparse.ArgumentParser(
        prog="python -m datasets.ukb", description="Data sets from UK Biobank's bulk files."
    )
    p = commands.add_subparsers(required=True).add_parser("prepare", help="make a data set, or go on with it")
    p.add_argument("set", choices=SETS)
    p.add_argument("--bulk", type=Path, required=True, help="folder of <eid>_<field>_<instance>_<array>.zip")
    p.add_argument("--phenotypes", type=Path, required=True, help="table of eid, fields 41270, 41280 and 53")
    p.add_argument("--out", type=Path, required=True, help="root of the data sets, as for train.py --root")
    p.add_argument("--recipe", type=Path, help="images, classes and ICD-10 codes; by default datasets/ukb/<set>.yaml")
    p.add_argument("--salt", type=Path, default=SALT, help=f"file of the pseudonyms' salt, outside --out; {SALT}")
    p.add_argument("--withdrawn", type=Path, help="participants who withdrew, one eid a line")
    p.add_argument("--workers", type=int, default=1, help="processes that read zips")
    return commands


@contextmanager
def owner_only() -> Iterator[None]:
    """Let only the owner read files that are written meanwhile, by this process or those that it starts."""
    before = os.umask(0o077)
    try:
        yield
    finally:
        os.umask(before)


@command
@owner_only()
def main(argv: Sequence[str] | None = None) -> int:
    """Prepare the data set that the command line names."""
    args = parser().parse_args(argv)
    try:
        from datasets.ukb.prepare import prepare  # needs pydicom, which is optional

        recipe = read_recipe(args.set, args.recipe)
        withdrawn = read_withdrawn(args.withdrawn) if args.withdrawn else set()
        pseudonym = pseudonyms(args.salt, args.out, recipe.name)
        print(prepare(recipe, args.bulk, args.phenotypes, args.out, pseudonym, withdrawn, args.workers))
    except Timeout:
        print(f"error: another process is working in {args.out}; wait for it, or end it.", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
