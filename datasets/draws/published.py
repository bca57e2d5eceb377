"""Draws as one file that can be published: names of the images of each class and seed, with digests, and no place.

    {"dataset": "btmri", "phantom": false, "split": "5f0c...", "draws": "nested", "shots": 16,
     "seeds": {"1": {"train": {"glioma tumor": [["glioma_tumor/image.jpg", "93ab..."], ...], ...}, "val": {...}}, ...}}

Paths are relative to the folder of images. A digest is the first 16 hexadecimal digits of the SHA-256 of a file.
"""

import hashlib
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path, PurePath
from typing import Any

from yacs.config import CfgNode

from dassl.data.datasets import Datum
from dassl.errors import UserError
from dassl.images.limits import FILE_BYTES
from dassl.reading import read_bytes, read_json
from dassl.writing import write_json
from datasets import draws, leaks
from datasets.base import BiomedDataset
from datasets.catalogue import find_class
from datasets.entries import LIMIT, check_number, relative_path
from datasets.own import without_writing

DRAWN = ("train", "val")
Drawn = dict[str, dict[str, list[list[str]]]]  # part -> class -> [path, digest] of each image


def publish(key: str, cfg: CfgNode, seeds: Iterable[int]) -> dict[str, Any]:
    """Return the draws of a data set, as JSON holds them; nothing is written.

    Args:
        key: of the data set, such as "btmri"; "folder" or "table" for images of one's own.
        cfg: its configuration, with the number of shots.
        seeds: of the draws.
    """
    found, dataset = {}, _load(key, cfg, shots=-1)
    for seed in seeds:
        found[str(seed)] = _drawn(_load(key, cfg, cfg.DATASET.NUM_SHOTS, seed))
    kind = {"phantom": dataset.phantom, "split": dataset.split_hash, "draws": dataset.settings.DRAWS}
    return {"dataset": key, **kind, "shots": cfg.DATASET.NUM_SHOTS, "seeds": found}


def take(path: Path, key: str, cfg: CfgNode) -> list[str]:
    """Have runs on this machine use the draws of a published file; return a line on each.

    Where a run would draw other images, the draw is written beside the split, as a run keeps its own.

    Args:
        path: the file.
        key, cfg: of the data set here.

    Raises:
        UserError: the file holds something else, draws of another split or of other images, or fewer of a class than
            are drawn; or another draw is kept here already.
    """
    document = read_json(path, LIMIT, links=False)
    shots, seeds = _checked(document, path)
    whole = _load(key, cfg, shots=-1)
    told = {"split": whole.split_hash, "draws": whole.settings.DRAWS}
    for what, mine in told.items():
        if document[what] != mine:
            raise UserError(
                f'Expected draws of {what} "{mine}", as the images here have it, but {path} has "{document[what]}": '
                f"take the {'same split file' if what == 'split' else 'same DATASET.DRAWS'}."
            )
    listed = {part: set(_names(whole, whole.records(part))) for part in DRAWN}
    lines = []
    for seed, theirs in seeds.items():
        mine = _drawn(drawn := _load(key, cfg, shots, seed))
        for part in DRAWN:
            _compare(theirs[part], mine[part], listed[part], drawn, f"{path}, seed {seed}, {leaks.NAMES[part]}")
        if mine == theirs:
            lines.append(f"seed {seed}: the images that are drawn here too")
            continue
        to = drawn.folder / draws.file_of(shots, seed, whole.settings.DRAWS)
        if to.exists():
            raise UserError(f"Expected no other draw in {to}, but there is one: move it away.")
        kept = {part: [name for some in theirs[part].values() for name, _ in some] for part in DRAWN}
        write_json({"split": drawn.draw_hash, **kept}, to, within=drawn.folder)
        lines.append(f"seed {seed}: other images than are drawn here; runs use them from now on: {to}")
    return lines


def _load(key: str, cfg: CfgNode, shots: int, seed: int = 1) -> BiomedDataset:
    """Return a data set with a draw, of which nothing is written."""
    cfg = cfg.clone()
    cfg.DATASET.NUM_SHOTS, cfg.SEED = shots, seed
    return without_writing(find_class(key))(cfg)


def _names(dataset: BiomedDataset, items: Sequence[Datum]) -> list[str]:
    return [PurePath(item.impath).relative_to(dataset.images).as_posix() for item in items]


def _digest(path: str | Path) -> str:
    return hashlib.sha256(read_bytes(path, FILE_BYTES)).hexdigest()[:16]


def _drawn(dataset: BiomedDataset) -> Drawn:
    found: Drawn = {}
    for part in DRAWN:
        classes = found.setdefault(part, {})
        items = dataset.records(part)
        for item, name in zip(items, _names(dataset, items), strict=True):
            classes.setdefault(item.classname, []).append([name, _digest(item.impath)])
    return found


def _checked(document: Any, path: Path) -> tuple[int, dict[int, Drawn]]:
    """Return number of shots and draws of a file; a UserError if it is none of `publish`."""
    try:
        seeds: dict[int, Drawn] = {}
        for seed, parts in document["seeds"].items():
            check_number(sum(len(some) for classes in parts.values() for some in classes.values()), path)
            seeds[int(seed)] = {
                part: {
                    str(name): [[relative_path(image, str(path)), str(digest)] for image, digest in some]
                    for name, some in parts[part].items()
                }
                for part in DRAWN
            }
        words = [document["split"], document["draws"]]
        if isinstance(shots := document["shots"], int) and shots > 0 and all(isinstance(word, str) for word in words):
            return shots, seeds
    except UserError:
        raise
    except (KeyError, TypeError, ValueError, AttributeError):
        pass
    raise UserError(f"Expected draws that python -m datasets.draws wrote in {path}, but found something else.")


def _compare(theirs: Any, mine: Any, listed: set[str], dataset: BiomedDataset, where: str) -> None:
    """Raise a UserError unless images of a published draw are those of the split here, as many of each class."""
    counts = [{name: len(some) for name, some in each.items()} for each in (theirs, mine)]
    images = [(name, digest) for some in theirs.values() for name, digest in some]
    if counts[0] != counts[1]:
        raise UserError(f"Expected {counts[1]} images of {where}, but found {counts[0]}: is it of this data set?")
    if strange := [name for name, _ in images if name not in listed]:
        raise UserError(f"Expected images of the split in {where}, but {strange[0]} is none: take the same split.")
    if other := [name for name, digest in images if _digest(dataset.images / name) != digest]:
        raise UserError(
            f"Expected the images that {where} has digests of, but {len(other)} of {len(images)} have another content "
            f"here, the first is {other[0]}: take the files of the same source."
        )
    if repeated := [
        name for name, count in Counter(name for name, _ in images).items() if count > 1 and theirs != mine
    ]:
        raise UserError(f"Expected each image once in {where}, but {repeated[0]} is there twice: remove it.")
