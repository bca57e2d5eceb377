"""List the known models, check that one can be loaded, or show and clear the feature store.

    python -m clip list                       # sizes, licences, and which are on this machine
    python -m clip check BiomedCLIP           # load it, encode a picture and two sentences, print what was found
    python -m clip check local-dir:/path/to/model --image scan.png
    python -m clip store                      # place and size of the features, per backbone
    python -m clip store --clear BiomedCLIP   # delete those of one backbone, or of all; --yes does not ask

No command downloads anything but the model that `check` is asked for.
"""

import argparse
import sys
from collections.abc import Sequence

from tabulate import tabulate

from dassl.errors import command


@command
def main(argv: Sequence[str] | None = None) -> int:
    """Return 0, or 1 if the store was to be cleared and was not."""
    parser = argparse.ArgumentParser(
        prog="python -m clip", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="list | check NAME | store")
    commands.add_parser("list", help="list the known models")
    check = commands.add_parser("check", help="check that a model can be loaded")
    check.add_argument("name", help="a short name, hf-hub:org/model[@revision] or local-dir:/path")
    check.add_argument("--image", help="file of a picture (default: a grey ramp)")
    store = commands.add_parser("store", help="show what the feature store holds, or clear it")
    store.add_argument(
        "--clear", nargs="?", const="", metavar="BACKBONE", help="delete the features of this backbone, or of all"
    )
    store.add_argument("--yes", action="store_true", help="do not ask before they are deleted")
    args = parser.parse_args(argv)
    if args.command == "list":
        from clip import listing

        print(tabulate(listing.rows(), listing.HEADERS, disable_numparse=True))
        print("\nFiles are looked for in this order, and last on the hub itself:")
        print("\n".join(f"{i}. {place}" for i, place in enumerate(listing.looked_for(), start=1)))
    elif args.command == "store":
        from clip import store_listing

        if args.clear is not None:
            return store_listing.clear(args.clear, (lambda _: True) if args.yes else store_listing.asked)
        print("\n".join(store_listing.lines()))
    else:
        from clip.check import facts

        print(tabulate(facts(args.name, args.image), tablefmt="plain", disable_numparse=True))
    return 0


if __name__ == "__main__":
    sys.exit(main())
