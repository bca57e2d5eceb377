"""Patients: none is on two sides of a division, K shots come from K of them, and overlaps are told."""

import itertools
import random
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dassl.errors import UserError
from datasets.btmri import BTMRI
from datasets.division import divide_items
from datasets.entries import Item
from datasets.folder import FolderDataset
from datasets.groups import spread
from tests.datasets.layout import lay_out, load, names

PATTERN = r"/(P\d+)_"


def fill(root: Path, sizes: dict[str, list[int]]) -> Path:
    """Write empty images: so many of each patient of a class, `<class>/P<number>_<image>.png`."""
    patient = 0
    for name, counts in sizes.items():
        (root / name).mkdir(parents=True, exist_ok=True)
        for count in counts:
            patient += 1
            for i in range(count):
                (root / name / f"P{patient}_{i}.png").touch()
    return root


def mine(root: Path, **kwargs) -> FolderDataset:
    return load(root, FolderDataset, **{"GROUP_PATTERN": PATTERN} | kwargs)


def sides(data) -> list[set[str]]:
    return [set(data.groups_of(part)) for part in (data.train_x, data.val or [], data.test)]


# ------------------------------------------------------------------------------------------------------------ division

classes_of_patients = st.lists(
    st.lists(st.integers(1, 6), min_size=2, max_size=12), min_size=2, max_size=4
)  # of each class, of each patient, the number of images


@settings(max_examples=150, deadline=None)
@given(classes_of_patients, st.randoms(use_true_random=False))
def test_no_patient_is_on_two_sides_and_every_class_is_learned_and_tested(classes, chance):
    items, groups = [], {}
    for label, patients in enumerate(classes):
        for patient, count in enumerate(patients):
            for i in range(count):
                path = f"c{label}/p{patient}_{i}.png"
                items.append(Item(path, label, f"c{label}"))
                groups[path] = f"{label} {patient}"
    split = divide_items(items, groups)
    assert sorted(item for part in split.values() for item in part) == sorted(items)
    held = [{groups[item.path] for item in split[part]} for part in split]
    assert sum(map(len, held)) == len(set.union(*held))
    for label in range(len(classes)):
        for part in ("train", "test"):
            assert any(item.label == label for item in split[part])
    chance.shuffle(items)
    assert divide_items(items, groups) == split


@settings(max_examples=50, deadline=None)
@given(st.lists(st.integers(10, 40), min_size=2, max_size=4))
def test_shares_are_as_without_groups_where_groups_are_small(patients):
    items = [Item(f"c{c}/{p}_{i}.png", c, f"c{c}") for c, n in enumerate(patients) for p in range(n) for i in range(2)]
    groups = {item.path: item.path.rpartition("_")[0] for item in items}
    split = divide_items(items, groups)
    for label, n in enumerate(patients):
        for part, share in (("train", 0.5), ("val", 0.2), ("test", 0.3)):
            assert abs(sum(item.label == label for item in split[part]) - share * 2 * n) <= 2


def test_patients_who_have_several_classes_stay_together():
    items = [Item(f"{c}/{p}.png", c, f"c{c}") for p in range(30) for c in (p % 3, (p + 1) % 3)]
    groups = {item.path: item.path.split("/")[1] for item in items}
    split = divide_items(items, groups)
    held = [{groups[item.path] for item in split[part]} for part in split]
    assert sum(map(len, held)) == 30
    for counts in (Counter(item.label for item in split[part]) for part in ("train", "test")):
        assert max(counts.values()) - min(counts.values()) <= 4, "as well as it can be"


@settings(max_examples=30, deadline=None)
@given(st.text("abc", min_size=1, max_size=6))
def test_a_patient_of_half_the_images_takes_the_place_of_half_of_them(name):
    sizes = [10, *[1] * 10]
    items = [
        Item(f"c{c}/{name}{p}_{i}.png", c, f"c{c}") for c in range(2) for p, n in enumerate(sizes) for i in range(n)
    ]
    split = divide_items(items, {item.path: item.path.rpartition("_")[0] for item in items})
    assert {part: len(mine) for part, mine in split.items()} == {"train": 20, "val": 8, "test": 12}


