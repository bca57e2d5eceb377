"""Files per class against the split."""

from collections import Counter
from pathlib import Path

from tabulate import tabulate

from dassl.errors import UserError
from datasets.base import BiomedDataset, Split


def check(cls: type[BiomedDataset], folder: Path, way_out: str) -> None:
    """Print, for each class, how many images the split lists, how many of them are there, and how many others.

    Args:
        cls: the data set.
        folder: where its split file and its images are.
        way_out: what to do if images are missing.

    Raises:
        UserError: there is no split file, or an image that it lists is missing or empty.
        UserError: the split is not one of this data set.
    """
    images, split = folder / cls.dataset_dir, _read_split(cls, folder)
    items = {images / item.path: item for part in split.values() for item in part}
    lost = [item for path, item in items.items() if not (path.is_file() and path.stat().st_size)]
    homes = {path.parent: item.classname for path, item in items.items()}
    listed, absent = (Counter(item.classname for item in some) for some in (items.values(), lost))
    others = Counter(
        name for home, name in homes.items() if home.is_dir() for path in home.iterdir() if path not in items
    )
    rows = [(name, listed[name], listed[name] - absent[name], others[name]) for name in cls.classes]
    print(tabulate(rows, headers=[cls.dataset_dir, "in split", "found", "others"]))
    if lost:
        raise UserError(
            f"Expected the {len(items)} images that split_{cls.dataset_dir}.json lists, but {len(lost)} are missing or "
            f"empty, the first is {lost[0].path}: {way_out}."
        )


def _read_split(cls: type[BiomedDataset], folder: Path) -> Split:
    """The split, checked as for a run but without the images, which a run's data set insists on."""
    dataset = cls.__new__(cls)
    dataset.key, dataset.folder = cls.__module__.rsplit(".", 1)[-1], folder
    return dataset.read_split()
