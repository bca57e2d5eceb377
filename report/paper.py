"""The paper's own figures, read from paper.json. They are shown beside figures of runs, and enter no average."""

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from runs.methods import trainer_of

SOURCE = "paper"  # what the column "source" says of them
RECOMPUTED = "paper, recomputed"  # ... and of averages that are taken here over its rows

_DOCUMENT: dict[str, Any] = json.loads(Path(__file__).with_name("paper.json").read_text(encoding="utf-8"))
CITATION: str = " ".join(_DOCUMENT["source"])
PROTOCOL: str = _DOCUMENT["protocol"]
DATASETS: dict[str, str] = _DOCUMENT["datasets"]  # name here -> name there
TABLE1, TABLE2, TABLE3 = (_DOCUMENT[f"table{i}"] for i in (1, 2, 3))
WITHOUT_NOVEL = set(DATASETS) - set(TABLE3["rows"])  # data sets that take no part in base to novel
NOVEL_SHOTS = 16  # of its base-to-novel figures


def in_order(rows: Iterable[str]) -> list[str]:
    """Return rows of methods once each: those of the paper's methods in its order, then others by name."""
    known = {name: place for place, name in enumerate(TABLE1["rows"])}
    return sorted(set(rows), key=lambda row: (known.get(trainer_of(row), len(known)), row))


def has(datasets: Iterable[str]) -> bool:
    """Return whether all data sets are among the paper's, so that averages over them stand beside its own."""
    return set(datasets) <= set(DATASETS)


def compared(datasets: Sequence[str]) -> str:
    """Return over which data sets an average here is, and over how many the paper's, for a note.

    >>> compared(["btmri", "busi"])
    "Data sets here: btmri, busi, 2 of the 14 that the paper's averages are over."
    >>> compared(["btmri", "folder-chest"])
    "Data sets here: btmri, folder-chest; the paper's averages are left out, as it does not have folder-chest."
    """
    here = f"Data sets here: {', '.join(datasets)}"
    if others := [name for name in datasets if name not in DATASETS]:
        return f"{here}; the paper's averages are left out, as it does not have {', '.join(others)}."
    return f"{here}, {len(datasets)} of the {len(DATASETS)} that the paper's averages are over."


def of_sets(count: int) -> str:
    """Return what the column "source" says of the paper's averages over so many data sets.

    >>> of_sets(14)
    'paper, 14 sets'
    """
    return f"{SOURCE}, {count} sets"
