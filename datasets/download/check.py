"""Compare the files of a data set with its split."""

from collections import Counter
from pathlib import Path

from tabulate import tabulate

from dassl.errors import UserError
from datasets.base import BiomedDataset
from datasets.listing import Listing
from datasets.splits import read_split


def check_files(cls: type[BiomedDataset], folder: Path, way_out: str) -> None:
    """Print, for each class, how many images the split lists, how many of them are there, and how many others.

    Args:
        cls: the data set.
        folder: holds its split file and its folder of images.
        way_out: what to do if images are missing, as the end of an error.

    Raises:
        UserError: there is no split of this data set, or an image that it lists is missing or empty.
    """
    images, split_file = folder / cls.dataset_dir, folder / f"split_{cls.dataset_dir}.json"
    Listing(folder).check_link(split_file.name)
    split = read_split(split_file, cls.classes, cls.download_hint())
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
