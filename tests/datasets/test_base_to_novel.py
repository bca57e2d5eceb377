"""Base and novel classes, and the phantoms that stand in for a data set."""

from functools import partial

import pytest

from datasets import base, phantoms
from datasets.btmri import BTMRI
from datasets.busi import BUSI
from datasets.covid import COVID_19
from datasets.kneexray import KneeXray
from datasets.phantoms.folder import Counts
from tests.datasets.layout import lay_out, load, names


def test_halves_are_disjoint_complete_and_labelled_from_zero(tmp_path, capsys):
    lay_out(tmp_path, KneeXray)
    whole = load(tmp_path, KneeXray, shots=2)
    base, new = (load(tmp_path, KneeXray, shots=2, classes=which) for which in ("base", "new"))
    assert (base.num_classes, new.num_classes) == (3, 2) and base.classnames + new.classnames == whole.classnames
    for half in (base, new):
        assert sorted({item.label for item in half.test}) == list(range(half.num_classes))
        assert half.lab2cname == dict(enumerate(half.classnames))
        assert all(half.classnames[item.label] == item.classname for item in half.test)
    assert names(base.test) + names(new.test) == names(whole.test)
    assert base.split_hash == new.split_hash == whole.split_hash
    assert capsys.readouterr().out.endswith(
        "Novel classes: moderate osteoarthritis, severe osteoarthritis; training and validation images are the base "
        "classes'\n"
    )


def test_with_either_half_the_images_to_look_at_are_the_draw_of_the_base_classes(tmp_path):
    lay_out(tmp_path, KneeXray)
    whole = load(tmp_path, KneeXray, shots=2)
    for half in (load(tmp_path, KneeXray, shots=2, classes=which) for which in ("base", "new")):
        for part in ("train_x", "val"):
            drawn = [item for item in getattr(whole, part) if item.label < 3]
            assert getattr(half, part) == drawn and len(drawn) == 6


@pytest.mark.parametrize("count", [2, 3])
@pytest.mark.parametrize("which", ["base", "new"])
def test_too_few_classes_for_novel_ones(tmp_path, count, which):
    cls = type("Few", (BUSI,), {"classes": BUSI.classes[:count]})
    lay_out(tmp_path, cls)
    assert load(tmp_path, cls).num_classes == count
    with pytest.raises(ValueError, match=rf"at least two novel classes, .* has {count} classes in all"):
        load(tmp_path, cls, classes=which)


def test_an_unknown_choice_is_answered_with_those_that_exist(tmp_path):
    lay_out(tmp_path)
    with pytest.raises(ValueError, match='one of all, base, new, but got "novel"'):
        load(tmp_path, classes="novel")


@pytest.fixture
def few_phantoms(tmp_path, monkeypatch):
    """Phantoms in a folder of their own, of a few pictures."""
    counts = Counts(train=4, val=2, test_total=8)
    monkeypatch.setattr(base, "PHANTOM_ROOT", tmp_path / "rendered")
    monkeypatch.setattr(phantoms, "prepare", partial(phantoms.prepare, counts=counts, progress=False))
    return tmp_path / "rendered"


@pytest.mark.parametrize("cls", [BTMRI, COVID_19])
def test_the_same_class_reads_phantoms(few_phantoms, cls):
    data = load("phantoms", cls, shots=2)
    assert data.phantom and data.classnames == list(cls.classes)
    assert [item.label for item in data.test] == [0, 0, 1, 1, 2, 2, 3, 3]
    assert (len(data.train_x), len(data.val)) == (8, 8)
    folder = few_phantoms / cls.dataset_dir / cls.dataset_dir
    assert data.train_x[0].impath.startswith(str(folder / cls.classes[0].replace(" ", "_")))
    assert (few_phantoms / cls.dataset_dir / "split_fewshot" / "shot_2-seed_1.json").is_file()


def test_real_images_are_no_phantoms(tmp_path):
    lay_out(tmp_path)
    assert load(tmp_path).phantom is False
