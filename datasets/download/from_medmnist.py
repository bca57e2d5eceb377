"""DermaMNIST and OCTMNIST as the package `medmnist` has them, in the layout of all others.

The images are those of 224 x 224 pixels. They are called as in BiomedCoOp (`train12_1.png` is number 12 of the training
part, of class 1), so its split file fits them too; of DermaMNIST it leaves out train0, which is kept here (7,007
training images instead of 7,006). OCTMNIST takes about 6 GB of memory while it is written.
"""

from pathlib import Path

import numpy as np
from PIL import Image
from tqdm import tqdm

from dassl.errors import UserError
from dassl.utils import write_json
from datasets.base import BiomedDataset

from .disk import check_room
from .fetch import digest, fetch

NAMES = ("DermaMNIST", "OCTMNIST")  # as in the package, with the same order of classes
SIZE = 224


def bring_npz(cls: type[BiomedDataset], root: Path) -> tuple[Path, str]:
    """The package's file in `root`, and where it is from; one that lies there already is taken.

    Raises:
        UserError: another data set, or the package is missing, or the file is not the one that it knows.
        DownloadError, DiskFullError: as `fetch`.
    """
    if cls.__name__ not in NAMES:
        raise UserError(f"Expected {' or '.join(NAMES)} for --medmnist, but got {cls.__name__}: leave the flag out.")
    try:
        from medmnist import INFO
    except ImportError as error:
        raise UserError(f"Expected the package medmnist, but {error}: pip install 'medmnist>=3.0'.") from error
    flag = cls.__name__.lower()
    url, md5, path = INFO[flag][f"url_{SIZE}"], INFO[flag][f"MD5_{SIZE}"], root / f"{flag}_{SIZE}.npz"
    if not path.is_file():
        fetch(url, path)
    found = digest(path, "md5")
    if found != md5:
        raise UserError(f"Expected the MD5 {md5} of {path}, but it has {found}: delete it, and run again.")
    return path, url


def write(cls: type[BiomedDataset], root: Path, folder: Path) -> None:
    """Write images and split file into `folder`, from the file in `root`.

    Raises:
        DiskFullError: there is not room enough.
    """
    import medmnist

    split = {}
    for part in ("train", "val", "test"):
        data = getattr(medmnist, cls.__name__)(split=part, size=SIZE, root=str(root))
        check_room(folder, data.imgs.nbytes, f"for the {part} images of {cls.__name__}")
        split[part] = write_part(cls, part, data.imgs, data.labels[:, 0], folder / cls.dataset_dir)
    write_json(split, folder / f"split_{cls.dataset_dir}.json")


def write_part(
    cls: type[BiomedDataset], part: str, pixels: np.ndarray, labels: np.ndarray, images: Path
) -> list[tuple[str, int, str]]:
    """Write `pixels` [N, 224, 224] or [N, 224, 224, 3] of classes `labels` [N]; gives their entries in the split."""
    entries = []
    for i, label in enumerate(tqdm(labels.tolist(), desc=f"{cls.__name__} {part}", unit=" images")):
        name = cls.classes[label]
        path = images / name.replace(" ", "_") / f"{part}{i}_{label}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels[i]).save(path)
        entries.append((path.relative_to(images).as_posix(), label, name))
    return entries