def test_images_without_a_group_are_groups_of_their_own():
    items = [Item(f"c{c}/{i}.png", c, f"c{c}") for c in range(2) for i in range(10)]
    split = divide_items(items, {"c0/0.png": "p", "c0/1.png": "p"})
    (part,) = [part for part, its in split.items() if items[0] in its]
    assert items[1] in split[part] and {len(split[p]) for p in split} != {20}


@pytest.mark.parametrize("seed", range(100))
def test_few_patients_of_several_classes_are_divided_so_that_each_is_learned_and_tested(seed):
    chance = random.Random(seed)
    items = []
    for patient in range(chance.randint(5, 9)):
        for i in range(chance.randint(1, 5)):
            label = chance.randrange(3)
            items.append(Item(f"c{label}/p{patient}_{i}.png", label, f"c{label}"))
    groups = {item.path: item.path.split("/")[1].split("_")[0] for item in items}
    labels = {item.label for item in items}
    seen = [{item.label for item in items if groups[item.path] == name} for name in sorted(set(groups.values()))]
    ways = itertools.product((True, False), repeat=len(seen))
    sides = (
        [set().union(*(s for s, at in zip(seen, way, strict=True) if at is side)) for side in (True, False)]
        for way in ways
    )
    if not any(one == other == labels for one, other in sides):
        with pytest.raises(UserError, match="patients"):
            divide_items(items, groups)
        return
    split = divide_items(items, groups)
    assert sorted(item for part in split.values() for item in part) == sorted(items)
    held = [{groups[item.path] for item in split[part]} for part in split]
    assert sum(map(len, held)) == len(set.union(*held))
    assert {item.label for item in split["train"]} == {item.label for item in split["test"]} == labels


def test_a_class_of_one_patient_is_refused(tmp_path):
    with pytest.raises(UserError, match=r'two patients .* but those of "a" are all of one'):
        mine(fill(tmp_path, {"a": [8], "b": [4, 4, 4]}))


# --------------------------------------------------------------------------------------------------------------- draws


@settings(max_examples=100, deadline=None)
@given(st.lists(st.integers(0, 6), max_size=30))
def test_an_order_is_spread_over_the_groups(numbers):
    items = [Item(str(i), 0, "a") for i in range(len(numbers))]
    groups = {str(i): str(number) for i, number in enumerate(numbers) if number}
    found = spread(items, groups)
    assert sorted(found) == sorted(items)
    named = [groups.get(item.path, item.path + "alone") for item in found]
    for i, name in enumerate(named):
        turn = named[:i].count(name)
        assert all(named[:i].count(other) >= turn for other in named if named.count(other) > turn)
    assert spread(items, {}) == items


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_shots_come_from_as_many_patients_where_there_are_so_many(tmp_path, capsys, seed):
    fill(tmp_path, {"a": [5] * 20, "b": [5] * 20})
    data = mine(tmp_path, shots=8, seed=seed)
    for name in "ab":
        assert (
            len(
                {
                    p
                    for item, p in zip(data.train_x, data.groups_of(data.train_x), strict=True)
                    if item.classname == name
                }
            )
            == 8
        )
    assert "Fewer than" not in capsys.readouterr().out
    few = mine(tmp_path, shots=4, seed=seed)
    assert set(names(few.train_x)) < set(names(data.train_x))
    train, val, test = sides(data)
    assert not (train & val or train & test or val & test)


def test_shots_of_fewer_patients_are_said(tmp_path, capsys):
    fill(tmp_path, {"a": [6] * 4, "b": [3] * 20})
    data = mine(tmp_path, shots=6)
    assert len(data.train_x) == 12
    assert "Fewer than 6 groups (patients) among the 6 shots of: a (2)" in capsys.readouterr().out


def test_without_groups_nothing_is_said_of_them(tmp_path, capsys):
    fill(tmp_path, {"a": [6] * 4, "b": [3] * 20})
    data = mine(tmp_path, shots=6, GROUP_PATTERN=None)
    assert data.groups_of(data.test) is None and "roup" not in capsys.readouterr().out


# ------------------------------------------------------------------------------------------------ where they come from


