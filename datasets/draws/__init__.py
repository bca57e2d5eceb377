"""Draw K images per class, by our rule or by BiomedCoOp's, and keep the draw as JSON beside the split."""

import posixpath
import random
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from dassl.console import tell
from dassl.errors import UserError
from dassl.reading import read_json
from dassl.writing import check_within, write_json
from datasets import leaks
from datasets.entries import LIMIT, Item, Split
from datasets.groups import group_of, spread

NESTED, BIOMEDCOOP = KINDS = ("nested", "biomedcoop")  # of draws: `cfg.DATASET.DRAWS`
VAL_SHOTS = 4  # at most so many validation images per class in the few-shot setting, as in CoOp


def counts_of(shots: int) -> dict[str, int]:
    """Return how many images per class are drawn in each part.

    >>> counts_of(16), counts_of(1)
    ({'train': 16, 'val': 4}, {'train': 1, 'val': 1})
    """
    return {"train": shots, "val": min(shots, VAL_SHOTS)}


def file_of(shots: int, seed: int, kind: str = NESTED) -> str:
    """Return the path of the file that keeps a draw, relative to the data set's folder.

    >>> file_of(16, 1), file_of(4, 2, "biomedcoop")
    ('split_fewshot/shot_16-seed_1.json', 'split_fewshot/shot_4-seed_2-biomedcoop.json')
    """
    return f"split_fewshot/shot_{shots}-seed_{seed}{'' if kind == NESTED else f'-{kind}'}.json"


def draw(
    items: Sequence[Item],
    classes: Sequence[str],
    count: int,
    dataset: str,
    part: str,
    seed: int,
    groups: Mapping[str, str] | None = None,
) -> list[Item]:
    """Draw `count` items of each class, or all of a class that has fewer.

    The items of a class are shuffled, and the first `count` are taken, so that fewer shots are a part of more. The
    order follows from the data set, the part, the class and the seed; the order of `items` and the other classes do
    not matter.

    Args:
        items: the items to draw from.
        classes: class names, in the order of the result.
        count: items per class.
        dataset: folder name of the data set.
        part: "train" or "val".
        seed: of the draw.
        groups: group by path. No second item of a group comes before the first of every other.
    """
    drawn: list[Item] = []
    for name in classes:
        mine = sorted(item for item in items if item.classname == name)
        random.Random(f"{dataset} {part} {name} {seed}").shuffle(mine)
        drawn += (spread(mine, groups) if groups else mine)[:count]
    return drawn


def without(items: Sequence[Item], drawn: Sequence[Item]) -> list[Item]:
    """Return the items whose images are not among those that were drawn.

    >>> without([Item("a/1.png", 0, "a"), Item("a/2.png", 0, "a")], [Item("a/./2.png", 0, "a")])
    [Item(path='a/1.png', label=0, classname='a')]
    """
    taken = {posixpath.normpath(item.path) for item in drawn}
    return [item for item in items if posixpath.normpath(item.path) not in taken]


def draw_as_biomedcoop(split: Split, shots: int, seed: int) -> Split:
    """Draw the training and validation images that BiomedCoOp's code draws.

    There a run seeds Python's generator once. The data set then samples K training images of each class and, with the
    same generator, min(K, 4) validation images; of a class that has fewer, it takes all. Classes come in the order of
    their first image, and the draw depends on the order of the entries; one that is listed twice may be drawn twice.

    Args:
        split: all entries of the split file, in its order.
        shots: training images per class.
        seed: of the run, 0 or more.

    References:
        github.com/HealthX-Lab/BiomedCoOp: `set_random_seed` in train.py, `generate_fewshot_dataset` of its Dassl, and
        the constructors of its data sets, which are alike.
    """
    chance, drawn = random.Random(seed), {}
    for part, count in counts_of(shots).items():
        by_label: dict[int, list[Item]] = {}
        for item in split[part]:
            by_label.setdefault(item.label, []).append(item)
        several = (chance.sample(mine, count) if len(mine) >= count else mine for mine in by_label.values())
        drawn[part] = [item for mine in several for item in mine]
    return drawn


