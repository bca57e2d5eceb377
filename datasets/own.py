"""The base class of a user's own images: `cfg.DATASET.ROOT` is their folder, and no code has to be written."""

import os
from collections import Counter
from pathlib import Path

from yacs.config import CfgNode

from dassl.console import tell
from dassl.errors import UserError
from dassl.names import check_name
from dassl.reading import read_text
from dassl.writing import check_within, write_json
from datasets import splits
from datasets.base import PHANTOMS, BiomedDataset
from datasets.division import divide_items
from datasets.entries import PARTS, Split, nfc
from datasets.listing import Listing, suffix_of

PART_NAMES = {
    **dict.fromkeys(("train", "training"), "train"),
    **dict.fromkeys(("val", "valid", "validation", "dev"), "val"),
    **dict.fromkeys(("test", "testing"), "test"),
}
DESCRIPTIONS = ("classes.txt", "classes.csv", "groups.csv", "prompts.json")  # files that describe the images
SHOWN = 12  # kinds of files that are listed


class OwnImages(BiomedDataset):
    """A folder of a user's images; a subclass finds the images by `find`.

    Images that are not divided yet are divided 50/20/30 by a hash of their paths, or of the patients if these are
    known, and the split is kept as `split_<class>.json`. `<root>/prompts.json` holds an LLM's sentences.

    Attributes: as of `BiomedDataset`, but `key` is the name of the folder.
    """

    own = True
    dataset_dir = ""

    def find(self) -> tuple[Split, Counter[str]]:
        """Find all images, and set `classes`.

        Returns:
            The images by part, or all of them under "" if they are not divided yet; and how many other things were
            left out, by kind.
        """
        raise NotImplementedError

    @classmethod
    def find_bank(cls, cfg: CfgNode) -> tuple[str, Path | None]:
        folder = Path(cfg.DATASET.ROOT).expanduser()
        if cfg.DATASET.ROOT == PHANTOMS or not folder.is_dir():
            raise UserError(f"Expected a folder of images, but there is no {folder}: {cls.source}.")
        bank = folder / "prompts.json"
        return folder.resolve().name, bank if bank.is_file() else None

    def find_folder(self, cfg: CfgNode) -> Path:
        self.key, self.prompt_bank = self.find_bank(cfg)
        folder = Path(cfg.DATASET.ROOT).expanduser()
        for name in DESCRIPTIONS:
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
        """Return the split that the folder has, or the division that was kept of it, or a new division."""
        found, left_out = self.find()
        kinds = Counter(suffix_of(item.path) or "DICOM" for items in found.values() for item in items)
        tell(f"Images found: {list_counts(kinds)}")
        if left_out:
            tell(f"Left out: {list_counts(left_out)}")
        if "" not in found:
            splits.require_classes(found, self.classes, self.folder, self.how_to_get())
            splits.check_paths(found, self.source_file)
            self.groups = self.find_groups([item.path for items in found.values() for item in items])
            return {part: found.get(part, []) for part in PARTS}
        if self.split_file.is_file():
            split = super().read_split()
            self._compare(split, found)
            return split
        self.groups = self.find_groups([item.path for item in found[""]])
        split = divide_items(found[""], self.groups)
        splits.require_classes(split, self.classes, self.folder, self.how_to_get())
        if self.keeps:
            self._keep(split)
        return split

    def _keep(self, split: Split) -> None:
        try:
            check_within(self.split_file, self.folder)
            write_json(split, str(self.split_file))
        except (OSError, UserError) as error:
            tell(f"The split is not kept: {self.split_file} cannot be written ({error})")

    def _compare(self, split: Split, found: Split) -> None:
        """Compare a kept split with the images that are there now; print how many it does not list.

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
            tell(f"{later} images came after the division in {self.split_file} and stay out: delete it to divide anew")

    def listed_classes(self) -> list[str] | None:
        """Return the lines of `classes.txt`, with spaces for underscores; None if there is no such file."""
        file = self.folder / "classes.txt"
        if not file.is_file():
            return None
        return [nfc(line.strip()).replace("_", " ") for line in read_text(file).splitlines() if line.strip()]

    def in_order(self, names: set[str]) -> tuple[str, ...]:
        """Return class names in the order of `classes.txt`, or else sorted.

        Raises:
            UserError: the file lists other classes.
        """
        order, expected = self.listed_classes(), sorted(names)
        if order is not None and sorted(order) != expected:
            raise UserError(
                f"Expected {self.folder / 'classes.txt'} to list the classes {expected}, but it lists {order}: "
                "correct it."
            )
        return tuple(expected if order is None else order)


def without_writing(cls: type[BiomedDataset]) -> type[BiomedDataset]:
    """Return the same data set, but one that does not write a new division or draw down.

    Commands that only look at images use it, so that they decide nothing for later runs.
    """
    return type(cls.__name__, (cls,), {"__module__": cls.__module__, "key": cls.key, "keeps": False})


def part_of(word: str) -> str | None:
    """Return the part of a split that the name of a folder, or a cell of a table, stands for; None if it is none.

    >>> part_of("Training"), part_of("valid"), part_of("tumour")
    ('train', 'val', None)
    """
    return PART_NAMES.get(word.strip().lower())


def class_name(text: str, where: str | Path) -> str:
    """Return the name of a folder, or a label, as a text tower reads it; raises as `check_name`."""
    return check_name(nfc(text).replace("_", " "), "class", str(where))


def list_counts(counts: Counter[str]) -> str:
    """Return counts and kinds in words, the first dozen of them.

    >>> list_counts(Counter({".png": 3, ".txt files": 1}))
    '3 .png; 1 .txt files'
    """
    shown = [f"{count} {kind}" for kind, count in list(counts.items())[:SHOWN]]
    more = len(counts) - len(shown)
    return "; ".join(shown) + (f"; and {more} more kinds (python -m datasets.check lists them)" if more else "")


def refuse_segmentation(folder: Path) -> None:
    """Raise a UserError for nnU-Net's folders, which hold volumes with a label for each voxel."""
    if (folder / "imagesTr").is_dir():
        raise UserError(
            f"Expected images with one class each, but {folder} has nnU-Net's imagesTr: its labels are masks. Make "
            "pictures with one class each, and a table of them, labels.csv with the columns image and label."
        )


def find_tables(folder: Path) -> list[Path]:
    """Return the tables in a folder that may name the classes of its images; none if there is no folder."""
    names = sorted(os.listdir(folder)) if folder.is_dir() else []  # noqa: PTH208 - names only
    tables = [name for name in names if name.lower().endswith((".csv", ".tsv")) and not name.startswith(".")]
    usual = [name for name in tables if name.lower() in ("labels.csv", "labels.tsv")]
    return [folder / name for name in usual or tables if name not in ("groups.csv", "classes.csv")]


def choose_key(folder: Path) -> str:
    """Return the key of the data set that reads a folder of images: "table" if there is a table, else "folder"."""
    return "table" if find_tables(folder) else "folder"
