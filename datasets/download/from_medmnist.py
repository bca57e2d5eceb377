"""Make data sets of MedMNIST: the package `medmnist` has their addresses, classes and splits.

The files of DermaMNIST and OCTMNIST are named as in BiomedCoOp (`train12_1.png` is number 12 of the training part, of
class 1), so that its split file fits them too; of DermaMNIST it leaves out train0, which is kept here (7,007 training
images instead of 7,006). Every other data set becomes a folder of images with `train/`, `val/` and `test/`, which the
data set `folder` reads.
"""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from dassl.errors import UserError
from dassl.names import check_name
from dassl.progress import bar
from dassl.writing import atomic_write, write_json
from datasets.base import BiomedDataset
from datasets.entries import PARTS

from .disk import check_room
from .fetch import DownloadError, digest, fetch
from .npz import open_npz, read_rows

SIZES = (28, 64, 128, 224)
SIZE = 224
SMALLEST = 28  # whose keys and files have no number
FORBIDDEN = re.compile(r'[/\\:*?"<>|]')  # in the names of files, here or on Windows
SOURCE = "MedMNIST v2 (Yang et al. 2023)"


def read_package() -> dict[str, dict[str, Any]]:
    """Return what the package says of each data set, by name such as "pathmnist".

    Raises:
        UserError: the package is missing.
    """
    try:
        from medmnist import INFO
    except ImportError as error:
        raise UserError(f"Expected the package medmnist, but {error}: pip install 'medmnist>=3.0'.") from error
    return INFO


def find_info(name: str, size: int) -> dict[str, Any]:
    """Return what the package says of one data set.

    Raises:
        UserError: there is none of that name or size, or its images are not pictures with one class each.
    """
    every = read_package()
    usable = sorted(key for key in every if not _why_not(key, every[key]))
    if name not in every:
        raise UserError(f"Expected one of {', '.join(usable)} for --medmnist, but got {name}: leave the flag out.")
    if why := _why_not(name, every[name]):
        raise UserError(
            f"Expected pictures that show one class each, but {name} {why}: take one of {', '.join(usable)}."
        )
    if _key("url", size) not in every[name]:
        raise UserError(f"Expected {name} of {size} x {size} pixels, but MedMNIST has none: choose another --size.")
    return every[name]


def _why_not(name: str, info: dict[str, Any]) -> str:
    """Return why a data set cannot be used, in words; "" if it can."""
    if name.endswith("3d"):
        return "has volumes (3-D)"
    return "has several labels to a picture" if "multi-label" in info["task"] else ""


def _key(what: str, size: int) -> str:
    """Return the package's key, or the name of a file, for one size of pictures."""
    return what if size == SMALLEST else f"{what}_{size}"


def classes_of(name: str, info: dict[str, Any]) -> list[str]:
    """Return the class names in the order of labels, in characters that names of folders may have."""
    labels = info["label"]
    names = [check_name(labels[str(i)], "class", f"medmnist's {name}") for i in range(len(labels))]
    names = [FORBIDDEN.sub("-", label).strip(" .") for label in names]
    if len(set(names)) < len(names) or not all(names):
        raise UserError(f"Expected different class names in medmnist's {name}, but got {names}: take another version.")
    if all(label.isdigit() for label in names):
        print(
            f"{name}: MedMNIST calls its classes {', '.join(names)}, which says nothing to a text tower: give the "
            "folders names in words, the same below train, val and test, and in classes.txt."
        )
    return names


