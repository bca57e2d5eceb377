"""List the known models, or check that one can be loaded.

    python -m clip list                       # sizes, licences, and which are on this machine
    python -m clip check BiomedCLIP           # load it, encode a picture and two sentences, print what was found
    python -m clip check local-dir:/path/to/model --image scan.png

No command downloads anything but the model that `check` is asked for.
"""

import argparse
import sys
from collections.abc import Sequence

from tabulate import tabulate

from dassl.errors import command


@command
def main(argv: Sequence[str] | None = None) -> int:
    """Return 0."""
    parser = argparse.ArgumentParser(
        prog="python -m clip", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="list | check NAME")
    commands.add_parser("list", help="list the known models")
    check = commands.add_parser("check", help="check that a model can be loaded")
    check.add_argument("name", help="a short name, hf-hub:org/model[@revision] or local-dir:/path")
    check.add_argument("--image", help="file of a picture (default: a grey ramp)")
    args = parser.parse_args(argv)
    if args.command == "list":
        from clip import listing

        print(tabulate(listing.rows(), listing.HEADERS, disable_numparse=True))
        print("\nFiles are looked for in this order, and last on the hub itself:")
        print("\n".join(f"{i}. {place}" for i, place in enumerate(listing.looked_for(), start=1)))
    else:
        from clip.check import facts

        print(tabulate(facts(args.name, args.image), tablefmt="plain", disable_numparse=True))
    return 0


if __name__ == "__main__":
    sys.exit(main())
