"""The base class of all data sets: reads the split, draws K shots per class, keeps base or novel classes."""

import posixpath
from collections import Counter
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path

from yacs.config import CfgNode

from dassl.data.datasets import DatasetBase, Datum
from dassl.errors import UserError
from datasets import draws, leaks, splits
from datasets.entries import PARTS, Item, Split
from datasets.groups import FILE as GROUPS
from datasets.groups import group_of, read_groups
from datasets.listing import Listing
from datasets.settings import DEFAULTS, settings_of

PHANTOMS = "phantoms"
PHANTOM_NOTICE = "*** PHANTOMS: rendered images, no medical data; these figures say nothing about patients ***"
PHANTOM_ROOT = Path(__file__).parent.parent / "data" / PHANTOMS


class BiomedDataset(DatasetBase):
    """A data set in BiomedCoOp's layout; a subclass only sets class attributes.

    On disk: `<root>/<dataset_dir>/<dataset_dir>/<class>/image` and `<root>/<dataset_dir>/split_<dataset_dir>.json`,
    {"train": [[path, label, class name], ...], "val": ..., "test": ...}. `cfg.DATASET.ROOT` "phantoms" stands for the
    rendered phantom of the same name.

    Args:
        cfg: a configuration with Dassl's keys, such as `dassl.config.get_cfg_default()`. Keys of `datasets.settings`
            that it lacks have their defaults.

    Attributes:
        key: name on command lines, of the file in configs/datasets/ and of the prompt banks: that of the module unless
            the class sets another.
        folder: of the data set on disk.
        phantom: whether the images are rendered phantoms.
        split_hash: 16 hexadecimal digits of a hash of the whole split.
        draw_hash: that of what K shots are drawn from, which may lack repeated entries; "" without a draw.
        groups: patient, or other group, by path; empty if unknown.
        prompt_bank: file of an LLM's sentences that lies beside the images, or None.
        not_drawn: the entries of training images that are not in `train_x`; see `unlabelled`.
        train_x, val, test, classnames, num_classes: as in `DatasetBase`. With novel classes (SUBSAMPLE_CLASSES "new")
            the classes are those of `test`; `train_x` and `val` are the base classes' images, which are all that a
            method may look at, and their labels count the base classes.

    Raises:
        UserError: the folder, the split file or an image is missing; says how to get it.
        UserError: a path of the split leads out of the folder of images; names it.
        UserError: labels are not those of this data set, a class has too few images for K shots, or there are no such
            classes to keep.
    """

    key: str = ""
    classes: Sequence[str] = ()  # in the order of labels
    modality = ""
    organ = ""
    source = ""  # where the images come from
    licence = ""
    archive = ""  # address of a zip in the layout above
    archive_mb = 0  # its size as its authors state it, rounded; a download may be a quarter larger
    archive_sha256 = ""  # of the zip, checked if it is known
    drive_id = ""  # of the same zip on Google Drive
    own = False  # images of the user: runs are kept under the name of their folder
    keeps = True  # write a new draw, or division, to the folder
    prompt_bank: Path | None = None
    draw_hash = ""
    settings: CfgNode = DEFAULTS
    groups: Mapping[str, str] = {}  # replaced, never changed

    def __init_subclass__(cls, **kwargs: object) -> None:
        super().__init_subclass__(**kwargs)
        if "key" not in cls.__dict__:
            cls.key = cls.__module__.rsplit(".", 1)[-1]

    def __init__(self, cfg: CfgNode):
        self.settings = settings_of(cfg)
        self.group_of_file: dict[str, str] = {}
        self.folder = self.find_folder(cfg)
        self.phantom = is_phantom(self.images)
        split = self.read_split()
        self.split_hash = splits.hash_split(split, self.groups)
        splits.print_counts(split, self.classes, self.groups)
        leaks.tell(leaks.groups_on_both_sides(split, self.groups), self.settings.LEAKS)
        shots, seed = cfg.DATASET.NUM_SHOTS, cfg.SEED
        listed, split = split, splits.drop_repeats(split, self.source_file)
        whole = split["train"]
        if shots >= 1:
            split |= self.few_shot(listed if self.settings.DRAWS == draws.BIOMEDCOOP else split, shots, seed)
        rest = {"train": draws.without(whole, split["train"])}
        self.not_drawn = self.subsample(rest, self.settings.SUBSAMPLE_CLASSES)["train"]
        split = self.subsample(split, self.settings.SUBSAMPLE_CLASSES)
        train, val, test = (self.to_data(split[part]) for part in PARTS)
        super().__init__(train_x=train, val=val, test=test)
        if self.settings.SUBSAMPLE_CLASSES == "new":
            self.num_classes = self.get_num_classes(test)
            self.lab2cname, self.classnames = self.get_lab2cname(test)
            print(f"Novel classes: {', '.join(self.classnames)}; training and validation images are the base classes'")

    # ------------------------------------------------------------------------------------------------ where it lies

    @property
    def images(self) -> Path:
        """The folder that the paths of the split are relative to."""
        return self.folder / self.dataset_dir

    @property
    def split_file(self) -> Path:
        """The file of the split."""
        return self.folder / f"split_{self.dataset_dir}.json"

    @property
    def source_file(self) -> Path:
        """The file that lists the images."""
        return self.split_file

    def find_folder(self, cfg: CfgNode) -> Path:
        """Return the data set's folder below `cfg.DATASET.ROOT`; phantoms are rendered first.

        Raises:
            UserError: there is no such folder.
        """
        if cfg.DATASET.ROOT == PHANTOMS:
            from datasets import phantoms  # the renderers are loaded when they are asked for

            phantoms.prepare(self.dataset_dir, PHANTOM_ROOT)
            return PHANTOM_ROOT / self.dataset_dir
        folder = Path(cfg.DATASET.ROOT).expanduser() / self.dataset_dir
        if not folder.is_dir():
            raise UserError(
                f"Expected {self.dataset_dir} in {folder}, but there is no such folder: {self.how_to_get()}"
            )
        return folder

    @classmethod
    def download_hint(cls) -> str:
        """Return what to do to have the images, as the end of an error."""
        from datasets import phantoms

        command = f"`python -m datasets.download {cls.key}` brings it to data/, for DATA=data (--root data)"
        stand_in = "; or DATA=phantoms (--root phantoms) runs on rendered stand-ins"
        bring = command if cls.archive else cls.source or "bring it there (README, A data set of your own)"
        return f"{bring}{stand_in if cls.key in phantoms.PHANTOMS else ''}."

    @classmethod
    def find_bank(cls, cfg: CfgNode) -> tuple[str, Path | None]:
        """Return `key` and `prompt_bank` of the data set that a configuration names; no image is looked for.

        Raises:
            UserError: images of the user, and there is no such folder.
        """
        return cls.key, None

    def how_to_get(self) -> str:
        """Return what to do about missing images, as the end of an error."""
        return self.download_hint()

    def check_link(self, path: Path) -> None:
        """Raise a UserError if `path`, below the data set's folder, is or lies behind a link that leads out of it."""
        Listing(self.folder, self.settings.LINKS).check_link(str(path.relative_to(self.folder)))

    @cached_property
    def listing(self) -> Listing:
        """The files below the folder of images."""
        self.check_link(self.images)
        return Listing(self.images, self.settings.LINKS)

    # -------------------------------------------------------------------------------------------- what is kept of it

    def read_split(self) -> Split:
        """Return the whole split, checked against the classes, and set `groups`."""
        self.check_link(self.split_file)
        split = splits.read_split(self.split_file, self.classes, self.how_to_get())
        self.groups = self.find_groups([item.path for items in split.values() for item in items])
        return split

    def find_groups(self, paths: Sequence[str]) -> Mapping[str, str]:
        """Return the patient, or another group, of each path; nothing if they are unknown."""
        self.check_link(self.folder / GROUPS)
        return read_groups(self.folder, list(dict.fromkeys(paths)), self.settings.GROUP_PATTERN)

    def few_shot(self, split: Split, shots: int, seed: int) -> Split:
        """Return K training and min(K, 4) validation images per class, drawn by seed from the whole split.

        The draw is kept as JSON of relative paths beside the split; a draw of another split is not used.
        """
        kind = self.settings.DRAWS
        draws.check_kind(kind, seed)
        draws.require_shots(split["train"], self.classes, shots, self.key)
        if kind == draws.BIOMEDCOOP:
            print(f"Draws: BiomedCoOp's of seed {seed}{', which know no patients' if self.groups else ''}")
            drawn = draws.draw_as_biomedcoop(split, shots, seed)
        else:
            drawn = {
                part: draws.draw(split[part], self.classes, count, self.dataset_dir, part, seed, self.groups)
                for part, count in draws.counts_of(shots).items()
            }
        path = self.folder / draws.file_of(shots, seed, kind)
        if path.is_file():
            self.check_link(path)
        self.draw_hash = splits.hash_split(split, self.groups)
        drawn = draws.keep(drawn, split, self.draw_hash, path, self.folder, self.source_file, seed, self.keeps)
        draws.print_few_groups(drawn["train"], self.classes, self.groups, shots)
        return drawn

    def unlabelled(self, count: int, seed: int) -> list[Datum]:
        """Return `count` training images of each class that are not in `train_x`, drawn by seed.

        There are fewer of each if a class has fewer left, and none where `train_x` has all images. They are for methods
        that learn from images without labels, and have theirs nevertheless.
        """
        names = list(dict.fromkeys(item.classname for item in self.train_x))
        left = Counter(item.classname for item in self.not_drawn)
        count = min(count, *(left[name] for name in names))
        return self.to_data(draws.draw(self.not_drawn, names, count, self.dataset_dir, "unlabelled", seed, self.groups))

    def subsample(self, split: Split, which: str) -> Split:
        """Return the entries of "all", "base" or "new" classes, labelled from 0; see `splits.subsample`."""
        return splits.subsample(split, self.classes, which, self.key)

    def to_data(self, items: Sequence[Item]) -> list[Datum]:
        """Return items as Dassl's records.

        Raises:
            UserError: files are missing; says how many, and names the first.
        """
        found = [self.listing.find(posixpath.normpath(item.path)) for item in items]
        if missing := [item for item, path in zip(items, found, strict=True) if path is None]:
            raise UserError(
                f"Expected the {len(items)} images that {self.source_file.name} lists, but {len(missing)} are missing, "
                f"the first is {self.images / missing[0].path}: {self.how_to_get()}"
            )
        data = []
        for item, path in zip(items, found, strict=True):
            one = Datum(impath=str(self.images / str(path)), label=item.label, classname=item.classname)
            self.group_of_file[one.impath] = group_of(item.path, self.groups)
            data.append(one)
        return data

    def groups_of(self, data: Sequence[Datum]) -> list[str] | None:
        """Return the group of each record; None if no groups are known."""
        return [self.group_of_file[item.impath] for item in data] if self.groups else None

    # --------------------------------------------------------------------------------------------------- in a notebook

    def records(self, part: str) -> list[Datum]:
        """Return the images of "train", "val" or "test", each with its path, label and class name."""
        parts = {"train": self.train_x, "val": self.val or [], "test": self.test or []}
        if part not in parts:
            raise UserError(f'Expected one of the parts {", ".join(parts)}, but got "{part}": correct it.')
        return parts[part]

    def paths(self, part: str) -> list[str]:
        """Return the paths of the images of "train", "val" or "test"."""
        return [item.impath for item in self.records(part)]

    def labels(self, part: str) -> list[int]:
        """Return the labels of the images of "train", "val" or "test", in the order of `paths`."""
        return [item.label for item in self.records(part)]


def is_phantom(folder: Path) -> bool:
    """Tell whether a folder of images, or one that it lies in, has the marker file of the phantoms."""
    from datasets import phantoms

    return phantoms.is_marked(folder)
