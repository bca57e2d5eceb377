"""K-shot draws: from which images, by which seed, and how they are kept."""

import json
import os
import pickle
import random
import shutil

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from datasets import draws
from datasets.btmri import BTMRI
from datasets.entries import Item
from tests.datasets.layout import lay_out, load, names

sizes = st.lists(st.integers(8, 20), min_size=4, max_size=4)
seeds = st.integers(0, 10**6)


def items_of(sizes: list[int]) -> list[Item]:
    pairs = zip(BTMRI.classes, sizes, strict=True)
    return [Item(f"{c}/{i}.png", label, c) for label, (c, size) in enumerate(pairs) for i in range(size)]


def draw(items: list[Item], shots: int, seed: int, part: str = "train") -> list[Item]:
    return draws.draw(items, BTMRI.classes, shots, "BTMRI", part, seed)


@settings(max_examples=60, deadline=None)
@given(sizes, seeds, st.sampled_from([1, 2, 4]))
def test_draws_are_balanced_without_repeats_and_part_of_those_of_twice_the_shots(sizes, seed, shots):
    items = items_of(sizes)
    few, more = draw(items, shots, seed), draw(items, 2 * shots, seed)
    assert [item.label for item in few] == [label for label in range(4) for _ in range(shots)]
    assert set(few) < set(more) <= set(items)
    assert len(set(few)) == 4 * shots and len(set(more)) == 8 * shots


@settings(max_examples=30, deadline=None)
@given(sizes, seeds, st.randoms(use_true_random=False))
def test_a_draw_does_not_depend_on_the_order_of_the_split(sizes, seed, chance):
    items = items_of(sizes)
    expected = draw(items, 4, seed)
    chance.shuffle(items)
    assert draw(items, 4, seed) == expected


@settings(max_examples=30, deadline=None)
@given(sizes, st.lists(st.integers(0, 20), min_size=4, max_size=4), seeds)
def test_the_draw_of_a_class_does_not_depend_on_the_other_classes(sizes, others, seed):
    grown = [sizes[0], *(size + more for size, more in zip(sizes[1:], others[1:], strict=True))]
    assert draw(items_of(sizes), 4, seed)[:4] == draw(items_of(grown), 4, seed)[:4]


def test_every_image_of_the_whole_split_is_as_likely_as_any_other():
    counts = dict.fromkeys(items_of([20] * 4), 0)
    for seed in range(400):
        for item in draw(list(counts), 4, seed):
            counts[item] += 1
    # Each count is binomial, 400 draws of 4 in 20: mean 80, standard deviation 8; 4.5 of these for 80 counts at once.
    assert 44 <= min(counts.values()) <= max(counts.values()) <= 116


def test_draws_are_those_of_earlier_versions_and_other_machines():
    for part, expected in (("train", [14, 8, 1, 4, 16, 19, 17, 2]), ("val", [5, 11, 16, 13, 0, 13, 15, 9])):
        assert [int(item.path.split("/")[1].removesuffix(".png")) for item in draw(items_of([20] * 4), 2, 1, part)] == (
            expected
        ), "K-shot results would no longer be comparable with those of earlier versions"


def test_draws_do_not_touch_the_random_numbers_of_the_caller():
    random.seed(3)
    before = random.getstate()
    draw(items_of([9] * 4), 2, 1)
    assert random.getstate() == before


def test_seeds_differ_and_the_same_seed_draws_the_same(tmp_path):
    split = lay_out(tmp_path)
    first, again = load(tmp_path, shots=2), load(tmp_path, shots=2)
    shutil.rmtree(split.parent / "split_fewshot")
    fresh = load(tmp_path, shots=2)
    assert names(first.train_x) == names(again.train_x) == names(fresh.train_x)
    draws = {tuple(names(load(tmp_path, shots=2, seed=seed).train_x)) for seed in range(8)}
    assert len(draws) == 8


@pytest.mark.parametrize(("shots", "val"), [(1, 1), (2, 2), (4, 4), (6, 4)])
def test_sizes_of_the_parts(tmp_path, shots, val):
    lay_out(tmp_path)
    data = load(tmp_path, shots=shots)
    for label in range(4):
        sizes = [sum(item.label == label for item in part) for part in (data.train_x, data.val, data.test)]
        assert sizes == [shots, val, 2]
    assert all("/train" in name for name in names(data.train_x))
    assert all("/val" in name for name in names(data.val))


def test_a_class_short_of_validation_images_gives_those_it_has(tmp_path):
    lay_out(tmp_path, val=3)
    assert len(load(tmp_path, shots=6).val) == 4 * 3


