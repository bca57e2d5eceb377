"""`DATASET.DRAWS biomedcoop`: which images BiomedCoOp's code draws, and that the two kinds of draws stay apart.

The numbers were drawn by BiomedCoOp's own data set (tests/checkouts/test_biomedcoop_draws.py asks it again).
"""

import json
import random

import pytest

from dassl.errors import UserError
from datasets import draws
from datasets.busi import BUSI
from datasets.entries import Item
from tests.datasets.layout import lay_out, load, names

# Images of each class for training and validation, by seed and shots; 12 and 6 of each class, listed class by class.
GOLDEN = {
    (1, 1): {"train": [2, 9, 1], "val": [2, 0, 3]},
    (1, 2): {"train": [2, 9, 1, 4, 1, 7], "val": [3, 5, 5, 3, 1, 0]},
    (2, 4): {"train": [0, 1, 10, 5, 2, 10, 4, 9, 9, 3, 11, 0], "val": [4, 1, 3, 2, 3, 4, 2, 5, 3, 4, 2, 0]},
    (0, 2): {"train": [6, 11, 0, 4, 8, 7], "val": [3, 2, 3, 2, 4, 1]},
}


def items_of(count: int) -> list[Item]:
    return [Item(f"{label}/{i}.png", label, f"class {label}") for label in range(3) for i in range(count)]


def numbers(items: list[Item]) -> list[int]:
    return [int(item.path.split("/")[1].removesuffix(".png")) for item in items]


def draw(seed: int = 1, shots: int = 2, split: dict | None = None) -> dict[str, list[Item]]:
    split = split or {"train": items_of(12), "val": items_of(6), "test": items_of(3)}
    return draws.draw_as_biomedcoop(split, shots, seed)


@pytest.mark.parametrize("case", GOLDEN)
def test_images_are_those_that_the_original_drew(case):
    found = draw(*case)
    assert {part: numbers(items) for part, items in found.items()} == GOLDEN[case]


def test_classes_and_images_come_as_the_file_lists_them():
    listed = items_of(12)
    turned = {"train": listed[::-1], "val": items_of(6)[::-1]}
    found = draw(1, 2, turned)
    assert [item.label for item in found["train"]] == [2, 2, 1, 1, 0, 0]
    assert numbers(found["train"]) == [11 - number for number in numbers(draw(1, 2)["train"])]


def test_a_class_of_fewer_validation_images_gives_all_and_draws_no_number():
    few = [item for item in items_of(6) if item.label != 0 or item.path in ("0/1.png", "0/5.png")]
    found = draw(1, 4, {"train": items_of(12), "val": few})["val"]
    chance = random.Random(1)
    for _ in range(3):
        chance.sample(range(12), 4)
    assert numbers(found) == [1, 5, *chance.sample(range(6), 4), *chance.sample(range(6), 4)]


def test_an_image_that_is_listed_twice_may_be_drawn_twice():
    twice = [item for item in items_of(2) for _ in range(2)]
    drawn = numbers(draw(1, 4, {"train": twice, "val": []})["train"])
    assert [sorted(drawn[start : start + 4]) for start in (0, 4, 8)] == [[0, 0, 1, 1]] * 3


def test_draws_do_not_touch_the_random_numbers_of_the_caller():
    random.seed(3)
    before = random.getstate()
    draw()
    assert random.getstate() == before


def test_a_data_set_uses_and_keeps_them_beside_ours(tmp_path, capsys):
    split = lay_out(tmp_path, BUSI)
    ours = load(tmp_path, BUSI, shots=2)
    assert "BiomedCoOp" not in capsys.readouterr().out
    theirs = load(tmp_path, BUSI, shots=2, DRAWS="biomedcoop")
    assert "Draws: BiomedCoOp's of seed 1\n" in capsys.readouterr().out
    read = {part: [Item(*entry) for entry in entries] for part, entries in json.loads(split.read_text()).items()}
    drawn = {part: [item.path for item in items] for part, items in draws.draw_as_biomedcoop(read, 2, 1).items()}
    assert (names(theirs.train_x), names(theirs.val)) == (drawn["train"], drawn["val"])
    assert names(theirs.train_x) != names(ours.train_x) and names(theirs.test) == names(ours.test)
    folder = split.parent / "split_fewshot"
    assert sorted(path.name for path in folder.iterdir()) == ["shot_2-seed_1-biomedcoop.json", "shot_2-seed_1.json"]
    kept = json.loads((folder / "shot_2-seed_1-biomedcoop.json").read_text())
    assert kept == {"split": theirs.split_hash, "train": names(theirs.train_x), "val": names(theirs.val)}
    assert names(load(tmp_path, BUSI, shots=2).train_x) == names(ours.train_x)
    assert names(load(tmp_path, BUSI, shots=2, DRAWS="biomedcoop").train_x) == names(theirs.train_x)


def test_repeats_in_the_list_are_drawn_from_as_there_and_tested_once(tmp_path):
    split = lay_out(tmp_path, BUSI)
    parts = json.loads(split.read_text())
    parts = {part: [entry for entry in entries for _ in range(2)] for part, entries in parts.items()}
    split.write_text(json.dumps(parts))
    found = {}
    for _ in range(2):  # drawn, then read
        data = load(tmp_path, BUSI, shots=12, DRAWS="biomedcoop")
        found = {name: names(data.train_x).count(name) for name in names(data.train_x)}
        assert set(found.values()) == {2} and len(found) == 18
        assert len(data.test) == len(set(names(data.test))) == 6
    with pytest.raises(UserError, match="at least 12 training images"):
        load(tmp_path, BUSI, shots=12)


def test_patients_are_not_known_to_them_and_that_is_said(tmp_path, capsys):
    lay_out(tmp_path, BUSI)
    load(tmp_path, BUSI, shots=4, DRAWS="biomedcoop", GROUP_PATTERN=r"(benign|malignant|normal)")
    printed = capsys.readouterr().out
    assert "Draws: BiomedCoOp's of seed 1, which know no patients\n" in printed
    assert "Fewer than 4 groups (patients) among the 4 shots of: benign tumor (1)" in printed


@pytest.mark.parametrize(
    ("kind", "seed", "sentence"),
    [
        ("theirs", 1, 'DATASET.DRAWS to be one of nested, biomedcoop, but got "theirs"'),
        ("biomedcoop", -1, "a seed of 0 or more for DATASET.DRAWS biomedcoop, .* but got -1: give --seed"),
    ],
)
def test_what_cannot_be_drawn_is_told(tmp_path, kind, seed, sentence):
    lay_out(tmp_path, BUSI)
    with pytest.raises(UserError, match=sentence):
        load(tmp_path, BUSI, shots=2, seed=seed, DRAWS=kind)
