"""Images with their labels, and the splits of a data set."""

import os
import random
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from dassl.errors import UserError


@dataclass(frozen=True)
class Datum:
    """One labelled image.

    Args:
        impath: path of the image.
        label: class label, from 0.
        domain: domain label, from 0.
        classname: name of the class.

    Raises:
        UserError: there is no file at `impath`.
    """

    impath: str = ""
    label: int = 0
    domain: int = 0
    classname: str = ""

    def __post_init__(self) -> None:
        if not os.path.isfile(self.impath):  # noqa: PTH113 - several times as fast as pathlib
            raise UserError(
                f"Expected an image of class {self.classname!r} at {self.impath!r}, but there is no file: check "
                "DATASET.ROOT."
            )


class DatasetBase:
    """The splits of a data set, each a list of `Datum`, and its classes, which are those of `train_x`.

    Attributes:
        train_x, train_u, val, test: the splits.
        num_classes: number of classes.
        lab2cname: class name of each label.
        classnames: class names in order of labels.

    Args:
        train_x: labelled training images.
        train_u: unlabelled training images, if any.
        val: validation images, if any.
        test: test images.

    Raises:
        UserError: `train_x` is empty, its labels are not 0 to C - 1, or a label has two names.
    """

    dataset_dir = ""  # folder of the data set, below DATASET.ROOT
    domains: Sequence[str] = ()  # names of all domains

    def __init__(
        self,
        train_x: list[Datum] | None = None,
        train_u: list[Datum] | None = None,
        val: list[Datum] | None = None,
        test: list[Datum] | None = None,
    ) -> None:
        if not train_x:
            raise UserError(
                f"Expected training images of {type(self).__name__}, but there are none: check its split file and "
                "DATASET.ROOT."
            )
        self.train_x = train_x
        self.train_u = train_u
        self.val = val
        self.test = test
        self.num_classes = self.get_num_classes(train_x)
        self.lab2cname, self.classnames = self.get_lab2cname(train_x)
        missing = sorted(set(range(self.num_classes)) - set(self.lab2cname))
        if missing:
            raise UserError(
                f"Expected training images of {type(self).__name__} for all labels from 0 to {self.num_classes - 1}, "
                f"but there are none of {', '.join(map(str, missing))}: correct the split file."
            )

    @staticmethod
    def get_num_classes(data_source: Sequence[Datum]) -> int:
        """Return the highest label + 1."""
        return max(item.label for item in data_source) + 1

    @staticmethod
    def get_lab2cname(data_source: Sequence[Datum]) -> tuple[dict[int, str], list[str]]:
        """Return the class name of each label, as a dictionary in order of labels and as a list."""
        mapping: dict[int, str] = {}
        for item in data_source:
            if mapping.setdefault(item.label, item.classname) != item.classname:
                raise UserError(
                    f"Expected one name for label {item.label}, but got {mapping[item.label]!r} and "
                    f"{item.classname!r}: correct the split file."
                )
        mapping = dict(sorted(mapping.items()))
        return mapping, list(mapping.values())

    def generate_fewshot_dataset(
        self, *data_sources: list[Datum] | None, num_shots: int = -1, repeat: bool = False
    ) -> Any:
        """Draw `num_shots` images per class with Python's global random generator.

        Args:
            data_sources: splits to draw from, each separately; None stays None.
            num_shots: images per class; below 1, the splits are returned as they are.
            repeat: draw with replacement from a class that has fewer images; otherwise, all its images are taken.

        Returns:
            The drawn list of images if one split is given, else a list of them.
        """
        outputs = list(data_sources)
        if num_shots >= 1:
            print(f"Creating a {num_shots}-shot dataset")
            outputs = [source and self._draw(source, num_shots, repeat) for source in data_sources]
        return outputs[0] if len(outputs) == 1 else outputs

    def _draw(self, data_source: list[Datum], num_shots: int, repeat: bool) -> list[Datum]:
        output = []
        for items in self.split_dataset_by_label(data_source).values():
            if len(items) >= num_shots:
                items = random.sample(items, num_shots)
            elif repeat:
                items = random.choices(items, k=num_shots)
            output.extend(items)
        return output

    def split_dataset_by_label(self, data_source: Sequence[Datum]) -> dict[int, list[Datum]]:
        """Return the images of each label."""
        return _group(data_source, "label")

    def split_dataset_by_domain(self, data_source: Sequence[Datum]) -> dict[int, list[Datum]]:
        """Return the images of each domain."""
        return _group(data_source, "domain")


def _group(data_source: Sequence[Datum], attribute: str) -> dict[int, list[Datum]]:
    groups: dict[int, list[Datum]] = defaultdict(list)
    for item in data_source:
        groups[getattr(item, attribute)].append(item)
    return groups
