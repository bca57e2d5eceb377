"""Tell how many pictures show a lesion, and how large it is: `python -m datasets.phantoms.coverage`.

It prints a table in Markdown about the pictures that `prepare` writes for testing.
"""

from __future__ import annotations

import argparse
from typing import NamedTuple

import numpy as np
from tabulate import tabulate

from datasets.entries import PARTS

from .folder import Counts
from .phantom import Phantom
from .registry import PHANTOMS, sample_with_lesion


class Coverage(NamedTuple):
    """The lesions in the test pictures of a data set.

    Attributes:
        shown: share of the pictures of each class that show a lesion.
        size: median share of a picture that its lesions cover, of the pictures that show one.
    """

    shown: dict[str, float]
    size: float

    @property
    def mostly(self) -> list[str]:
        """The classes of which most pictures show a lesion."""
        return [classname for classname, share in self.shown.items() if share > 0.5]


def measure(phantom: Phantom, counts: Counts) -> Coverage:
    """Draw the test pictures of a data set and return what their lesions cover."""
    number = counts.per_class(len(phantom.classes))["test"]
    sizes = {
        classname: np.array(
            [sample_with_lesion(phantom.name, classname, (PARTS.index("test"), i))[2].mean() for i in range(number)]
        )
        for classname in phantom.classes
    }
    every = np.concatenate(list(sizes.values()))
    return Coverage({name: float((of > 0).mean()) for name, of in sizes.items()}, float(np.median(every[every > 0])))


def main() -> None:
    """Print the table."""
    argparse.ArgumentParser(description=__doc__).parse_args()
    rows = []
    for key, phantom in PHANTOMS.items():
        if phantom.lesion:
            found = measure(phantom, Counts())
            share = float(np.mean(list(found.shown.values())))
            rows.append([f"`{key}`", phantom.lesion, f"{share:.0%}", f"{found.size:.1%}", ", ".join(found.mostly)])
    headers = ["data set", "counted as lesion", "pictures with one", "median size", "classes that mostly show one"]
    print(tabulate(rows, headers, tablefmt="github"))


if __name__ == "__main__":
    main()
