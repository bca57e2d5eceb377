"""Render a phantom data set to disk, in the layout of the real one."""

from __future__ import annotations

import json
import multiprocessing
import secrets
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

import numpy as np
from filelock import FileLock
from PIL import Image

from dassl.console import tell
from dassl.errors import UserError
from dassl.progress import bar
from dassl.reading import read_json
from dassl.writing import atomic_write, write_json, writing
from datasets.masks import mask_path

from . import registry

MARKER = "phantom.json"
MARKER_LIMIT = 10_000  # bytes
README = """These are phantoms, not medical images.

Every picture in this folder was drawn by a program (datasets/phantoms, renderer version {version}) from random
numbers. No patient, no scanner and no real image went into them. They have the names, classes and folder layout of
the data set {name} so that the code can be run, tested and compared without it. Whatever is measured on them says
nothing about the data set itself.
{masks}"""
MASKS_README = """
The program knows where it drew a lesion: of a picture that shows one, <class>/mask/<name>.png (version {version}) is
white there. What counts: {lesion}.
"""


@dataclass(frozen=True)
class Counts:
    """Numbers of pictures: `train` and `val` are per class, `test_total` is the least number of all test pictures."""

    train: int = 100
    val: int = 30
    test_total: int = 1000

    def per_class(self, classes: int) -> dict[str, int]:
        """Return the pictures of one class in each part, for a data set of so many classes.

        >>> Counts(train=16, val=4, test_total=100).per_class(3)
        {'train': 16, 'val': 4, 'test': 34}
        """
        return {"train": self.train, "val": self.val, "test": -(-self.test_total // classes)}


def prepare(name: str, root: str | Path, progress: bool = True, counts: Counts = Counts()) -> None:
    """Render the phantom of a data set to <root>/<NAME>, unless it is there with the same versions and counts.

    The folder appears only when it is complete. Two processes may ask for the same folder: one waits for the other.
    Beside pictures that show a lesion, `mask/<same name>.png` is white where it is (`datasets.masks`).

    Args:
        name: registry name of the data set or key of its config.
        root: folder of the phantoms; missing folders are made.
        progress: show a progress bar.
        counts: numbers of pictures.

    Raises:
        UserError: there is no phantom of this name, or <root>/<NAME> is a folder that is not a phantom.
    """
    phantom = registry.find_phantom(name)
    root = Path(root)
    root.mkdir(parents=True, exist_ok=True)
    target, old = root / phantom.name, root / f".{phantom.name}.old"
    wanted = {
        "phantom": phantom.name,
        "version": registry.VERSION,
        "masks": registry.MASKS_VERSION,
        "counts": asdict(counts),
    }
    if _read_marker(target) == wanted:
        return
    with FileLock(root / f".{phantom.name}.lock"):
        if _read_marker(target) == wanted:  # another process was faster
            return
        if target.exists() and not (target / MARKER).is_file():
            raise UserError(
                f"Expected a phantom folder or nothing at {target}, but got a folder without {MARKER}: "
                "move it away, or choose another root for the phantoms."
            )
        for left in root.glob(f".{phantom.name}.partial*"):  # of a process that was killed
            shutil.rmtree(left, ignore_errors=True)
        with writing(target):
            partial_ = root / f".{phantom.name}.partial-{secrets.token_hex(8)}"
            partial_.mkdir()
            _render(phantom.name, partial_, counts, progress)
            write_json(wanted, partial_ / MARKER)
        shutil.rmtree(old, ignore_errors=True)
        if target.exists():
            target.rename(old)
        partial_.rename(target)
        shutil.rmtree(old, ignore_errors=True)
        if progress:
            n = len(phantom.classes)
            tell(f"Rendered {sum(counts.per_class(n).values()) * n} phantoms into {target}")


def is_marked(folder: str | Path) -> bool:
    """Tell whether a folder, or one of the folders that it lies in, has the marker file of a phantom."""
    folder = Path(folder).expanduser()
    around = {place for path in (folder.absolute(), folder.resolve()) for place in (path, *path.parents)}
    return any("phantom" in (_read_marker(place) or {}) for place in around)


def seed_of(path: str | Path) -> tuple[int, int]:
    """Return the seed with which `registry.sample` draws the picture of a file again: part of the data set, and number.

    >>> seed_of("data/phantoms/BTMRI/BTMRI/glioma_tumor/test_0042.png")
    (2, 42)
    """
    part, _, number = Path(path).stem.rpartition("_")
    return list(Counts().per_class(1)).index(part), int(number)


def _read_marker(folder: Path) -> dict | None:
    """Return the content of a folder's marker file; None if there is no marker that can be read."""
    try:
        found = read_json(folder / MARKER, limit=MARKER_LIMIT)
    except (OSError, UserError):
        return None
    return found if isinstance(found, dict) else None


def _render(name: str, folder: Path, counts: Counts, progress: bool) -> None:
    """Draw all pictures of one data set and the masks of their lesions; write its split file and its README."""
    phantom = registry.find_phantom(name)
    split: dict[str, list] = {}
    jobs = []
    for part_id, (part, count) in enumerate(counts.per_class(len(phantom.classes)).items()):
        split[part] = []
        for label, classname in enumerate(phantom.classes):
            class_dir = classname.replace(" ", "_")
            (folder / name / class_dir).mkdir(parents=True, exist_ok=True)
            for i in range(count):
                path = f"{class_dir}/{part}_{i:04d}.png"
                split[part].append([path, label, classname])
                jobs.append((path, classname, (part_id, i)))
    with _workers(2) as run:
        draw = partial(_draw, name, folder / name)
        drawn = run(draw, jobs)
        for _ in bar(drawn, total=len(jobs), desc=f"Rendering phantom {name}") if progress else drawn:
            pass
    masks = MASKS_README.format(version=registry.MASKS_VERSION, lesion=phantom.lesion) if phantom.lesion else ""
    for file, text in (
        (f"split_{name}.json", json.dumps(split)),
        ("README.txt", README.format(name=name, version=registry.VERSION, masks=masks)),
    ):
        with atomic_write(folder / file) as stream:
            stream.write(text)


def _draw(name: str, folder: Path, job: tuple[str, str, tuple[int, int]]) -> None:
    """Draw one picture, and the mask of its lesion if it shows one; `job` is path in `folder`, class and seed."""
    path, classname, seed = job
    picture, _, lesion = registry.sample_with_lesion(name, classname, seed)
    Image.fromarray(picture).save(folder / path, compress_level=1)
    if lesion.any():
        mask = mask_path(folder / path)
        mask.parent.mkdir(exist_ok=True)
        Image.fromarray(lesion.astype(np.uint8) * 255).save(mask)


@contextmanager
def _workers(count: int) -> Iterator:
    """Give a `map` that runs in `count` forked processes.

    It runs in this process where forking is unsafe (macOS) or impossible (Windows, daemons).
    """
    if sys.platform != "linux" or multiprocessing.current_process().daemon:
        yield map
        return
    with multiprocessing.get_context("fork").Pool(count) as pool:
        yield partial(pool.imap_unordered, chunksize=16)
