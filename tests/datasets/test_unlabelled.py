"""Training images beside the shots, for methods that learn from images without labels."""

import json
from collections import Counter

import pytest

from tests.datasets.layout import lay_out, load, names


@pytest.mark.parametrize("draws", ["nested", "biomedcoop"])
def test_they_are_as_many_of_each_class_and_none_is_a_shot(tmp_path, draws):
    lay_out(tmp_path, train=9)
    data = load(tmp_path, shots=2, DRAWS=draws)
    found = data.unlabelled(3, seed=1)
    assert Counter(item.label for item in found) == dict.fromkeys(range(4), 3)
    assert len(set(names(found))) == 12 and not set(names(found)) & set(names(data.train_x))
    assert all("/train" in name for name in names(found))


def test_a_seed_draws_its_own_and_the_same_again(tmp_path):
    lay_out(tmp_path, train=9)
    data = load(tmp_path, shots=2)
    first = names(data.unlabelled(3, seed=1))
    assert first == names(load(tmp_path, shots=2).unlabelled(3, seed=1))
    assert len({tuple(names(data.unlabelled(3, seed=seed))) for seed in range(8)}) == 8


def test_the_smallest_class_says_how_many_there_are(tmp_path):
    split = lay_out(tmp_path)
    parts = json.loads(split.read_text())
    parts["train"] = parts["train"][:-1]  # one of the last class less
    split.write_text(json.dumps(parts))
    assert len(load(tmp_path, shots=2).unlabelled(24, seed=1)) == 4 * 3
    assert load(tmp_path, shots=5).unlabelled(24, seed=1) == []
    assert load(tmp_path).unlabelled(24, seed=1) == []  # all images are for training


@pytest.mark.parametrize("classes", ["base", "new"])
def test_they_are_of_the_classes_of_the_shots(tmp_path, classes):
    lay_out(tmp_path)
    data = load(tmp_path, shots=2, classes=classes)
    found = data.unlabelled(24, seed=1)
    assert Counter(item.classname for item in found) == {"glioma tumor": 4, "meningioma tumor": 4}
    assert {item.label for item in found} == {0, 1}


def test_another_spelling_of_a_shot_is_that_shot(tmp_path):
    split = lay_out(tmp_path)
    parts = json.loads(split.read_text())
    parts["train"] += [[f"./{path}", label, name] for path, label, name in parts["train"]]
    split.write_text(json.dumps(parts))
    data = load(tmp_path, shots=2, DRAWS="biomedcoop")
    assert not {item.impath for item in data.unlabelled(24, seed=1)} & {item.impath for item in data.train_x}
