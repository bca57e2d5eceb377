"""A user's own images in any folders, with a table that names the class of each."""

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

from yacs.config import CfgNode

from dassl.console import printable, tell
from dassl.data.datasets import DATASET_REGISTRY
from dassl.errors import UserError
from datasets import splits
from datasets.entries import PARTS, Item, Split
from datasets.listing import Listing, suffix_of
from datasets.own import DESCRIPTIONS, OwnImages, class_name, find_tables, part_of, refuse_segmentation
from datasets.rows import GROUP, LABEL, PATH, SEVERAL, SPLIT, Finder, Table, number, read_table

SETTING = "DATASET.TABLE.{}".format
EMPTY = ("", "nan", "na", "n/a", "none", "null")  # cells without a value
CODES = ["label", "code", "number", "id", "value", "index"]
NAMES = ["name", "class", "class_name", "classname", "diagnosis", "description", "title"]


@DATASET_REGISTRY.register()
class TableDataset(OwnImages):
    """Images anywhere below `cfg.DATASET.ROOT`, and a table there, `labels.csv` (or .tsv, or the only table).

    A row describes an image: its path, file name, or name without suffix; its class in one column, or in several of
    which one holds a 1; and maybe its part of the split, and its patient. Columns are found by their usual names, or
    named by `cfg.DATASET.TABLE`. Labels that are numbers or codes get their names from `classes.csv` (label, name) or,
    counted from 0, from the lines of `classes.txt`.
    """

    source = "give --root (DATA=...) the folder that holds the images and a table of them, labels.csv"
    table: Table

    def find_folder(self, cfg: CfgNode) -> Path:
        folder = super().find_folder(cfg)
        self.table_file = self._table_file(folder)
        return folder

    def _table_file(self, folder: Path) -> Path:
        """Return the table that `DATASET.TABLE.FILE` names, or the only one that there is."""
        if self.settings.TABLE.FILE is not None:
            file = folder / Path(str(self.settings.TABLE.FILE)).expanduser()
            if not file.is_file():
                raise UserError(
                    f"Expected the table that DATASET.TABLE.FILE names, but there is no {file}: correct it."
                )
            return file
        tables = find_tables(folder)
        if len(tables) != 1:
            refuse_segmentation(folder)
            found = ", ".join(path.name for path in tables[:10]) or "none"
            raise UserError(
                f"Expected one table, such as labels.csv, in {folder}, but found {found}: name it by "
                "DATASET.TABLE.FILE."
            )
        Listing(folder, self.settings.LINKS).check_link(tables[0].name)
        return tables[0]

    @property
    def source_file(self) -> Path:
        return self.table_file

    def find(self) -> tuple[Split, Counter[str]]:
        table = read_table(self.table_file)
        self.listing.known = {*DESCRIPTIONS, self.split_file.name, self.table_file.name}
        found = self.listing.images(nested=True)
        path = self._column(table, "PATH", PATH)
        if path is None:
            raise self._unknown(table, "images", "PATH", PATH)
        finder = Finder(found.images, self.folder.resolve().name, suffix_of)
        images = self._images(table, path, finder)
        split, group = self._column(table, "SPLIT", SPLIT), self._column(table, "GROUP", GROUP)
        columns, labels = self._labels(table, {path, split, group})
        names = self._names(labels)
        self.classes = tuple(dict.fromkeys(names.values()))
        items = [
            Item(image, self.classes.index(names[label]), names[label])
            for image, label in zip(images, labels, strict=True)
        ]
        told = {"images": [path], "classes": columns, "split": [split] if split is not None else []}
        told |= {"patients": [group] if group is not None else []}
        said = [f"{what} in {', '.join(table.header[at] for at in places)}" for what, places in told.items() if places]
        tell(f"Table {self.table_file.name}, {len(items)} rows: {'; '.join(said)}")
        self._table_groups = self._groups(table, group, images)
        if unlisted := len(set(found.images) - set(images)):
            found.left_out[f"images that {self.table_file.name} does not list"] = unlisted
        parts = self._parts(table, split)
        divided = {part: [item for item, its in zip(items, parts, strict=True) if its == part] for part in (*PARTS, "")}
        splits.check_paths(divided, self.source_file)
        kept = splits.drop_repeats(divided, self.source_file)
        return {part: items for part, items in kept.items() if items}, found.left_out

    def find_groups(self, paths: Sequence[str]) -> Mapping[str, str]:
        """Return the group of each path by the pattern, by groups.csv, or else by the table's column."""
        found = super().find_groups(paths)
        return found or {path: self._table_groups[path] for path in paths if path in self._table_groups}

    # ------------------------------------------------------------------------------------------------------ columns

    def _column(self, table: Table, setting: str, names: Sequence[str]) -> int | None:
        """Return the place of the column that a setting or the usual names find; None if there is none."""
        wanted = self.settings.TABLE[setting]
        return next(iter(table.find(names, wanted, SETTING(setting))), None)

    def _unknown(self, table: Table, what: str, setting: str, names: Sequence[str]) -> UserError:
        return UserError(
            f"Expected a column with the {what} in {table.path}, called {', '.join(names[:3])}, ..., but its "
            f"columns are {table.columns()}: name it by {SETTING(setting)}."
        )

    def _images(self, table: Table, column: int, finder: Finder) -> list[str]:
        """Return the file of each row; a UserError if files are missing."""
        found: list[str] = []
        missing: list[tuple[int, list[str]]] = []
        for line, cells in table.rows:
            image = finder.find(cells[column], table.where(line))
            if image is None:
                missing.append((line, cells))
            else:
                found.append(image)
        if missing:
            line, cells = missing[0]
            raise UserError(
                f"Expected the {len(table.rows)} images of {table.path} in {self.folder}, but {len(missing)} are "
                f'missing, the first is "{printable(cells[column])}" (line {line}): bring them, or take their rows out.'
            )
        return found

    def _labels(self, table: Table, others: set[int | None]) -> tuple[list[int], list[str]]:
        """Return the columns that hold the classes, and the label of each row."""
        wanted = self.settings.TABLE.LABEL
        named = [name.strip() for name in str(wanted).split(",")] if wanted is not None else []
        if len(named) > 1:
            columns = [table.find((), name, SETTING("LABEL"))[0] for name in named]
            return columns, self._ones(table, columns)
        places = [place for place in table.find(LABEL, wanted, SETTING("LABEL")) if place not in others]
        if places:  # words rather than numbers, where there are both
            place = next((p for p in places if any(number(cell) is None for cell in table.column(p))), places[0])
            return [place], self._words(table, place)
        columns = [
            place
            for place in range(len(table.header))
            if place not in others and {number(cell) if cell else 0 for cell in table.column(place)} <= {-1, 0, 1}
        ]
        if len(columns) < 2:
            raise self._unknown(table, "classes", "LABEL", LABEL)
        return columns, self._ones(table, columns)

    def _words(self, table: Table, column: int) -> list[str]:
        """Return the label of each row from one column; "1.0" becomes "1"."""
        labels = []
        for line, cells in table.rows:
            cell, value = cells[column], number(cells[column])
            wrong = ""
            if cell.lower() in EMPTY:
                wrong = "none"
            elif value is not None and value < 0:
                wrong = f"{cell}, which is no class (uncertain, in CheXpert's tables)"
            elif any(mark in cell for mark in SEVERAL):
                wrong = f'"{printable(cell)[:100]}", which are several'
            if wrong:
                raise UserError(
                    f'Expected one class in the column "{table.header[column]}" of {table.where(line)}, but got '
                    f"{wrong}: take the row out, or give it one class."
                )
            labels.append(cell if value is None else str(value))
        return labels

    def _ones(self, table: Table, columns: list[int]) -> list[str]:
        """Return the label of each row, from columns of which exactly one holds a 1."""
        names = [table.header[place] for place in columns]
        labels = []
        for line, cells in table.rows:
            values = [number(cells[place]) if cells[place] else 0 for place in columns]
            set_ = [name for name, value in zip(names, values, strict=True) if value == 1]
            if len(set_) != 1 or not set(values) <= {0, 1}:
                uncertain = [place for place, value in zip(columns, values, strict=True) if value not in (0, 1)]
                found = (
                    f'"{printable(cells[uncertain[0]])}" in {table.header[uncertain[0]]}'
                    if uncertain
                    else f"{len(set_)} ({', '.join(set_[:5]) or 'none'})"
                )
                raise UserError(
                    f"Expected a 1 in exactly one of the columns {', '.join(names[:20])} in {table.where(line)}, but "
                    f"got {found}: take such rows out, or name the columns of the classes by DATASET.TABLE.LABEL."
                )
            labels.append(set_[0])
        return labels

    # ------------------------------------------------------------------------------------------------------ classes

    def _names(self, labels: Sequence[str]) -> dict[str, str]:
        """Return the class name of each label, in the order of the classes."""
        values = sorted(set(labels), key=lambda label: (number(label) is None, number(label) or 0, label))
        numbers = [value for label in values if (value := number(label)) is not None]
        file = self.folder / "classes.csv"
        if file.is_file():
            names = self._names_in(file, values)
        elif len(numbers) == len(values):
            names = self._names_by_line(values, numbers)
        else:
            names = {label: class_name(label, self.table_file) for label in values}
            order = self.in_order(set(names.values()))
            names = {label: name for name in order for label, other in names.items() if other == name}
        if len(set(names.values())) < 2:
            raise UserError(
                f"Expected at least two classes in {self.table_file}, but found {', '.join(names.values())}: add "
                "images of another."
            )
        return names

    def _names_by_line(self, labels: Sequence[str], numbers: Sequence[int]) -> dict[str, str]:
        """Return the names of labels that are numbers of the lines of classes.txt."""
        listed = self.listed_classes()
        if not listed or max(numbers) >= len(listed):
            raise UserError(
                f"Expected words for the classes, which the text tower reads, but {self.table_file} has the "
                f"numbers {', '.join(labels[:10])}: write {self.folder / 'classes.csv'} with the columns label and name"
                f"{f' (classes.txt has {len(listed)} lines, counted from 0)' if listed else ''}."
            )
        return {label: class_name(listed[value], "classes.txt") for label, value in zip(labels, numbers, strict=True)}

    def _names_in(self, file: Path, labels: Sequence[str]) -> dict[str, str]:
        """Return the names of labels that a table has."""
        table = read_table(file)
        places = [table.find(names)[:1] for names in (CODES, NAMES)]
        if not all(places):
            raise UserError(
                f'Expected the columns "label" and "name" in {file}, but its columns are {table.columns()}: rename '
                "them."
            )
        (code,), (name,) = places
        known = {self._code(cells[code]): class_name(cells[name], table.where(line)) for line, cells in table.rows}
        if lacking := [label for label in labels if label not in known]:
            raise UserError(
                f'Expected a name for every label in {file}, but it has none for "{printable(lacking[0])}": add it.'
            )
        return {label: text for label, text in known.items() if label in labels}

    @staticmethod
    def _code(cell: str) -> str:
        """Return a label as text; "1.0" becomes "1"."""
        value = number(cell)
        return cell if value is None else str(value)

    # ------------------------------------------------------------------------------------------------ parts, groups

    def _parts(self, table: Table, column: int | None) -> list[str]:
        """Return the part of each row; "" if no column tells it."""
        fold = self.settings.TABLE.TEST_FOLD
        if column is None:
            if fold is not None:
                raise self._unknown(table, "folds", "SPLIT", SPLIT)
            return [""] * len(table.rows)
        if fold is not None:
            return self._parts_by_fold(table, column, self._code(str(fold)))
        parts = []
        for line, cells in table.rows:
            part = part_of(cells[column])
            if part is None:
                folds = number(cells[column]) is not None
                way_out = "say which is for testing by DATASET.TABLE.TEST_FOLD" if folds else "correct it"
                raise UserError(
                    f'Expected train, val or test in the column "{table.header[column]}" of {table.where(line)}, but '
                    f'got "{printable(cells[column])[:50]}": {way_out}.'
                )
            parts.append(part)
        return parts

    def _parts_by_fold(self, table: Table, column: int, fold: str) -> list[str]:
        """Return "test" for each row of one fold, and "train" for all others."""
        cells = list(table.column(column))
        parts = ["test" if self._code(cell) == fold else "train" for cell in cells]
        if "test" not in parts:
            raise UserError(
                f'Expected the fold {fold} (DATASET.TABLE.TEST_FOLD) in the column "{table.header[column]}" of '
                f"{table.path}, but it holds {', '.join(sorted(set(cells))[:10])}: name one of them."
            )
        return parts

    def _groups(self, table: Table, column: int | None, images: Sequence[str]) -> dict[str, str]:
        """Return the patient of each image."""
        if column is None:
            return {}
        found: dict[str, str] = {}
        for (line, cells), image in zip(table.rows, images, strict=True):
            name = cells[column]
            if name.lower() not in EMPTY and found.setdefault(image, name) != name:
                raise UserError(
                    f"Expected one patient for each image, but {table.where(line)} has another for {image}: correct it."
                )
        if lacking := len(set(images)) - len(found):
            tell(f"{lacking} images have no patient in {table.path}: each is taken for a patient of its own")
        return found
