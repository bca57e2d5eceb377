"""Bring data sets to disk, checked and ready for a run.

    python -m datasets.download btmri kvasir --root data
    python -m datasets.download pathmnist bloodmnist --medmnist --size 224

An interrupted download goes on where it stopped, and a data set that is there already is only checked. Each archive
comes from the Hugging Face hub (or the mirror that HF_ENDPOINT names), or else from Google Drive, where BiomedCoOp's
authors keep it, unless <root>/<NAME>.zip is there. With --medmnist the name is one of MedMNIST's; DermaMNIST and
OCTMNIST become the data sets of those names, and all others folders of images:
DATA=data/pathmnist bash scripts/vmfcoop/few_shot.sh folder 16.
"""

import argparse
import sys
from pathlib import Path

from filelock import Timeout

from dassl.errors import UserError, command
from dassl.names import check_name
from datasets.catalogue import by_key

from . import from_medmnist
from .install import bring_folder, bring_named


def parser() -> argparse.ArgumentParser:
    """Return the command line."""
    p = argparse.ArgumentParser(
        prog="python -m datasets.download", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    p.add_argument("datasets", nargs="+", metavar="DATASET", help="such as btmri")
    p.add_argument("--root", type=Path, default=Path("data"), help="folder of all data sets (default: data)")
    p.add_argument("--medmnist", action="store_true", help="take them from MedMNIST, by the package medmnist")
    p.add_argument(
        "--size",
        type=int,
        choices=from_medmnist.SIZES,
        default=from_medmnist.SIZE,
        help="side of MedMNIST's pictures in pixels (default: 224)",
    )
    return p


def bring(key: str, root: Path) -> None:
    """Have a named data set from its archive; a UserError if it cannot be had, or is not complete."""
    bring_named(by_key()[key], root, medmnist=False)


def bring_from_medmnist(name: str, size: int, root: Path) -> None:
    """Have one of MedMNIST's data sets, with pictures of `size` x `size` pixels.

    Raises:
        UserError: it cannot be had, or is not complete.
    """
    from_medmnist.find_info(check_name(name, "data set", "the command line"), size)
    if name not in by_key():
        bring_folder(name, size, root)
    elif size == from_medmnist.SIZE:
        bring_named(by_key()[name], root, medmnist=True)
    else:
        raise UserError(
            f"Expected --size {from_medmnist.SIZE} for {name}, whose split is BiomedCoOp's, but got {size}: leave it "
            "out."
        )


@command
def main(argv: list[str] | None = None) -> int:
    """Bring one data set after the other; return 1 if one of them could not be had."""
    cli = parser()
    args, failures = cli.parse_args(argv), 0
    root = args.root.expanduser()
    if not args.medmnist and (unknown := [key for key in args.datasets if key not in by_key()]):
        cli.error(
            f"expected DATASET to be of {', '.join(sorted(by_key()))}, or one of MedMNIST's with --medmnist, but got "
            f"{', '.join(unknown)}"
        )
    for key in args.datasets:
        try:
            if args.medmnist:
                bring_from_medmnist(key, args.size, root)
            else:
                bring(key, root)
        except Timeout:
            print(f"error: another process is bringing {key} to {args.root}; wait for it, or end it.", file=sys.stderr)
            failures += 1
        except UserError as error:
            print(f"error: {error}", file=sys.stderr)
            failures += 1
    return int(failures > 0)


if __name__ == "__main__":
    sys.exit(main())