def check_kind(kind: str, seed: int) -> None:
    """Raise a UserError unless `cfg.DATASET.DRAWS` is a kind of draws, and can be made for a seed."""
    if kind not in KINDS:
        raise UserError(f'Expected DATASET.DRAWS to be one of {", ".join(KINDS)}, but got "{kind}": correct it.')
    if kind == BIOMEDCOOP and seed < 0:
        raise UserError(
            f"Expected a seed of 0 or more for DATASET.DRAWS {kind}, which without one draws other images each time, "
            f"but got {seed}: give --seed."
        )


def require_shots(items: Sequence[Item], classes: Sequence[str], shots: int, key: str) -> None:
    """Raise a UserError for a class of fewer than `shots` training images; names the most shots that there can be."""
    held = Counter(item.classname for item in items)
    for name in classes:
        if held[name] < shots:
            raise UserError(
                f'Expected at least {shots} training images per class for {shots} shots, but "{name}" of {key} has '
                f"{held[name]}: take at most {min(held.values())} shots."
            )


def keep(
    drawn: Split, split: Split, split_hash: str, path: Path, folder: Path, source: Path, seed: int, write: bool = True
) -> Split:
    """Write a draw to a file, or return the draw that the file holds of the same split.

    Args:
        drawn: the draw by seed.
        split: what it is drawn from.
        split_hash: of that split; a draw of another split is written over.
        path: of the draw: {"split": hash, "train": [path, ...], "val": [path, ...]}.
        folder: that nothing is written outside of.
        source: the file that the split is from, for errors.
        seed: of the draw, for the line that is printed.
        write: False to leave a draw unwritten.

    Raises:
        UserError: the file holds something else than a draw of as many images; names it.
    """
    found = {"split": split_hash} | {part: [item.path for item in items] for part, items in drawn.items()}
    kept = read_json(path, LIMIT) if path.is_file() else {}
    if isinstance(kept, dict) and kept.get("split") != split_hash:
        try:
            check_within(path, folder)
            if write:
                write_json(found, str(path))
        except (OSError, UserError) as error:
            tell(f"The draw is not kept: {path} cannot be written ({error})")
    elif kept != found:
        drawn = {part: _chosen(kept, part, split[part], drawn[part], path, source) for part in drawn}
        tell(f"The images in {path} are others than seed {seed} draws: used as they are (delete it to draw)")
    return drawn


def _chosen(kept: Any, part: str, items: Sequence[Item], drawn: Sequence[Item], path: Path, source: Path) -> list[Item]:
    """Return the items that a kept draw lists; raise a UserError unless it has as many of each class as `drawn`."""
    listed = kept.get(part) if isinstance(kept, dict) else None
    by_path = {item.path: item for item in items}
    wanted = Counter(item.classname for item in drawn)
    if isinstance(listed, list) and all(isinstance(each, str) and each in by_path for each in listed):
        chosen = [by_path[each] for each in dict.fromkeys(listed)]
        if len(chosen) == len(listed) and Counter(item.classname for item in chosen) == wanted:
            return chosen
    raise UserError(
        f"Expected {max(wanted.values(), default=0)} images of each class for {leaks.NAMES[part]} in {path}, drawn "
        f"from {source}, but found something else: delete it to draw anew."
    )


def print_few_groups(drawn: Sequence[Item], classes: Sequence[str], groups: Mapping[str, str], shots: int) -> None:
    """Print of which classes several training images of one group were drawn."""
    if not groups:
        return
    held = {name: {group_of(i.path, groups) for i in drawn if i.classname == name} for name in classes}
    few = [f"{name} ({len(found)})" for name, found in held.items() if len(found) < shots]
    if few:
        tell(f"Fewer than {shots} groups (patients) among the {shots} shots of: {', '.join(few)}")
