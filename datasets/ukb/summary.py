"""Count what was made and what was left out; nothing else about participants is told."""

from collections import Counter
from collections.abc import Sequence
from pathlib import PurePosixPath

from tabulate import tabulate

from datasets.entries import Split


def summarise(split: Split, classes: Sequence[str], left: dict[str, Counter]) -> str:
    """Return two tables as text: participants and images of each class, and what was left out.

    Args:
        split: of all images.
        classes: names in the order of the rows.
        left: numbers by kind ("participants", "zips") and reason.
    """
    rows = []
    for name in classes:
        mine = {part: [item for item in items if item.classname == name] for part, items in split.items()}
        people = [len({PurePosixPath(item.path).name.split("_")[0] for item in items}) for items in mine.values()]
        rows.append([name, sum(map(len, mine.values())), sum(people), *people])
    parts = [f"for {part}" for part in split]
    text = tabulate(rows, ["class", "images", "participants", *parts])
    reasons = [(count, what, why) for what, counts in left.items() for why, count in counts.most_common() if count]
    if reasons:
        text += "\n\n" + tabulate(reasons, ["left out", "", "why"])
    return text