def bring_npz(name: str, size: int, root: Path) -> tuple[Path, str]:
    """Return MedMNIST's file in `root`, downloaded unless it is there, and its address.

    Raises:
        UserError: there is no such data set (see `find_info`), or the file has another sum than the package says.
        DownloadError, DiskFullError: see `fetch`.
    """
    info = find_info(name, size)
    path = root / f"{_key(name, size)}.npz"
    pixels = sum(info["n_samples"].values()) * size * size * info["n_channels"]
    url, md5 = info[_key("url", size)], info.get(_key("MD5", size))
    if not path.is_file():
        try:
            fetch(url, path, pixels + pixels // 20 + (1 << 24))  # packed it is smaller; labels and headers are little
        except DownloadError as error:
            raise DownloadError(
                f"Expected {path.name} from MedMNIST, but {error}. Or bring it from elsewhere, put it into {root}, and "
                "run again."
            ) from error
    if not md5:
        print(f"{path.name} is not checked: the package medmnist has no MD5 of it")
    elif (found := digest(path, "md5")) != md5:
        raise UserError(f"Expected the MD5 {md5} of {path}, but it has {found}: delete it, and run again.")
    return path, url


def pictures(path: Path, name: str, size: int, part: str) -> Iterator[tuple[int, np.ndarray, int]]:
    """Yield the number, the pixels [size, size] or [size, size, 3] and the label of each picture of a part.

    Raises:
        UserError: the file holds other arrays than expected, or a label without a class; names the file.
    """
    info = find_info(name, size)
    count, classes = info["n_samples"][part], len(info["label"])
    shape = (count, size, size) if info["n_channels"] == 1 else (count, size, size, info["n_channels"])
    with open_npz(path) as archive:
        labels = [int(row[0]) for row in read_rows(archive, f"{part}_labels", (count, 1), "iu")]
        if wrong := sorted({label for label in labels if not 0 <= label < classes}):
            raise ValueError(f"{part}_labels has {wrong[0]}, which is none of {classes} classes")
        images = bar(
            read_rows(archive, f"{part}_images", shape, "u"), total=count, desc=f"{name} {part}", unit=" images"
        )
        for i, (pixels, label) in enumerate(zip(images, labels, strict=True)):
            if pixels.dtype != np.uint8:
                raise ValueError(f"{part}_images is of {pixels.dtype}, not of bytes")
            yield i, pixels, label


def write_named(cls: type[BiomedDataset], path: Path, folder: Path) -> None:
    """Write images and split file of DermaMNIST or OCTMNIST into `folder`, from the package's file.

    Raises:
        DiskFullError: there is not enough room.
        UserError: see `pictures`.
    """
    name, images = cls.__name__.lower(), folder / cls.dataset_dir
    split: dict[str, list[tuple[str, int, str]]] = {}
    check_room(folder, _png_bytes(name, SIZE), f"for the images of {cls.__name__}")
    for part in PARTS:
        split[part] = []
        for i, pixels, label in pictures(path, name, SIZE, part):
            classname = cls.classes[label]
            target = images / classname.replace(" ", "_") / f"{part}{i}_{label}.png"
            _save(pixels, target)
            split[part].append((target.relative_to(images).as_posix(), label, classname))
    write_json(split, folder / f"split_{cls.dataset_dir}.json")


def write_folder(name: str, size: int, path: Path, folder: Path) -> None:
    """Write the images of any data set into `folder`, as `<part>/<class>/<number>.png`, and `classes.txt`.

    Raises:
        DiskFullError: there is not enough room.
        UserError: see `pictures` and `classes_of`.
    """
    classes = classes_of(name, find_info(name, size))
    check_room(folder, _png_bytes(name, size), f"for the images of {name}")
    for part in PARTS:
        for i, pixels, label in pictures(path, name, size, part):
            _save(pixels, folder / part / classes[label].replace(" ", "_") / f"{i}.png")
    with atomic_write(folder / "classes.txt") as file:
        file.writelines(f"{classname}\n" for classname in classes)


def check_folder(name: str, size: int, folder: Path) -> None:
    """Print how many images each part has; raise a UserError if MedMNIST has another number."""
    expected = find_info(name, size)["n_samples"]
    for part in PARTS:
        found = sum(1 for _ in (folder / part).glob("*/*.png"))
        print(f"{folder}: {found} of {expected[part]} images in {part}")
        if found != expected[part]:
            raise UserError(
                f"Expected {expected[part]} images in {folder / part}, but found {found}: move {folder} away and run "
                "again."
            )


def _png_bytes(name: str, size: int) -> int:
    """Return the most bytes that the images take as PNG."""
    info = find_info(name, size)
    return sum(info["n_samples"].values()) * (size * size * info["n_channels"] + 1024)


def _save(pixels: np.ndarray, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("xb") as file:
        Image.fromarray(pixels).save(file, "PNG")
