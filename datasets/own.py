"""What the data sets of a user's own images share: `cfg.DATASET.ROOT` is the folder itself, and no code is written."""

import os
from collections import Counter
from pathlib import Path

from yacs.config import CfgNode

from dassl.errors import UserError
from dassl.names import check_name
from dassl.reading import read_text
from dassl.writing import check_within, write_json
from datasets.base import PHANTOMS, BiomedDataset
from datasets.entries import PARTS, Split, nfc
from datasets.groups import divide_items
from datasets.listing import Listing, suffix_of

WORDS = {
    **dict.fromkeys(("train", "training"), "train"),
    **dict.fromkeys(("val", "valid", "validation", "dev"), "val"),
    **dict.fromkeys(("test", "testing"), "test"),
}
OF_THE_DATA_SET = ("classes.txt", "classes.csv", "groups.csv", "prompts.json")
SHOWN = 12  # of what is left out


def part_of(word: str) -> str | None:
    """The part of a split that a folder's name or a cell means, if it means one.

    >>> part_of("Training"), part_of("valid"), part_of("tumour")
    ('train', 'val', None)
    """
    return WORDS.get(word.strip().lower())


class OwnImages(BiomedDataset):
    """A folder of a user's images. Without a split of its own it is divided 50/20/30 by a hash of the paths, or of the
    patients where these are known, and the split is kept as `split_<class>.json`. `<root>/prompts.json` is the LLM's
    bank.

    A subclass tells what there is by `find`.
    """

    own = True
    keeps_split = True  # write a new division down
    dataset_dir = ""

    def find(self) -> tuple[Split, Counter[str]]:
        """All images by part, or under "" if they are not divided yet, and what was left out; sets `classes`."""
        raise NotImplementedError

    def key_of(self, cfg: CfgNode) -> str:
        return Path(cfg.DATASET.ROOT).expanduser().resolve().name

    def find_folder(self, cfg: CfgNode) -> Path:
        folder = Path(cfg.DATASET.ROOT).expanduser()
        if cfg.DATASET.ROOT == PHANTOMS or not folder.is_dir():
            raise UserError(f"Expected a folder of images, but there is no {folder}: {self.source}.")
        bank = folder / "prompts.json"
        self.prompt_bank = bank if bank.is_file() else None
        for name in OF_THE_DATA_SET:
            Listing(folder, self.settings.LINKS).check_link(name)
        return folder

    def how_to_get(self) -> str:
        kept = f"; after images were added or removed, delete {self.split_file}" if self.split_file.is_file() else ""
        return f"{self.source}{kept}."

    @property
    def images(self) -> Path:
        return self.folder

    @property
    def split_file(self) -> Path:
        return self.folder / f"split_{type(self).__name__}.json"

    def read_split(self) -> Split:
        """The split that the folder has, or had when it was first read, or a new one."""
        found, left_out = self.find()
        kinds = Counter(suffix_of(item.path) or "DICOM" for items in found.values() for item in items)
        print(f"Images found: {some(kinds)}")
        if left_out:
            print(f"Left out: {some(left_out)}")
        if "" not in found:
            self.check(found)
            self.check_paths(found)
            self.groups = self.find_groups([item.path for items in found.values() for item in items])
            return {part: found.get(part, []) for part in PARTS}
        if self.split_file.is_file():
            split = super().read_split()
            self.compare(split, found)
            return split
        self.groups = self.find_groups([item.path for item in found[""]])
        split = divide_items(found[""], self.groups)
        self.check(split)
        if not self.keeps_split:
            return split
        try:
            check_within(self.split_file, self.folder)
            write_json(split, str(self.split_file))
        except (OSError, UserError) as error:
            print(f"The split is not kept: {self.split_file} cannot be written ({error})")
        return split

    def compare(self, split: Split, found: Split) -> None:
        """Hold a kept split against what is there now.

        Raises:
            UserError: an image is gone, or has another label.
        """
        there = {nfc(item.path): item for item in found[""]}
        listed = {nfc(item.path): item for items in split.values() for item in items}
        if gone := [item for path, item in listed.items() if path not in there]:
            raise UserError(
                f"Expected the images that {self.split_file.name} lists, but {len(gone)} are missing, the first is "
                f"{self.images / gone[0].path}: {self.how_to_get()}"
            )
        if other := [item for path, item in listed.items() if there[path].label != item.label]:
            raise UserError(
                f"Expected the labels in {self.split_file}, but {len(other)} images have others now, the first is "
                f'{other[0].path} ("{other[0].classname}"): {self.how_to_get()}'
            )
        if later := len(there) - len(listed):
            print(f"{later} images came after the division in {self.split_file} and stay out: delete it to divide anew")

    def listed_classes(self, file: Path) -> list[str] | None:
        """The lines of `classes.txt`, with spaces for underscores; None if there is no such file."""
        if not file.is_file():
            return None
        return [nfc(line.strip()).replace("_", " ") for line in read_text(file).splitlines() if line.strip()]

    def in_order(self, names: set[str]) -> tuple[str, ...]:
        """Class names in the order of `classes.txt`, or else sorted.

        Raises:
            UserError: the file lists other classes.
        """
        file = self.folder / "classes.txt"
        order, expected = self.listed_classes(file), sorted(names)
        if order is not None and sorted(order) != expected:
            raise UserError(f"Expected {file} to list the classes {expected}, but it lists {order}: correct it.")
        return tuple(expected if order is None else order)


def looked_at(cls: type[BiomedDataset]) -> type[BiomedDataset]:
    """The same data set, of which no division is written down: whoever only looks decides nothing for later runs."""
    return type(cls.__name__, (cls,), {"__module__": cls.__module__, "keeps_split": False})


def class_name(text: str, where: str | Path) -> str:
    """A folder's name or a label as a text tower reads it; raises as `check_name`."""
    return check_name(nfc(text).replace("_", " "), "class", str(where))


def some(left_out: Counter[str]) -> str:
    """Counts and kinds, the first dozen of them."""
    shown = [f"{count} {what}" for what, count in list(left_out.items())[:SHOWN]]
    more = len(left_out) - len(shown)
    return "; ".join(shown) + (f"; and {more} more kinds (python -m datasets.check lists them)" if more else "")


def refuse_segmentation(folder: Path) -> None:
    """Raise a UserError for nnU-Net's folders, which hold volumes with a label for each voxel."""
    if (folder / "imagesTr").is_dir():
        raise UserError(
            f"Expected images with one class each, but {folder} has nnU-Net's imagesTr: its labels are masks. Make "
            "pictures with one class each, and a table of them, labels.csv with the columns image and label."
        )


def given_table(folder: Path) -> list[Path]:
    """The tables in a folder that could name the classes of its images; none where there is no folder."""
    names = sorted(os.listdir(folder)) if folder.is_dir() else []  # noqa: PTH208 - names only
    tables = [name for name in names if name.lower().endswith((".csv", ".tsv")) and not name.startswith(".")]
    usual = [name for name in tables if name.lower() in ("labels.csv", "labels.tsv")]
    return [folder / name for name in usual or tables if name not in ("groups.csv", "classes.csv")]
