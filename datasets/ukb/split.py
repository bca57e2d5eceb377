"""Divide whole participants into training, validation and test, in the same shares in every class."""

from collections.abc import Iterable, Sequence

from datasets.division import SHARES, divide
from datasets.entries import Item, Split
from datasets.ukb.journal import Visit


def split_visits(visits: Iterable[Visit], classes: Sequence[str]) -> Split:
    """Return a split of all images of the visits, with those of a participant in one part."""
    by_class: dict[str, dict[str, list[str]]] = {name: {} for name in classes}
    for visit in visits:
        by_class[visit.classname].setdefault(visit.participant, []).extend(visit.paths())
    found: Split = {part: [] for part, _ in SHARES}
    for label, (classname, paths) in enumerate(by_class.items()):
        # sorted pseudonyms are in a random order, which the salt decides
        for part, participants in divide(sorted(paths)).items():
            found[part] += [Item(path, label, classname) for name in participants for path in sorted(paths[name])]
    return found
