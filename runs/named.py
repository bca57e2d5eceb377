"""Print the data sets that words name, one a line, for the scripts' loops.

    python -m runs.named btmri busi
    python -m runs.named --setting base2new all

"all" stands for every named data set, as for python -m grid; in base to novel for those with two novel classes or more.
"""

import argparse
import sys
from collections.abc import Sequence

from dassl.errors import command
from datasets.catalogue import find_facts, named_datasets
from runs.spec import SETTINGS


def named(words: Sequence[str], setting: str) -> tuple[list[str], list[str]]:
    """Return the data sets that words name, once each, and those that "all" leaves out.

    >>> named(["busi", "btmri", "busi"], "base2new"), named(["all"], "base2new")[1]
    ((['busi', 'btmri'], []), ['busi'])

    Raises:
        UserError: a data set is unknown.
    """
    if list(words) == ["all"]:
        found = named_datasets(novel=setting == "base2new")
        return found, [key for key in named_datasets() if key not in found]
    return [find_facts(word).key for word in dict.fromkeys(words)], []


def parser() -> argparse.ArgumentParser:
    p = argparse.ArgumentParser(
        prog="python -m runs.named", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    p.add_argument("--setting", default="few_shot", choices=SETTINGS, help="few_shot (default) or base2new")
    p.add_argument("datasets", nargs="+", help="keys of data sets, or all")
    return p


@command
def main(argv: Sequence[str] | None = None) -> int:
    """Return 1 if a data set is unknown."""
    args = parser().parse_args(argv)
    found, left = named(args.datasets, args.setting)
    if left:
        print(f"all: without {', '.join(left)}, with fewer than two novel classes", file=sys.stderr)
    print("\n".join(found))
    return 0


if __name__ == "__main__":
    sys.exit(main())
