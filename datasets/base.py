"""What all data sets share: reading the split, drawing K shots per class, choosing base or novel classes."""

import hashlib
import json
import posixpath
import random
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from yacs.config import CfgNode

from dassl.data.datasets import DatasetBase, Datum
from dassl.errors import UserError
from dassl.utils import read_json, write_json
from datasets import phantoms

PHANTOMS = "phantoms"
PHANTOM_NOTICE = "*** PHANTOMS: rendered images, no medical data; these figures say nothing about patients ***"
PHANTOM_ROOT = Path(__file__).parent.parent / "data" / PHANTOMS
VAL_SHOTS = 4  # at most so many validation images per class in the few-shot setting, as in CoOp


class Item(NamedTuple):
    """An entry of a split: path relative to the image folder, label, class name."""

    path: str
    label: int
    classname: str


Split = dict[str, list[Item]]


class BiomedDataset(DatasetBase):
    """A data set in BiomedCoOp's layout; a subclass names it and its classes, and that is all.

    On disk: `<root>/<dataset_dir>/<dataset_dir>/<class>/image` and `<root>/<dataset_dir>/split_<dataset_dir>.json`,
    {"train": [[path, label, class name], ...], "val": ..., "test": ...}. `cfg.DATASET.ROOT` "phantoms" stands for the
    rendered phantom of the same name.

    Attributes beside those of `DatasetBase`: `key` (of configs and prompt banks), `phantom` (whether the folder bears
    the phantoms' mark), `split_hash`, and `prompt_bank` (a bank that comes with the images, or None).

    Raises:
        UserError: the folder, the split file or an image is missing; says how to get it.
        UserError: labels that are not this data set's, too few images for K shots, or no such classes to keep.
    """

    classes: Sequence[str] = ()  # in the order of labels
    modality = ""
    organ = ""
    source = ""  # where the images come from
    licence = ""
    archive = ""  # one zip in the layout above
    archive_mb = 0  # its size as its authors state it, rounded; a download ends a quarter beyond
    archive_sha256 = ""  # of the zip, checked where it is known
    drive_id = ""  # the same on Google Drive
    prompt_bank: Path | None = None

    def __init__(self, cfg: CfgNode):
        self.key = self.key_of(cfg)
        self.folder = self.find_folder(cfg)
        self.phantom = phantoms.is_marked(self.images)
        split = self.read_split()
        self.split_hash = _digest(split)
        shots, seed = cfg.DATASET.NUM_SHOTS, cfg.SEED
        split = self.few_shot(split, shots, seed) if shots >= 1 else self.each_once(split)
        split = self.subsample(split, cfg.DATASET.SUBSAMPLE_CLASSES)
        train, val, test = (self.to_data(split[part]) for part in ("train", "val", "test"))
        super().__init__(train_x=train, val=val, test=test)

    # ------------------------------------------------------------------------------------------------ where it lies

    def key_of(self, cfg: CfgNode) -> str:
        """Lower-case name of the data set: its config file and its prompt banks are called so."""
        return type(self).__module__.rsplit(".", 1)[-1]

    @property
    def images(self) -> Path:
        """Folder that the paths of the split are relative to."""
        return self.folder / self.dataset_dir

    @property
    def split_file(self) -> Path:
        return self.folder / f"split_{self.dataset_dir}.json"

    def find_folder(self, cfg: CfgNode) -> Path:
        """The data set's folder, below `cfg.DATASET.ROOT`."""
        if cfg.DATASET.ROOT == PHANTOMS:
            phantoms.prepare(self.dataset_dir, PHANTOM_ROOT)
            return PHANTOM_ROOT / self.dataset_dir
        folder = Path(cfg.DATASET.ROOT).expanduser() / self.dataset_dir
        if not folder.is_dir():
            raise UserError(
                f"Expected {self.dataset_dir} in {folder}, but there is no such folder: {self.how_to_get()}"
            )
        return folder

    def how_to_get(self) -> str:
        """What to do to have the images."""
        command = f"`python -m datasets.download {self.key}` brings it to data/, for DATA=data (--root data)"
        stand_in = "; or DATA=phantoms (--root phantoms) runs on rendered stand-ins"
        return f"{command if self.archive else self.source}{stand_in if self.key in phantoms.PHANTOMS else ''}."

    def read_split(self) -> Split:
        """The whole split, checked against the classes."""
        path = self.split_file
        if not path.is_file():
            raise UserError(f"Expected the split file {path}, but there is none: {self.how_to_get()}")
        found, names = read_json(str(path)), dict(enumerate(self.classes))
        try:
            split = {part: [Item(*entry) for entry in found.get(part, [])] for part in ("train", "val", "test")}
        except (AttributeError, TypeError) as error:
            raise UserError(
                f'Expected {{"train": [[path, label, class name], ...], "val": ..., "test": ...}} in {path}, but found '
                f"something else ({error}): {self.how_to_get()}"
            ) from error
        for item in (item for items in split.values() for item in items):
            if names.get(item.label) != item.classname:
                raise UserError(
                    f"Expected the classes {names} in {path}, but {item.path} has label {item.label!r} "
                    f'"{item.classname}": {self.how_to_get()}'
                )
        self.check(split)
        self.check_paths(split)
        return split

    def check(self, split: Split) -> None:
        """Every class must have images to learn from and to be tested on."""
        for part in ("train", "test"):
            held = {item.classname for item in split[part]}
            for name in self.classes:
                if name not in held:
                    raise UserError(
                        f'Expected images of every class for training and test, but "{name}" in {self.folder} has none '
                        f"for {part}: {self.how_to_get()}"
                    )

    def check_paths(self, split: Split) -> None:
        """Raise a UserError for an image under two labels, or both for training and for test; say other overlaps."""
        known: dict[str, Item] = {}
        parts: dict[str, set[str]] = {part: set() for part in split}
        for part, items in split.items():
            for item in items:
                path = posixpath.normpath(item.path)
                first = known.setdefault(path, item)
                if first.label != item.label:
                    raise UserError(
                        f'Expected one label for each image, but {self.split_file} lists {item.path} as "'
                        f'{first.classname}" and as "{item.classname}": correct it.'
                    )
                parts[part].add(path)
        if both := sorted(parts["train"] & parts["test"]):
            raise UserError(
                f"Expected images either for training or for test, but {self.split_file} lists {len(both)} for both, "
                f"the first is {both[0]}: correct it."
            )
        if shared := parts["val"] & (parts["train"] | parts["test"]):
            print(f"{len(shared)} validation images of {self.split_file} are for training or test too, as it says")

    def each_once(self, split: Split) -> Split:
        """The split with the first entry of each path in each part; says how many others there were."""
        kept = {
            part: list({posixpath.normpath(item.path): item for item in reversed(items)}.values())[::-1]
            for part, items in split.items()
        }
        repeats = sum(map(len, split.values())) - sum(map(len, kept.values()))
        if repeats:
            print(f"{repeats} entries of {self.split_file} are repeats of others: left out")
        return kept

    # -------------------------------------------------------------------------------------------- what is kept of it

    def few_shot(self, split: Split, shots: int, seed: int) -> Split:
        """K training and min(K, 4) validation images per class, drawn by seed from the whole split.

        The draw is kept as JSON of relative paths beside the split; a draw from another split is not used.
        """
        split = self.each_once(split)
        path = self.folder / "split_fewshot" / f"shot_{shots}-seed_{seed}.json"
        kept = read_json(str(path)) if path.is_file() else {}
        drawn_from = _digest(split)
        if kept.get("split") != drawn_from:
            kept = {"split": drawn_from}
            for part, count in (("train", shots), ("val", min(shots, VAL_SHOTS))):
                kept[part] = [item.path for item in self.draw(split[part], part, count, seed)]
            try:
                write_json(kept, str(path))
            except (OSError, UserError) as error:
                print(f"The draw is not kept: {path} cannot be written ({error})")
        by_path = {part: {item.path: item for item in split[part]} for part in ("train", "val")}
        drawn = {part: [by_path[part][p] for p in kept[part]] for part in ("train", "val")}
        return {**drawn, "test": split["test"]}

    def draw(self, items: list[Item], part: str, count: int, seed: int) -> list[Item]:
        """`count` items of each class; the first `count` of an order that only data set, class and seed decide, so
        that fewer shots are a part of more."""
        drawn = []
        for name in self.classes:
            mine = sorted(item for item in items if item.classname == name)
            if part == "train" and len(mine) < count:
                raise UserError(
                    f'Expected at least {count} training images per class for {count} shots, but "{name}" of '
                    f"{self.key} has {len(mine)}: take at most {self.most_shots(items)} shots."
                )
            random.Random(f"{self.dataset_dir} {part} {name} {seed}").shuffle(mine)
            drawn += mine[:count]
        return drawn

    @staticmethod
    def most_shots(items: list[Item]) -> int:
        """Size of the smallest class."""
        labels = [item.label for item in items]
        return min(labels.count(label) for label in set(labels))

    def subsample(self, split: Split, which: str) -> Split:
        """All classes, the first half ("base", the larger one) or the second ("new"), labelled from 0."""
        names = list(self.classes)
        half = -(-len(names) // 2)
        choices = {"all": names, "base": names[:half], "new": names[half:]}
        if which not in choices:
            raise UserError(f'Expected SUBSAMPLE_CLASSES to be one of {", ".join(choices)}, but got "{which}".')
        kept = choices[which]
        if which != "all" and len(names) - half < 2:
            raise UserError(
                f"Expected at least two novel classes, but {self.key} has {len(names)} classes in all: base to novel "
                "is not defined for it."
            )
        return {
            part: [
                Item(item.path, kept.index(item.classname), item.classname) for item in items if item.classname in kept
            ]
            for part, items in split.items()
        }

    def to_data(self, items: list[Item]) -> list[Datum]:
        """Items as Dassl's records, whose files must be there."""
        folders = {str(Path(item.path).parent) for item in items}
        held = {
            f: {p.name for p in (self.images / f).iterdir()} if (self.images / f).is_dir() else set() for f in folders
        }
        missing = [item for item in items if Path(item.path).name not in held[str(Path(item.path).parent)]]
        if missing:
            raise UserError(
                f"Expected the {len(items)} images that {self.split_file.name} lists, but {len(missing)} are missing, "
                f"the first is {self.images / missing[0].path}: {self.how_to_get()}"
            )
        return [Datum(impath=str(self.images / i.path), label=i.label, classname=i.classname) for i in items]


def _digest(split: Split) -> str:
    return hashlib.sha256(json.dumps(split).encode()).hexdigest()[:16]
