"""The catalogue of data sets: every class that a module of this folder registers.

A data set of one's own is a module in this folder; no list has to be changed. `read_facts` and `names` read the source
alone; `find_class` and `by_key` give the classes.
"""

from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from dassl.errors import UserError
from dassl.names import file_name, unknown_name
from dassl.source import read_registered
from datasets.splits import has_novel_classes

if TYPE_CHECKING:
    from datasets.base import BiomedDataset

FOLDER = Path(__file__).parent
REGISTRY = "DATASET_REGISTRY"


class Facts(NamedTuple):
    """A data set as its class says of itself.

    Attributes:
        key: name on command lines, such as "btmri".
        name: registry name, which is the class's, such as "BTMRI".
        own: it reads images of the user, whose classes only the images tell.
        classes: names in the order of labels; empty if `own`, or if they are no plain list in the source.
        novel: it has two novel classes or more, which base to novel needs; True if the source does not tell.
    """

    key: str
    name: str
    own: bool
    classes: tuple[str, ...]
    novel: bool


def read_facts(folder: Path = FOLDER) -> dict[str, Facts]:
    """Return the facts about each data set of a folder by key, sorted by key.

    Raises:
        UserError: two data sets have one key.
    """
    found: dict[str, Facts] = {}
    for cls in read_registered(folder, REGISTRY):
        key, own = cls.constants.get("key") or cls.module, bool(cls.constants.get("own"))
        classes = tuple(cls.constants.get("classes", ()))
        if key in found:
            raise UserError(
                f'Expected another key for each data set, but {found[key].name} and {cls.name} are both "{key}": set '
                "`key` in one of the classes."
            )
        found[key] = Facts(key, cls.name, own, classes, not classes or has_novel_classes(len(classes)))
    return dict(sorted(found.items()))


@cache
def _known() -> dict[str, Facts]:
    return read_facts()


def names() -> list[str]:
    """Return the keys of all data sets, those of a user's own images included."""
    return list(_known())


def find_facts(key: str) -> Facts:
    """Return the facts about a data set; a UserError that lists all keys if there is none."""
    if key not in _known():
        raise UserError(
            f"{unknown_name(key, names(), 'data set')} One of your own is written in datasets/{file_name(key)}.py "
            "(README, A data set of your own); images in folders of classes are the data set folder, and need no code."
        )
    return _known()[key]


def named_datasets(novel: bool = False) -> list[str]:
    """Return the keys of all data sets but a user's own images; with `novel`, of those that have novel classes."""
    return [facts.key for facts in _known().values() if not facts.own and (facts.novel or not novel)]


def find_class(key: str) -> "type[BiomedDataset]":
    """Return the class of a data set; raises as `find_facts`."""
    from dassl.data.datasets import DATASET_REGISTRY

    found: type[BiomedDataset] = DATASET_REGISTRY.get(find_facts(key).name)
    return found


def by_key() -> "dict[str, type[BiomedDataset]]":
    """Return the named data sets by key, without those of a user's own images."""
    return {key: find_class(key) for key, facts in _known().items() if not facts.own}