def test_no_shots_means_the_whole_split(tmp_path):
    split = lay_out(tmp_path)
    data = load(tmp_path)
    assert (len(data.train_x), len(data.val), len(data.test)) == (24, 20, 8)
    assert not (split.parent / "split_fewshot").exists()


def test_a_draw_is_kept_as_json_of_relative_paths_with_the_hash_of_the_split(tmp_path):
    split = lay_out(tmp_path)
    data = load(tmp_path, shots=2, seed=7)
    (kept,) = (split.parent / "split_fewshot").iterdir()
    assert kept.name == "shot_2-seed_7.json"
    found = json.loads(kept.read_text())
    assert found == {"split": data.split_hash, "train": names(data.train_x), "val": names(data.val)}
    assert len(found["train"]) == len(found["val"]) == 8 and len(data.split_hash) == 16


def test_a_kept_draw_is_what_is_used(tmp_path):
    split = lay_out(tmp_path)
    data = load(tmp_path, shots=1)
    path = split.parent / "split_fewshot" / "shot_1-seed_1.json"
    kept = json.loads(path.read_text())
    other = next(f"glioma_tumor/train{i}.png" for i in range(6) if f"glioma_tumor/train{i}.png" not in kept["train"])
    path.write_text(json.dumps(kept | {"train": [other, *kept["train"][1:]]}))
    assert names(load(tmp_path, shots=1).train_x) == [other, *names(data.train_x)[1:]]


def test_a_draw_from_another_split_is_not_used(tmp_path):
    split = lay_out(tmp_path)
    before = load(tmp_path, shots=2)
    parts = json.loads(split.read_text())
    moved = next(entry for entry in parts["train"] if entry[0] in names(before.train_x))
    parts["train"].remove(moved)
    parts["test"].append(moved)
    split.write_text(json.dumps(parts))
    after = load(tmp_path, shots=2)
    assert after.split_hash != before.split_hash
    assert moved[0] not in names(after.train_x) and moved[0] in names(after.test)
    kept = json.loads((split.parent / "split_fewshot" / "shot_2-seed_1.json").read_text())
    assert kept["split"] == after.split_hash and kept["train"] == names(after.train_x)


def test_a_draw_moves_with_its_folder(tmp_path):
    split = lay_out(tmp_path / "here")
    before = load(tmp_path / "here", shots=2)
    (tmp_path / "here").rename(tmp_path / "there")
    kept = tmp_path / "there" / split.relative_to(tmp_path / "here").parent / "split_fewshot" / "shot_2-seed_1.json"
    os.utime(kept, (1, 1))
    after = load(tmp_path / "there", shots=2)
    assert kept.stat().st_mtime == 1  # read, not written again
    assert names(after.train_x) == names(before.train_x)
    assert after.train_x[0].impath == before.train_x[0].impath.replace("here", "there")
    assert after.split_hash == before.split_hash


def test_a_folder_that_cannot_be_written_is_no_error(tmp_path, capsys):
    split = lay_out(tmp_path)
    (split.parent / "split_fewshot").write_text("a file in the way")
    data = load(tmp_path, shots=2)
    assert "shot_2-seed_1.json cannot be written" in capsys.readouterr().out
    assert names(load(tmp_path, shots=2).train_x) == names(data.train_x) and len(data.train_x) == 8


class Bomb:
    """Runs code when it is unpickled."""

    def __reduce__(self):
        return exec, ("raise AssertionError('a pickle was loaded')",)


def test_nothing_is_pickled_or_unpickled(tmp_path, monkeypatch):
    split = lay_out(tmp_path)
    kept = split.parent / "split_fewshot"
    kept.mkdir()
    old = pickle.dumps(Bomb())
    with pytest.raises(AssertionError, match="a pickle was loaded"):
        pickle.loads(old)
    for name in ("shot_2-seed_1.pkl", "shot_2_shuffled-seed_1.pkl"):  # as BiomedCoOp names its own
        (kept / name).write_bytes(old)

    def refuse(*args, **kwargs):
        raise AssertionError("pickle is in use")

    for name in ("dump", "dumps", "load", "loads", "Pickler", "Unpickler"):
        monkeypatch.setattr(pickle, name, refuse)
    for _ in range(2):
        load(tmp_path, shots=2)
    assert sorted(p.name for p in kept.iterdir() if p.suffix != ".pkl") == ["shot_2-seed_1.json"]
    assert (kept / "shot_2-seed_1.pkl").read_bytes() == old