def test_groups_csv_and_the_pattern_agree_and_are_part_of_the_splits_digest(tmp_path):
    fill(tmp_path, {"a": [3] * 8, "b": [3] * 8})
    with_pattern = mine(tmp_path)
    (tmp_path / "split_FolderDataset.json").unlink()
    paths = [f"{path.parent.name}/{path.name}" for path in sorted(tmp_path.glob("*/*.png"))]
    rows = [f"{path},{path.split('/')[1].split('_')[0]}" for path in paths]
    (tmp_path / "groups.csv").write_text("\n".join(["path,group", *rows]))
    with_table = mine(tmp_path, GROUP_PATTERN=None)
    assert with_table.split_hash == with_pattern.split_hash
    (tmp_path / "groups.csv").unlink()
    assert mine(tmp_path, GROUP_PATTERN=None).split_hash != with_pattern.split_hash


def test_groups_csv_that_lists_too_little_or_too_much(tmp_path, capsys):
    fill(tmp_path, {"a": [3] * 4, "b": [3] * 4})
    (tmp_path / "groups.csv").write_text("file;patient\nP1_0.png;x\nP1_1;x\nP99_0.png;y\nP1_2.png;\n")
    mine(tmp_path, GROUP_PATTERN=None)
    out = capsys.readouterr().out
    assert "1 rows of" in out and "22 images have no group in" in out
    (tmp_path / "groups.csv").write_text("path,group\na/P1_0.png,x\na/P1_0.png,y\n")
    with pytest.raises(UserError, match=r"line 3 has another for a/P1_0\.png"):
        mine(tmp_path, GROUP_PATTERN=None)
    (tmp_path / "groups.csv").write_text("where,who\na/P1_0.png,x\n")
    with pytest.raises(UserError, match=r'columns "path" and "group" in .* but its columns are "where", "who"'):
        mine(tmp_path, GROUP_PATTERN=None)


@pytest.mark.parametrize(
    ("pattern", "told"),
    [
        ("(", "regular expression"),
        ("P", "one pair of brackets"),
        ("(P)(1)", "one pair of brackets"),
        ("/(P1)_", "it finds none in 9 of 12"),
    ],
)
def test_a_pattern_that_does_not_do(tmp_path, pattern, told):
    fill(tmp_path, {"a": [3, 3], "b": [3, 3]})
    with pytest.raises(UserError, match=told):
        mine(tmp_path, GROUP_PATTERN=pattern)


def test_named_data_sets_take_groups_too(tmp_path, capsys):
    split = lay_out(tmp_path)
    rows = [
        f"{c.replace(' ', '_')}/{part}{i}.png,{c} {i}"
        for c in BTMRI.classes
        for part, n in (("train", 6), ("test", 2))
        for i in range(n)
    ]
    (split.parent / "groups.csv").write_text("\n".join(["path,group", *rows]))
    data = load(tmp_path, shots=2)
    assert len(set(data.groups.values())) == 24
    out = capsys.readouterr().out
    assert "WARNING: 8 groups (patients) have images both for training and for test" in out
    assert "glioma tumor 0" not in out, "a patient's number is nobody's business"


# ----------------------------------------------------------------------------------------------------- on two sides


def test_a_given_split_with_patients_on_both_sides_is_warned_of_or_refused(tmp_path, capsys):
    for part in ("train", "val", "test"):
        fill(tmp_path / part, {"a": [2, 2], "b": [2, 2]})  # the same four patients
    data = mine(tmp_path)
    out = capsys.readouterr().out
    for one, other in (("training", "test"), ("validation", "test"), ("training", "validation")):
        assert f"WARNING: 4 groups (patients) have images both for {one} and for {other}" in out
    assert len(data.test) == 8
    with pytest.raises(UserError, match=r"no image or patient on two sides \(DATASET\.LEAKS error\), but 4 groups"):
        mine(tmp_path, LEAKS="error")
    with pytest.raises(UserError, match=r'LEAKS to be one of warn, error, but got "no"'):
        mine(tmp_path, LEAKS="no")


def test_a_division_by_patients_warns_of_nothing(tmp_path, capsys):
    mine(fill(tmp_path, {"a": [3] * 8, "b": [2] * 8}), LEAKS="error")
    assert "WARNING" not in capsys.readouterr().out


def test_a_division_that_was_kept_before_patients_were_known_is_warned_of(tmp_path, capsys):
    fill(tmp_path, {"a": [4] * 8, "b": [4] * 8})
    mine(tmp_path, GROUP_PATTERN=None)
    mine(tmp_path)
    assert "have images both for training and for test" in capsys.readouterr().out
