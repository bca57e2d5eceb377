"""What all data sets share: reading the split, drawing K shots per class, choosing base or novel classes."""

import hashlib
import json
import posixpath
import random
from collections import Counter
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

from yacs.config import CfgNode

from dassl.data.datasets import DatasetBase, Datum
from dassl.errors import UserError
from dassl.reading import read_json
from dassl.writing import check_within, write_json
from datasets import leaks, phantoms
from datasets.entries import LIMIT, PARTS, Item, Split, nfc, read_entries
from datasets.groups import FILE as GROUPS
from datasets.groups import alone, read_groups, spread
from datasets.listing import Listing
from datasets.settings import DEFAULTS, settings_of

PHANTOMS = "phantoms"
PHANTOM_NOTICE = "*** PHANTOMS: rendered images, no medical data; these figures say nothing about patients ***"
PHANTOM_ROOT = Path(__file__).parent.parent / "data" / PHANTOMS
VAL_SHOTS = 4  # at most so many validation images per class in the few-shot setting, as in CoOp


class BiomedDataset(DatasetBase):
    """A data set in BiomedCoOp's layout; a subclass names it and its classes, and that is all.

    On disk: `<root>/<dataset_dir>/<dataset_dir>/<class>/image` and `<root>/<dataset_dir>/split_<dataset_dir>.json`,
    {"train": [[path, label, class name], ...], "val": ..., "test": ...}. `cfg.DATASET.ROOT` "phantoms" stands for the
    rendered phantom of the same name.

    Attributes beside those of `DatasetBase`: `key` (of configs and prompt banks), `phantom` (whether the folder bears
    the phantoms' mark), `split_hash`, `groups` (the patient of each path, where that is known), and `prompt_bank` (a
    bank that comes with the images, or None).

    Raises:
        UserError: the folder, the split file or an image is missing; says how to get it.
        UserError: an entry of the split is no path below the folder of images; names it.
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
    own = False  # a user's images: their folder's name becomes a part of the runs' folder
    prompt_bank: Path | None = None
    settings: CfgNode = DEFAULTS
    groups: Mapping[str, str] = {}  # replaced, never changed

    def __init__(self, cfg: CfgNode):
        self.settings = settings_of(cfg)
        self.key = self.key_of(cfg)
        self.folder = self.find_folder(cfg)
        self.phantom = phantoms.is_marked(self.images)
        split = self.read_split()
        self.split_hash = self.digest(split)
        self.say(split)
        leaks.tell(leaks.groups_on_both_sides(split, self.groups), self.settings.LEAKS)
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
        self.check_link(path)
        if not path.is_file():
            raise UserError(f"Expected the split file {path}, but there is none: {self.how_to_get()}")
        split, names = read_entries(path, self.how_to_get()), dict(enumerate(self.classes))
        for item in (item for items in split.values() for item in items):
            if names.get(item.label) != item.classname:
                raise UserError(
                    f"Expected the classes {names} in {path}, but {item.path} has label {item.label!r} "
                    f'"{item.classname}": {self.how_to_get()}'
                )
        self.check(split)
        self.check_paths(split)
        self.groups = self.find_groups([item.path for items in split.values() for item in items])
        return split

    def find_groups(self, paths: Sequence[str]) -> Mapping[str, str]:
        """The patient, or another group, of each path, where that is known."""
        self.check_link(self.folder / GROUPS)
        return read_groups(self.folder, list(dict.fromkeys(paths)), self.settings.GROUP_PATTERN)

    def digest(self, split: Split) -> str:
        """16 hex digits that stand for the split, and for the groups where there are any."""
        groups = [sorted(self.groups.items())] if self.groups else []
        return hashlib.sha256(json.dumps([split, *groups] if groups else split).encode()).hexdigest()[:16]

    def say(self, split: Split) -> None:
        """Print how many images there are."""
        counts = {part: Counter(item.classname for item in items) for part, items in split.items()}
        several = (f"{name} {'/'.join(str(counts[part][name]) for part in PARTS)}" for name in self.classes)
        print(f"Images for training/validation/test: {', '.join(several)}")
        if self.groups:
            named = [{self.groups.get(item.path, alone(item.path)) for item in split[part]} for part in PARTS]
            print(f"Groups (patients) for training/validation/test: {'/'.join(str(len(some)) for some in named)}")

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

    @property
    def source_file(self) -> Path:
        """The file that says which images there are."""
        return self.split_file

    def check_paths(self, split: Split) -> None:
        """Raise a UserError for an image under two labels, or both for training and for test; say other overlaps."""
        known: dict[str, Item] = {}
        parts: dict[str, set[str]] = {part: set() for part in split}
        for part, items in split.items():
            for item in items:
                path = _spelling(item)
                first = known.setdefault(path, item)
                if first.label != item.label:
                    raise UserError(
                        f'Expected one label for each image, but {self.source_file} lists {item.path} as "'
                        f'{first.classname}" and as "{item.classname}": correct it.'
                    )
                parts[part].add(path)
        train, val, test = (parts.get(part, set()) for part in PARTS)
        if both := sorted(train & test):
            raise UserError(
                f"Expected images either for training or for test, but {self.source_file} lists {len(both)} for both, "
                f"the first is {both[0]}: correct it."
            )
        if shared := val & (train | test):
            print(f"{len(shared)} validation images of {self.source_file} are for training or test too, as it says")

    def each_once(self, split: Split) -> Split:
        """The split with the first entry of each path in each part; says how many others there were."""
        kept = {
            part: list({_spelling(item): item for item in reversed(items)}.values())[::-1]
            for part, items in split.items()
        }
        repeats = sum(map(len, split.values())) - sum(map(len, kept.values()))
        if repeats:
            print(f"{repeats} entries of {self.source_file} are repeats of others: left out")
        return kept

    # -------------------------------------------------------------------------------------------- what is kept of it

    def few_shot(self, split: Split, shots: int, seed: int) -> Split:
        """K training and min(K, 4) validation images per class, drawn by seed from the whole split.

        The draw is kept as JSON of relative paths beside the split; a draw from another split is not used.
        """
        split = self.each_once(split)
        path = self.folder / "split_fewshot" / f"shot_{shots}-seed_{seed}.json"
        counts = {"train": shots, "val": min(shots, VAL_SHOTS)}
        drawn = {part: self.draw(split[part], part, count, seed) for part, count in counts.items()}
        found = {"split": self.digest(split)} | {part: [item.path for item in items] for part, items in drawn.items()}
        if path.is_file():
            self.check_link(path)
        kept = read_json(path, LIMIT) if path.is_file() else {}
        if isinstance(kept, dict) and kept.get("split") != found["split"]:
            try:
                check_within(path, self.folder)
                write_json(found, str(path))
            except (OSError, UserError) as error:
                print(f"The draw is not kept: {path} cannot be written ({error})")
        elif kept != found:
            drawn = {part: self.chosen(kept, part, split[part], count, path) for part, count in counts.items()}
            print(f"The images in {path} are others than seed {seed} draws: used as they are (delete it to draw)")
        self.tell_groups(drawn["train"], shots)
        return {**drawn, "test": split["test"]}

    def chosen(self, kept: Any, part: str, items: list[Item], count: int, path: Path) -> list[Item]:
        """The items of a draw that someone wrote.

        Raises:
            UserError: it is no draw of `count` images per class from `items`; names the file.
        """
        listed = kept.get(part) if isinstance(kept, dict) else None
        by_path = {item.path: item for item in items}
        if isinstance(listed, list) and all(isinstance(each, str) and each in by_path for each in listed):
            chosen = [by_path[each] for each in dict.fromkeys(listed)]
            held, there = (Counter(item.classname for item in some) for some in (chosen, items))
            if len(chosen) == len(listed) and held == {name: min(count, n) for name, n in there.items()}:
                return chosen
        raise UserError(
            f"Expected {count} images of each class for {leaks.NAMES[part]} in {path}, drawn from {self.source_file}, "
            "but found something else: delete it to draw anew."
        )

    def tell_groups(self, drawn: list[Item], shots: int) -> None:
        """Say of which classes several images of one group were drawn."""
        if not self.groups:
            return
        groups = {
            name: {self.groups.get(i.path, alone(i.path)) for i in drawn if i.classname == name}
            for name in self.classes
        }
        few = [f"{name} ({len(held)})" for name, held in groups.items() if len(held) < shots]
        if few:
            print(f"Fewer than {shots} groups (patients) to draw the {shots} shots from: {', '.join(few)}")

    def draw(self, items: list[Item], part: str, count: int, seed: int) -> list[Item]:
        """`count` items of each class; the first `count` of an order that only data set, class and seed decide, so
        that fewer shots are a part of more. Where groups are known, no second one of a group comes before the first of
        every other."""
        drawn = []
        for name in self.classes:
            mine = sorted(item for item in items if item.classname == name)
            if part == "train" and len(mine) < count:
                raise UserError(
                    f'Expected at least {count} training images per class for {count} shots, but "{name}" of '
                    f"{self.key} has {len(mine)}: take at most {self.most_shots(items)} shots."
                )
            random.Random(f"{self.dataset_dir} {part} {name} {seed}").shuffle(mine)
            drawn += (spread(mine, self.groups) if self.groups else mine)[:count]
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

    def check_link(self, path: Path) -> None:
        """Raise a UserError if `path`, below the data set's folder, is or lies behind a link that leads out of it."""
        Listing(self.folder, self.settings.LINKS).check_link(str(path.relative_to(self.folder)))

    @cached_property
    def listing(self) -> Listing:
        """The files below the folder of images."""
        self.check_link(self.images)
        return Listing(self.images, self.settings.LINKS)

    def to_data(self, items: list[Item]) -> list[Datum]:
        """Items as Dassl's records, whose files must be there, and below the folder of images."""
        found = [self.listing.find(posixpath.normpath(item.path)) for item in items]
        missing = [item for item, path in zip(items, found, strict=True) if path is None]
        if missing:
            raise UserError(
                f"Expected the {len(items)} images that {self.source_file.name} lists, but {len(missing)} are missing, "
                f"the first is {self.images / missing[0].path}: {self.how_to_get()}"
            )
        data = [
            Datum(impath=str(self.images / path), label=item.label, classname=item.classname)
            for item, path in zip(items, found, strict=True)
        ]
        self.group_of_file.update(
            {one.impath: self.groups.get(item.path, alone(item.path)) for one, item in zip(data, items, strict=True)}
        )
        return data

    @cached_property
    def group_of_file(self) -> dict[str, str]:
        return {}

    def groups_of(self, data: Sequence[Datum]) -> list[str] | None:
        """The group of each record; None where no groups are known."""
        return [self.group_of_file[item.impath] for item in data] if self.groups else None


def _spelling(item: Item) -> str:
    """One spelling for all of a path."""
    return nfc(posixpath.normpath(item.path))
