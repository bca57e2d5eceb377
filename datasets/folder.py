"""A user's own images in one folder per class."""

from collections import Counter
from pathlib import Path

from dassl.data.datasets import DATASET_REGISTRY
from dassl.errors import UserError
from dassl.images import SUFFIXES
from datasets.entries import ABSOLUTE, PARTS, Item, Split
from datasets.listing import MASKS, Found, suffix_of
from datasets.own import DESCRIPTIONS, OwnImages, class_name, find_tables, part_of, refuse_segmentation

# Images that are not read; a folder that holds nothing else was still meant as a class.
OTHER_IMAGES = (".gif", ".heic", ".avif", ".svs", ".ndpi", ".nii", ".gz", ".mha", ".mhd", ".nrrd", ".npy", ".npz")


@DATASET_REGISTRY.register()
class FolderDataset(OwnImages):
    """Images `<root>/<class>/*.png` (or of other kinds), where `cfg.DATASET.ROOT` is <root> itself.

    Class names are the names of the folders with spaces for "_", in the order of `classes.txt` (one name a line), or
    else sorted. If there are `<root>/train/` and `<root>/test/` (and maybe `val/`; or `Training/`, `Testing/`,
    `valid/`, ...), they are the split; otherwise the images are divided.
    """

    source = "give --root (DATA=...) the folder that holds one folder of images per class, four or more in each"

    def find(self) -> tuple[Split, Counter[str]]:
        refuse_segmentation(self.folder)
        self.listing.known = {*DESCRIPTIONS, self.split_file.name, *(path.name for path in find_tables(self.folder))}
        left_out: Counter[str] = Counter()
        parts = self._parts(left_out)
        held = {part: self._classes(folder, left_out) for part, folder in parts.items()}
        names = {name for found in held.values() for name in found}
        if len(names) < 2:
            raise UserError(
                f"Expected at least two folders of images ({', '.join(sorted(SUFFIXES))}) in {self.folder}, but found "
                f"{sorted(names) or 'none'}: {self.source}."
            )
        self.classes = self.in_order(names)
        items = {
            part: [
                Item(path, label, name)
                for label, name in enumerate(self.classes)
                for path in found.get(name, Found([], Counter())).images
            ]
            for part, found in held.items()
        }
        if tables := find_tables(self.folder):
            left_out[f'table ({tables[0].name}), which the data set "table" would read'] += 1
        return items, left_out

    def _parts(self, left_out: Counter[str]) -> dict[str, str]:
        """Return the folder of each part, or the folder itself under "" if there are no parts.

        Raises:
            UserError: two folders are for one part, or only one of training and test is there.
        """
        folders = self.listing.subfolders()
        named: dict[str, str] = {}
        for folder in folders:
            if part := part_of(folder):
                if part in named:
                    raise UserError(
                        f"Expected one folder for each part, but {self.folder} has {named[part]} and {folder}: put "
                        "their images together."
                    )
                named[part] = folder
        if "train" in named and "test" in named:
            left_out.update(
                {f'folder "{folder}" beside the parts': 1 for folder in folders if folder not in named.values()}
            )
            return {part: named[part] for part in PARTS if part in named}
        if "train" in named or "test" in named:
            raise UserError(
                f"Expected the folders train/ and test/ in {self.folder}, or class folders alone, but found "
                f"{', '.join(named.values())}: name what is to be tested on test/ (val/ is for validation)."
            )
        return {"": ""}

    def _classes(self, folder: str, left_out: Counter[str]) -> dict[str, Found]:
        """Return what each class folder in `folder` holds, by class name, and count in `left_out` what is not used.

        Raises:
            UserError: two folders have the same name, or a folder has images but none that can be read.
        """
        found: dict[str, Found] = {}
        spelled: dict[str, Path] = {}
        for name in self.listing.subfolders(folder):
            path = f"{folder}/{name}" if folder else name
            place = self.folder / path
            if place.is_symlink():
                self.listing.check_link(path)
            held = self.listing.images(path, self.settings.NESTED)
            if not held.images:
                self._refuse_lost(path, held)
                left_out[f'folder without images ("{path}")'] += 1
                continue
            name = class_name(name, self.folder)
            if "\\" in name:
                raise UserError(
                    f"Expected class folders without a backslash in their names, but got {place}: rename it."
                )
            if ABSOLUTE.match(path):
                raise UserError(
                    f"Expected class folders that no system takes for a drive such as C:, but got {place}: rename it."
                )
            if name in spelled:
                raise UserError(
                    f"Expected one folder per class, but {spelled[name]} and {place} have the same name with spaces "
                    "for underscores: put their images together."
                )
            spelled[name], found[name] = place, held
            left_out.update({f"{what} in {path}": count for what, count in held.left_out.items()})
        loose, where = self.listing.images(folder), f"in no class folder{' of ' + folder if folder else ''}"
        if lost := [name for name in self.listing.broken_links(folder) if not suffix_of(name)]:
            raise UserError(
                f"Expected class folders in {self.folder / folder}, but {lost[0]} is a link that leads nowhere: bring "
                "what it leads to, or remove it."
            )
        left_out.update({f"images {where}": len(loose.images)} if loose.images else {})
        left_out.update({f"{what} {where}": n for what, n in loose.left_out.items() if "files" in what})
        return found

    def _refuse_lost(self, path: str, held: Found) -> None:
        """Raise a UserError if a folder without usable images was meant as a class."""
        place = self.folder / path
        folders = [name for name in self.listing.subfolders(path) if name != MASKS]
        nested = [name for name in folders if self.listing.images(f"{path}/{name}", True).images]
        if nested:
            raise UserError(
                f"Expected the images of a class in {place} itself, but they are in folders of it, such as "
                f'"{nested[0]}": set DATASET.NESTED True to take all of them (masks, too, unless in a folder called '
                f'"{MASKS}"), move them, or give this folder as DATA.'
            )
        if broken := held.left_out["broken links"]:
            raise UserError(
                f"Expected images in {place}, but found {broken} broken links: bring what they lead to (git-annex, "
                "DVC, another disk), or move the folder away."
            )
        if other := next((kind for kind in OTHER_IMAGES if held.left_out[f"{kind} files"]), None):
            raise UserError(
                f"Expected images that are read ({', '.join(sorted(SUFFIXES))}) in {place}, but found "
                f"{held.left_out[f'{other} files']} {other} files: convert them, or move the folder away."
            )
