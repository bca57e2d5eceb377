"""A user's own images, one folder per class; no code to write."""

import hashlib
from collections.abc import Iterator
from pathlib import Path

from yacs.config import CfgNode

from dassl.data.datasets import DATASET_REGISTRY
from dassl.errors import UserError
from dassl.utils import write_json
from datasets.base import PHANTOMS, BiomedDataset, Item, Split
from datasets.shares import SHARES, divide

SUFFIXES = {".png", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp"}


@DATASET_REGISTRY.register()
class FolderDataset(BiomedDataset):
    """`<root>/<class>/*.{png,jpg,jpeg,tif,tiff,bmp}`, where `cfg.DATASET.ROOT` is <root> itself.

    Class names are the folder names with "_" as space, in the order of `classes.txt` (one a line) or else sorted. Where
    there are `<root>/train/` and `<root>/test/` (and maybe `val/`), they are the split; otherwise the images are
    divided 50/20/30 within each class, by a hash of their paths, and the split is kept as `split_FolderDataset.json`.
    `<root>/prompts.json` is the LLM's bank.
    """

    dataset_dir = ""
    source = "give --root (DATA=...) the folder that holds one folder of images per class, four or more in each"

    def key_of(self, cfg: CfgNode) -> str:
        return Path(cfg.DATASET.ROOT).expanduser().resolve().name

    def find_folder(self, cfg: CfgNode) -> Path:
        folder = Path(cfg.DATASET.ROOT).expanduser()
        if cfg.DATASET.ROOT == PHANTOMS or not folder.is_dir():
            raise UserError(f"Expected a folder of images, but there is no {folder}: {self.source}.")
        bank = folder / "prompts.json"
        self.prompt_bank = bank if bank.is_file() else None
        return folder

    def how_to_get(self) -> str:
        kept = f"; after images were added or removed, delete {self.split_file}" if self.split_file.is_file() else ""
        return f"{self.source}{kept}."

    @property
    def images(self) -> Path:
        return self.folder

    @property
    def split_file(self) -> Path:
        return self.folder / "split_FolderDataset.json"

    def read_split(self) -> Split:
        given = (self.folder / "train").is_dir() and (self.folder / "test").is_dir()
        parts = ("train", "val", "test") if given else ("",)
        self.classes = self._class_names(parts)
        if not given and self.split_file.is_file():
            return super().read_split()
        items = {part: list(self._items(part)) for part in parts}
        if not given:
            items = self._divide(items[""])
        self.check(items)
        if not given:
            try:
                write_json(items, str(self.split_file))
            except (OSError, UserError) as error:
                print(f"The split is not kept: {self.split_file} cannot be written ({error})")
        return items

    def _class_names(self, parts: tuple[str, ...]) -> tuple[str, ...]:
        folders = [item for part in parts for item in _folders(self.folder / part).items()]
        names = sorted({name for name, path in folders if any(_images(path))})
        listed = self.folder / "classes.txt"
        if listed.is_file():
            lines = listed.read_text(encoding="utf-8").splitlines()
            order = [line.strip().replace("_", " ") for line in lines if line.strip()]
            if sorted(order) != sorted(names):
                raise UserError(f"Expected {listed} to list the folders {names}, but it lists {order}: correct it.")
            names = order
        if len(names) < 2:
            raise UserError(
                f"Expected at least two folders of images ({', '.join(sorted(SUFFIXES))}) in {self.folder}, but found "
                f"{names or 'none'}: {self.source}."
            )
        return tuple(names)

    def _items(self, part: str) -> Iterator[Item]:
        folders = _folders(self.folder / part)
        for label, name in enumerate(self.classes):
            for path in _images(folders[name]) if name in folders else ():
                yield Item(path.relative_to(self.folder).as_posix(), label, name)

    def _divide(self, items: list[Item]) -> Split:
        """The same division on every machine, whatever the order in which files are listed."""
        split: Split = {part: [] for part, _ in SHARES}
        for label in range(len(self.classes)):
            mine = sorted(
                (item for item in items if item.label == label),
                key=lambda item: hashlib.sha256(item.path.encode()).digest(),
            )
            for part, some in divide(mine).items():
                split[part] += some
        return split


def _folders(folder: Path) -> dict[str, Path]:
    """Class name to folder; hidden ones (such as .ipynb_checkpoints) are no classes."""
    found: dict[str, Path] = {}
    for path in sorted(folder.iterdir()) if folder.is_dir() else []:
        if path.is_dir() and not path.name.startswith("."):
            other = found.setdefault(path.name.replace("_", " "), path)
            if other != path:
                raise UserError(
                    f"Expected one folder per class, but {other} and {path} have the same name with spaces for "
                    "underscores: put their images together."
                )
    return found


def _images(folder: Path) -> Iterator[Path]:
    found = (p for p in sorted(folder.iterdir()) if p.suffix.lower() in SUFFIXES and p.is_file())
    return (p for p in found if not p.name.startswith("."))  # macOS leaves ._name.png beside name.png
